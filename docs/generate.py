"""Writes ``docs/cli.md`` and ``docs/errors.md`` out of the program itself; ``--check`` compares instead."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from forensiq.cli.main import program
from forensiq.cli.options import CommandTable, ForensiqCommand
from forensiq.errors import ExitCode, ForensiqError

__all__ = ["PAGES", "cli_page", "errors_page"]

HERE = Path(__file__).resolve().parent
NOTE = "<!-- Made by `make docs`. Changes made by hand are lost. -->\n\n"
MEANING = {
    ExitCode.OK: "done, nothing to report",
    ExitCode.FAULT: "a fault in forensiq itself",
    ExitCode.USAGE: "wrong usage",
    ExitCode.UNREADABLE_SECTORS: "complete, with unreadable sectors (listed, filled, logged)",
    ExitCode.VERIFICATION: "verification found a difference or damage in an image",
    ExitCode.CUSTODY: "ledger, seal or signature does not verify (wins over 4 in `case verify`)",
    ExitCode.REFUSED: "refused for safety",
    ExitCode.DESTINATION: "destination failed (full, write error): resumable",
    ExitCode.SOURCE: "source failed (vanished, changed size): resumable",
    ExitCode.NOT_AN_IMAGE: "not an image forensiq can read, or a segment is missing",
    ExitCode.NO_REFERENCE: "nothing to verify against",
    ExitCode.INTERRUPTED: "interrupted: resumable",
}


def exit_code_table() -> str:
    """Return the table of exit codes."""
    rows = "".join(f"| {int(code)} | {MEANING[code]} |\n" for code in ExitCode)
    return f"| exit code | meaning |\n|---|---|\n{rows}"


def errors_page() -> str:
    """Return the page of all errors."""
    rows = "".join(
        f"| `{kind.__name__}` | {int(kind.exit_code)} | `{kind.__bases__[0].__name__}` | {_summary(kind)} |\n"
        for kind in _tree(ForensiqError)
    )
    return (
        f"{NOTE}# Errors\n\n"
        "With `--json` an error is an object on stdout: `schema` (`forensiq/error/1`), `error` (the class), `message`, "
        "`exit_code`, often `hint`, and the facts of the error.\n\n"
        f"| error | exit code | a kind of | meaning |\n|---|---|---|---|\n{rows}\n"
        f"## Exit codes\n\n{exit_code_table()}\n"
        "141 is not an error: whoever read the output went away (`forensiq ls … | head`).\n"
    )


def cli_page() -> str:
    """Return the reference of all commands."""
    sections = "".join(_command_section(path, command) for path, command in _commands(program, ("forensiq",)))
    return f"{NOTE}# Commands\n\n{sections}## Exit codes\n\n{exit_code_table()}"


PAGES = {"cli.md": cli_page, "errors.md": errors_page}
"""File in this folder → what makes its text."""


def _tree(root: type[ForensiqError]) -> Iterator[type[ForensiqError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def _summary(kind: type[ForensiqError]) -> str:
    return inspect.cleandoc(kind.__doc__ or "").splitlines()[0]


def _commands(group: CommandTable, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, CommandTable):
            yield from _commands(command, (*path, name))
        elif command is not None:
            yield (*path, name), command


def _command_section(path: tuple[str, ...], command: click.Command) -> str:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    usage = " ".join([*path, *(_argument(each) for each in arguments), "[OPTIONS]"])
    example = command.example.strip() if isinstance(command, ForensiqCommand) else ""
    rows = "".join(f"| `{_option(each)}` | {_explanation(each)} |\n" for each in options)
    return (
        f"## {' '.join(path)}\n\n{inspect.cleandoc(command.help or '')}\n\n"
        f"```\n{usage}\n```\n\n"
        f"| option | meaning |\n|---|---|\n{rows}\n"
        f"Example:\n\n```\n{example}\n```\n\n"
    )


def _argument(argument: click.Argument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    name = f"{name}…" if argument.nargs != 1 else name
    return name if argument.required else f"[{name}]"


def _option(option: click.Option) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    if option.is_flag or option.count:
        return names
    if isinstance(option.type, click.Choice):
        choices = "\\|".join(str(each) for each in option.type.choices)
        return f"{names} {choices}"
    return f"{names} {option.metavar or option.type.name.upper()}"


def _explanation(option: click.Option) -> str:
    text = (option.help or "").replace("|", "\\|").replace("\n", " ")
    if option.multiple:
        text += " May be given several times."
    return text


def main() -> int:
    """Write the pages, or compare with ``--check``; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for name, make in PAGES.items():
        place = HERE / name
        if not check:
            place.write_text(make(), encoding="utf-8")
        elif not place.exists() or place.read_text(encoding="utf-8") != make():
            stale.append(f"docs/{name}")
    if stale:
        print(f"not as the program is: {', '.join(stale)} (run: make docs)")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
