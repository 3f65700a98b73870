from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator

import click
import pytest

from forensiq.cli import main
from forensiq.cli.main import program
from forensiq.cli.options import CommandTable, ForensiqCommand


def _commands(group: CommandTable, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, CommandTable):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(_commands(program))
each_command = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


@each_command
def test_a_command_has_the_common_options_and_a_help_for_each(path: tuple[str, ...]) -> None:
    options = {name: each for each in COMMANDS[path].params if isinstance(each, click.Option) for name in each.opts}
    assert {"--json", "--quiet", "--progress"} <= options.keys()
    assert [name for name, option in options.items() if not option.help and not option.hidden] == []
    assert COMMANDS[path].help


@each_command
def test_the_worked_example_can_be_typed(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert isinstance(command, ForensiqCommand)
    lines = command.example.strip().splitlines()
    assert lines, "no example"
    words = shlex.split(lines[0])
    while words and words[0] != "forensiq":
        assert words[0] == "sudo", f"{lines[0]!r} does not start with forensiq"
        words = words[1:]
    assert tuple(words[1 : 1 + len(path)]) == path
    with command.make_context(" ".join(path), words[1 + len(path) :]):
        pass


@each_command
def test_the_help_reads_well_in_80_columns(path: tuple[str, ...]) -> None:
    context = click.Context(COMMANDS[path], info_name=" ".join(path), terminal_width=80, max_content_width=80)
    text = COMMANDS[path].get_help(context)
    assert "Example:" in text
    assert [line for line in text.split("Example:")[0].splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("path", [(), ("case",), ("keys",)], ids=" ".join)
def test_the_help_of_a_group_ends_with_a_worked_example(path: tuple[str, ...]) -> None:
    group: click.Command = program
    for name in path:
        assert isinstance(group, CommandTable)
        found = group.get_command(click.Context(group), name)
        assert found is not None
        group = found
    text = group.get_help(click.Context(group, info_name="forensiq", terminal_width=80))
    words = shlex.split(text.split("Example:")[1])
    words = words[words.index("forensiq") + 1 :]
    command = max((each for each in COMMANDS if tuple(words[: len(each)]) == each), key=len)
    with COMMANDS[command].make_context(" ".join(command), words[len(command) :]):
        pass


OWN_STEP = {"acquire", "clone", "convert"}
"""Write their steps themselves: the record that they make holds the head of the ledger at their start."""
EVIDENCE = {"image", "source"}
"""Names of arguments that are evidence."""


def _touches_evidence(command: click.Command) -> bool:
    return any(isinstance(each, click.Argument) and each.name in EVIDENCE for each in command.params)


def test_no_command_of_acquisition_and_analysis_names_its_evidence_otherwise() -> None:
    groups = {"Acquisition", "Analysis (read-only)"}
    names = {name for name, entry in main.COMMANDS.items() if entry.section in groups}
    assert {name for name in names if not _touches_evidence(COMMANDS[(name,)])} == {"devices", "unmount"}


@pytest.mark.parametrize("path", [path for path, each in COMMANDS.items() if _touches_evidence(each)], ids=" ".join)
def test_a_command_that_touches_evidence_can_write_into_the_ledger(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    options = {name for each in command.params if isinstance(each, click.Option) for name in each.opts}
    assert {"--case", "--key", "--passphrase-fd"} <= options
    assert command.callback is not None
    module = inspect.getmodule(inspect.unwrap(command.callback))
    assert module is not None
    assert ("@recorded(" in inspect.getsource(module)) is (path[-1] not in OWN_STEP)
