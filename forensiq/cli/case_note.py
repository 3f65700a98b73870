"""``forensiq case note``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.case_view import show_event
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice, signing_options
from forensiq.procedures.case import add_note

__all__ = ["command"]


@forensiq_command("note", example='forensiq case note cases/2026-014 "Seal 0815 intact, cut at 14:05" --item ITEM-1')
@click.argument("folder", metavar="DIR", type=PATH)
@click.argument("text")
@click.option("--item", metavar="ID", help="The item that the note is about.")
@click.option("--actor", metavar="NAME", help="Who writes it (default: the examiner).")
@signing_options
def command(
    run: Run, folder: Path, text: str, item: str | None, actor: str | None, key: Path | None, passphrase_fd: int | None
) -> None:
    """Write a signed note into the ledger."""
    event = add_note(folder, text, item=item, actor=actor, key=key_choice(key, passphrase_fd))
    show_event(run, event, "Note written")
