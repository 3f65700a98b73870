"""``forensiq case attach``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.case_view import finish_first, show_event
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice, signing_options
from forensiq.cli.text import visible
from forensiq.procedures.case import add_attachment

__all__ = ["command"]


@forensiq_command("attach", example='forensiq case attach cases/2026-014 label.jpg --item ITEM-1 --caption "Label"')
@click.argument("folder", metavar="DIR", type=PATH)
@click.argument("file", type=PATH)
@click.option("--item", metavar="ID", help="The item that it shows or is about.")
@click.option("--caption", default="", help="What it shows.")
@click.option("--actor", metavar="NAME", help="Who adds it (default: the examiner).")
@signing_options
def command(
    run: Run,
    folder: Path,
    file: Path,
    item: str | None,
    caption: str,
    actor: str | None,
    key: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Copy a photo or a document into the case and bind it by its digest."""
    choice = key_choice(key, passphrase_fd)
    finish_first(run, folder, choice)
    event = add_attachment(folder, file, item=item, caption=caption, actor=actor, key=choice)
    show_event(run, event, f"Attached {visible(file.name)}")
