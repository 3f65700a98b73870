"""Standard input, output and error as they are given to us: closed, full, or with nobody at the other end.

None of that may reach evidence or end an acquisition.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from forensiq.errors import DestinationError

__all__ = ["flush_or_forget", "forget_stderr", "forget_stdout", "hold_standard_descriptors", "writing_results"]


def hold_standard_descriptors() -> None:
    """Put the null device where standard input, output or error are closed.

    The next file that is opened would get the free number: a message for stderr would then end up in an image.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that knows no "·", or a name that is not UTF-8, must not end an acquisition.
            stream.reconfigure(errors="backslashreplace")


def forget_stdout() -> None:
    """Let everything that is still to be written to stdout go nowhere: its reader went away."""
    _forget(1)


def forget_stderr() -> None:
    """As :func:`forget_stdout`, for stderr."""
    _forget(2)


def _forget(number: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)


def flush_or_forget() -> None:
    """Write what is left; where that fails, drop it: at its end the interpreter would turn it into exit code 120."""
    for stream, forget in ((sys.stdout, forget_stdout), (sys.stderr, forget_stderr)):
        try:
            stream.flush()
        except OSError:
            forget()


@contextmanager
def writing_results() -> Iterator[None]:
    """Inside, a stdout that cannot be written (a full disk) is a :class:`~forensiq.errors.DestinationError`."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        forget_stdout()
        raise DestinationError(f"the output cannot be written: {error.strerror}", errno=error.errno) from error
