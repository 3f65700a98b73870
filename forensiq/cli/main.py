"""The program: finds the command, runs it, turns errors into messages, JSON and exit codes."""

from __future__ import annotations

import importlib
import sys

import click

from forensiq.errors import ForensiqError

__all__ = ["COMMANDS", "main", "program"]

COMMANDS: dict[str, str] = {}
"""Command name → module in this package that has it as ``command``; loaded when it is used."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(f"forensiq.cli.{module}").command
        return command


@click.group(cls=_Commands)
@click.version_option(package_name="forensiq")
def program() -> None:
    """Forensic acquisition, verification and examination of evidence drives."""


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        program(standalone_mode=True)
    except ForensiqError as error:
        click.echo(f"forensiq: {error}", err=True)
        sys.exit(error.exit_code)
