"""The program: finds the command, runs it, turns errors into messages, JSON and exit codes."""

from __future__ import annotations

import sys
import threading
from types import TracebackType

import click

from forensiq import __version__
from forensiq.cli.failure import tell_error, tell_fault, tell_usage
from forensiq.cli.options import Entry, forensiq_group
from forensiq.cli.run import OutputMode
from forensiq.cli.stop import interrupt_on_signals
from forensiq.cli.streams import flush_or_forget, forget_stdout, hold_standard_descriptors, writing_results
from forensiq.errors import ForensiqError, Interrupted

__all__ = ["COMMANDS", "main", "program"]

_ACQUISITION, _ANALYSIS, _CASE = "Acquisition", "Analysis (read-only)", "Case, custody, report"
_THIS_MACHINE = "Getting started"
_HERE = "forensiq.cli"

COMMANDS: dict[str, Entry] = {
    "devices": Entry(f"{_HERE}.devices", _ACQUISITION, "Drives of this machine, their state and protection."),
    "preflight": Entry(f"{_HERE}.preflight", _ACQUISITION, "Go or no-go for an acquisition, with reasons."),
    "acquire": Entry(f"{_HERE}.acquire", _ACQUISITION, "Copy a drive into an image, verified."),
    "clone": Entry(f"{_HERE}.clone", _ACQUISITION, "Copy a drive or an image to a drive, sector by sector."),
    "verify": Entry(f"{_HERE}.verify", _ACQUISITION, "Is an image still what was acquired?"),
    "info": Entry(f"{_HERE}.info", _ACQUISITION, "What is known about an image."),
    "convert": Entry(f"{_HERE}.convert", _ACQUISITION, "The same media bytes in another format."),
    "partitions": Entry(f"{_HERE}.partitions", _ANALYSIS, "Partition tables and volumes."),
    "ls": Entry(f"{_HERE}.ls", _ANALYSIS, "Files, deleted ones included."),
    "cat": Entry(f"{_HERE}.cat", _ANALYSIS, "The bytes of a file or stream."),
    "extract": Entry(f"{_HERE}.extract", _ANALYSIS, "A tree of files, with a manifest of digests."),
    "hash": Entry(f"{_HERE}.hash", _ANALYSIS, "Digests of every file; known-file sets."),
    "timeline": Entry(f"{_HERE}.timeline", _ANALYSIS, "When files were made, changed and read."),
    "search": Entry(f"{_HERE}.search", _ANALYSIS, "Texts and bytes in files, slack and free space."),
    "types": Entry(f"{_HERE}.types", _ANALYSIS, "What files are, against what their names say."),
    "impact": Entry(f"{_HERE}.impact", _ANALYSIS, "What the unreadable or damaged sectors fall in."),
    "diff": Entry(f"{_HERE}.diff", _ANALYSIS, "What changed between two images of a drive."),
    "mount": Entry(f"{_HERE}.mount", _ANALYSIS, "Show an image as files, read-only (FUSE)."),
    "boot": Entry(f"{_HERE}.boot", _ANALYSIS, "A virtual machine over an untouched image."),
    "unmount": Entry(f"{_HERE}.unmount", _ANALYSIS, "End a mount."),
    "case": Entry(f"{_HERE}.case", _CASE, "Case folders: open, show, note, transfer, verify, seal."),
    "keys": Entry(f"{_HERE}.keys", _CASE, "Signing keys."),
    "report": Entry(f"{_HERE}.report", _CASE, "A signed case report."),
    "report-verify": Entry(f"{_HERE}.report_verify", _CASE, "Check a report and its signature."),
    "demo": Entry(f"{_HERE}.demo", _THIS_MACHINE, "Build a practice drive and do the whole job on it."),
    "doctor": Entry(f"{_HERE}.doctor", _THIS_MACHINE, "What this machine can do."),
}
"""Command name → where it is; a module is loaded when its command is used."""

_BROKEN_PIPE = 141


@forensiq_group("forensiq", COMMANDS, example="sudo forensiq acquire /dev/sdb evidence/ITEM-1")
@click.version_option(__version__, prog_name="forensiq")
def program() -> None:
    """Forensic acquisition, verification and examination of evidence drives."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    hold_standard_descriptors()
    given = sys.argv[1:] if arguments is None else arguments
    options = given[: given.index("--")] if "--" in given else given
    mode = OutputMode(json="--json" in options)

    def fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            tell_error(Interrupted("interrupted"), mode)
        else:
            tell_fault(kind, error, trace, mode)

    def thread_fault(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            tell_fault(args.exc_type, args.exc_value, args.exc_traceback, OutputMode())

    # The interpreter itself ends with exit code 1 after the hook: a fault in forensiq.
    sys.excepthook = fault
    threading.excepthook = thread_fault
    interrupt_on_signals()
    try:
        code = _run(given, mode)
    except BrokenPipeError:
        # Whoever read our output went away.
        forget_stdout()
        code = _BROKEN_PIPE
    flush_or_forget()
    sys.exit(code)


def _run(arguments: list[str], mode: OutputMode) -> int:
    try:
        with program.make_context("forensiq", list(arguments), obj=mode) as context:
            code: int = program.invoke(context)
        with writing_results():
            sys.stdout.flush()
    except click.exceptions.Exit as end:
        code = end.exit_code
    except ForensiqError as error:
        code = tell_error(error, mode)
    except click.ClickException as error:
        code = tell_usage(error, mode)
    except (click.Abort, KeyboardInterrupt):
        code = tell_error(Interrupted("interrupted"), mode)
    return int(code)
