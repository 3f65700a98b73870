"""How a failure is told: a sentence and a hint for people, a JSON object for scripts, an exit code for both.

An error that nobody expected is a fault in forensiq: the traceback goes into a file, never over the screen of someone
who is in the middle of an acquisition.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import traceback
from pathlib import Path
from types import TracebackType

import click

from forensiq import __version__
from forensiq.cli.run import OutputMode
from forensiq.cli.streams import forget_stderr, forget_stdout
from forensiq.cli.text import printable
from forensiq.clock import rfc3339, utc_now
from forensiq.errors import DestinationError, ExitCode, Fact, ForensiqError

__all__ = ["tell_error", "tell_fault", "tell_usage"]


def tell_error(error: ForensiqError, mode: OutputMode) -> ExitCode:
    """Tell an error of ours and return its exit code."""
    return _tell(type(error).__name__, error.message, error.hint, error.exit_code, error.facts, mode)


def tell_usage(error: click.ClickException, mode: OutputMode) -> ExitCode:
    """Tell that the command line could not be understood."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and not mode.json:
        sys.stderr.write(error.format_message() + "\n")
        return ExitCode.USAGE
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "forensiq"
    message = error.format_message().replace("\n\t", " ")
    return _tell("UsageError", message, f"see '{path} --help'", ExitCode.USAGE, {}, mode)


def tell_fault(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None, mode: OutputMode
) -> ExitCode:
    """Tell a fault in forensiq itself and keep the traceback; ``FORENSIQ_TRACEBACK=1`` prints it instead."""
    text = "".join(traceback.format_exception(kind, error, trace))
    message = f"a fault in forensiq: {kind.__name__}: {error}"
    if os.environ.get("FORENSIQ_TRACEBACK"):
        sys.stderr.write(text)
        return _tell(kind.__name__, message, None, ExitCode.FAULT, {}, mode)
    place = _keep(text)
    hint = f"please report it with the file {place}" if place else "run again with FORENSIQ_TRACEBACK=1 and report it"
    return _tell(kind.__name__, message, hint, ExitCode.FAULT, {"traceback": place}, mode)


def _tell(
    name: str, message: str, hint: str | None, code: ExitCode, facts: dict[str, Fact], mode: OutputMode
) -> ExitCode:
    try:
        if mode.json:
            fixed = {"schema": "forensiq/error/1", "error": name, "message": message, "exit_code": int(code)}
            shown = fixed | ({"hint": hint} if hint else {}) | facts | fixed
            sys.stdout.write(json.dumps(shown, ensure_ascii=True) + "\n")
            sys.stdout.flush()
        else:
            sys.stdout.flush()
            red, plain = ("\x1b[1;31m", "\x1b[0m") if sys.stderr.isatty() and "NO_COLOR" not in os.environ else ("", "")
            sys.stderr.write(f"{red}forensiq:{plain} {_one_line(message)}\n")
            if hint:
                sys.stderr.write(f"  Hint: {_one_line(hint)}\n")
            sys.stderr.flush()
    except (OSError, DestinationError):
        # Nobody is there to be told; the exit code still says it.
        forget_stdout()
        forget_stderr()
    return code


def _one_line(sentence: str) -> str:
    """Return ``sentence`` safe to print; a name in it cannot begin a line of its own."""
    return printable(sentence).replace("\n", "\\x0a")


def _keep(text: str) -> str | None:
    home = os.environ.get("HOME") or tempfile.gettempdir()
    state = Path(os.environ.get("XDG_STATE_HOME") or Path(home, ".local", "state")) / "forensiq"
    now = rfc3339(utc_now())
    about = f"forensiq {__version__}, Python {platform.python_version()}, {platform.platform()}, {now}\n"
    for folder in (state, Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            place = folder / f"fault-{now.replace(':', '')}-{os.getpid()}.txt"
            with place.open("x", encoding="utf-8", errors="backslashreplace") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(f"{about}{sys.argv}\n\n{text}")
        except OSError:
            continue
        return str(place)
    return None
