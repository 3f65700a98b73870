"""Standard input, output and error as they are given to us: closed, full, or with nobody at the other end.

None of that may reach evidence or end an acquisition.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from forensiq.errors import DestinationError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["flush_or_forget", "forget_stderr", "forget_stdout", "hold_standard_descriptors", "writing_results"]


class _Results(io.FileIO):
    """Standard output, of which a failure (a full disk) is told as one of the destination, whoever writes."""

    def write(self, data: ReadableBuffer, /) -> int:
        with writing_results():
            return super().write(data)


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
    # A terminal that knows no "·", or a name that is not UTF-8, must not end an acquisition.
    if type(sys.stdout) is io.TextIOWrapper and sys.stdout.fileno() == 1:
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Results(1, "w", closefd=False)),
            encoding=sys.stdout.encoding,
            errors="backslashreplace",
            line_buffering=sys.stdout.line_buffering,
        )
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")


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
        except (OSError, DestinationError):
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
