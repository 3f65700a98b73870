"""What all commands share: the decorator that makes one, the common options, the types of arguments."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import update_wrapper
from pathlib import Path
from typing import NamedTuple

import click

from forensiq.cli.run import OutputMode, Run
from forensiq.cli.sizes import parse_offset, parse_size
from forensiq.errors import ExitCode, UsageError
from forensiq.model.digest import HashAlgorithm
from forensiq.model.quantity import MediaQuantity

__all__ = [
    "HASH",
    "OFFSET",
    "PATH",
    "SIZE",
    "STEM",
    "CommandTable",
    "Entry",
    "ForensiqCommand",
    "forensiq_command",
    "forensiq_group",
]


class _Size(click.ParamType[int]):
    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return value if isinstance(value, int) else parse_size(str(value))


class _Offset(click.ParamType[MediaQuantity]):
    name = "offset"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> MediaQuantity:
        return value if isinstance(value, MediaQuantity) else parse_offset(str(value))


class _Hash(click.ParamType[HashAlgorithm]):
    name = "algorithm"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> HashAlgorithm:
        return value if isinstance(value, HashAlgorithm) else HashAlgorithm.parse(str(value))


class _Stem(click.ParamType[Path]):
    name = "path"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        # A Path forgets the slash at the end, and an image would stand beside the folder that was meant.
        if str(value).endswith("/"):
            raise UsageError(f"{value} names a folder", hint="give a path with a name, as evidence/ITEM-1")
        return Path(str(value))


SIZE = _Size()
"""Bytes as ``int``: ``512``, ``4KiB``, ``2GiB``, ``650MB``."""
OFFSET = _Offset()
"""A :class:`~forensiq.model.quantity.MediaQuantity`: as a size, or sectors with ``s``."""
HASH = _Hash()
"""A :class:`~forensiq.model.digest.HashAlgorithm`; an unknown name is an error before anything is read."""
STEM = _Stem()
"""The path of an image without its ending; one that names a folder is an error."""
PATH = click.Path(path_type=Path)
"""A path as it was typed; whether it exists is for the procedure to say, in its own words."""


class ForensiqCommand(click.Command):
    """A command with a worked example in its help."""

    example: str = ""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example as it is, without wrapping."""
        _write_example(self.example, formatter)


def _write_example(example: str, formatter: click.HelpFormatter) -> None:
    with formatter.section("Example"):
        for line in example.strip().splitlines():
            formatter.write(f"  {line}\n")


def forensiq_command(name: str, *, example: str) -> Callable[[Callable[..., ExitCode | None]], ForensiqCommand]:
    """Make a command out of a function that takes a :class:`Run` first, then its own click parameters by name.

    Adds ``--json``, ``--quiet`` and ``--progress``. The function returns the exit code (``None``: done, nothing to
    report); errors it does not expect are for the caller. ``example`` is a worked command line.
    """

    def decorate(function: Callable[..., ExitCode | None]) -> ForensiqCommand:
        def invoke(ctx: click.Context, json: bool, quiet: bool, progress: str, **arguments: object) -> ExitCode:
            ctx.ensure_object(OutputMode).json = json
            code = function(Run(json=json, quiet=quiet, progress=progress), **arguments)
            return ExitCode.OK if code is None else code

        made: ForensiqCommand = click.command(name, cls=ForensiqCommand)(
            click.pass_context(update_wrapper(invoke, function))
        )
        made.params.extend(_common_options())
        made.example = example
        return made

    return decorate


def _common_options() -> list[click.Option]:
    return [
        click.Option(["--json"], is_flag=True, help="One JSON object (or JSON Lines) on stdout, nothing else there."),
        click.Option(["--quiet", "-q"], is_flag=True, help="No progress and no notes, only the result."),
        click.Option(
            ["--progress"],
            type=click.Choice(["auto", "jsonl", "none"]),
            default="auto",
            show_default=True,
            help="On stderr: a live view or a line every few seconds; JSON Lines; nothing.",
        ),
    ]


class Entry(NamedTuple):
    """A line of a command table: the module that has it as ``command``, where it stands in the help, what it does."""

    module: str
    section: str
    summary: str


class CommandTable(click.Group):
    """A group whose commands are loaded when they are used; the help needs none of them."""

    entries: Mapping[str, Entry]
    example: str = ""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example behind the commands."""
        _write_example(self.example, formatter)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; ``None`` where there is none of that name."""
        if cmd_name not in self.entries:
            return None
        command: click.Command = importlib.import_module(self.entries[cmd_name].module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which ones have a similar name."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            close = get_close_matches(args[0], self.list_commands(ctx), n=3)
            meant = f" Did you mean {' or '.join(close)}?" if close else f" See '{ctx.command_path} --help'."
            raise click.UsageError(f"No such command {args[0]!r}.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under the headings of the table."""
        present = self.list_commands(ctx)
        for section in dict.fromkeys(self.entries[name].section for name in present):
            with formatter.section(section):
                formatter.write_dl(
                    [(name, self.entries[name].summary) for name in present if self.entries[name].section == section]
                )


def forensiq_group(
    name: str, entries: Mapping[str, Entry], *, example: str
) -> Callable[[Callable[[], None]], CommandTable]:
    """Make a group of commands out of a table and a worked ``example``; the function gives only its docstring."""

    def decorate(function: Callable[[], None]) -> CommandTable:
        made: CommandTable = click.group(name, cls=CommandTable)(function)
        made.entries = entries
        made.example = example
        return made

    return decorate
