"""``forensiq case item``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.case_view import finish_first, show_event
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice, signing_options
from forensiq.cli.text import visible
from forensiq.model.case import EvidenceItem
from forensiq.procedures.case import add_evidence_item

__all__ = ["command"]


@forensiq_command(
    "item",
    example='forensiq case item cases/2026-014 --id ITEM-1 --description "USB stick, black, 16 GB" --seal-in 0815',
)
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--id", "identifier", required=True, metavar="ID", help="Exhibit number.")
@click.option("--description", default="", help="What it is.")
@click.option("--kind", default="", help="Kind of item: disk, phone, computer.")
@click.option("--root-exhibit", default="", metavar="ID", help="The exhibit that it was taken from.")
@click.option("--label-capacity", default="", help="Capacity on the label.")
@click.option("--seal-in", default="", metavar="NUMBER", help="Seal number on receipt.")
@click.option("--condition", default="", help="Condition on receipt.")
@click.option("--location", default="", help="Where it is kept.")
@click.option("--actor", metavar="NAME", help="Who enters it (default: the examiner).")
@signing_options
def command(
    run: Run,
    folder: Path,
    identifier: str,
    description: str,
    kind: str,
    root_exhibit: str,
    label_capacity: str,
    seal_in: str,
    condition: str,
    location: str,
    actor: str | None,
    key: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Add an exhibit to the case."""
    item = EvidenceItem(
        identifier,
        description,
        root_exhibit=root_exhibit,
        kind=kind,
        label_capacity=label_capacity,
        seal_in=seal_in,
        condition=condition,
        location=location,
    )
    choice = key_choice(key, passphrase_fd)
    finish_first(run, folder, choice)
    event = add_evidence_item(folder, item, actor=actor, key=choice)
    show_event(run, event, f"Item {visible(identifier)} added")
