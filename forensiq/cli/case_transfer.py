"""``forensiq case transfer``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.case_view import finish_first, show_transfer
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice, signing_options
from forensiq.cli.text import visible
from forensiq.errors import ExitCode
from forensiq.procedures.case_transfer import HandOver, transfer_item
from forensiq.procedures.keys import opened
from forensiq.procedures.progress import Progress

__all__ = ["command"]


@forensiq_command(
    "transfer",
    example='forensiq case transfer cases/2026-014 --item ITEM-1 --to "B. Okafor" --purpose examination',
)
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--item", required=True, metavar="ID", help="What is handed over.")
@click.option("--to", required=True, metavar="NAME", help="Who receives it.")
@click.option("--from", "released_by", metavar="NAME", help="Who gives it (default: the examiner).")
@click.option("--purpose", default="", help="Why.")
@click.option("--authority", default="", help="By what right: order, instruction.")
@click.option("--location", default="", help="Where.")
@click.option("--seal-out", default="", metavar="NUMBER", help="Seal number when it leaves.")
@click.option("--seal-in", default="", metavar="NUMBER", help="Seal number when it arrives.")
@click.option("--condition", default="", help="Condition.")
@click.option("--notes", default="", help="Anything else.")
@click.option("--moved-to", type=PATH, metavar="FOLDER", help="Where the item's files are after the hand-over.")
@click.option("--defer", is_flag=True, help="Leave hashing after the hand-over to the receiver (case receive).")
@signing_options
def command(
    run: Run,
    folder: Path,
    item: str,
    to: str,
    released_by: str | None,
    purpose: str,
    authority: str,
    location: str,
    seal_out: str,
    seal_in: str,
    condition: str,
    notes: str,
    moved_to: Path | None,
    defer: bool,
    key: Path | None,
    passphrase_fd: int | None,
) -> ExitCode:
    """Hand an item over: hash its files, compare them with the ledger, hash them again, write a receipt.

    Nothing is handed over if the files are not what the ledger says. Exit code 4 if they differ afterwards.
    """
    said = HandOver(to, purpose, authority, location, seal_out, seal_in, condition, notes)
    choice, progress = opened(key_choice(key, passphrase_fd)), Progress(0)
    finish_first(run, folder, choice)
    with run.stoppable() as stop, run.watch(progress):
        record = transfer_item(
            folder,
            item,
            said,
            moved_to=moved_to,
            defer=defer,
            released_by=released_by,
            key=choice,
            progress=progress,
            stop=stop,
        )
    if run.json:
        run.result(record)
    else:
        run.print(f"  HANDED OVER, number {record.identifier}")
        show_transfer(run, record)
        receipt = folder / "transfers" / f"{record.identifier}.release.pdf"
        run.field("Receipt", visible(str(receipt)))
        run.print(f"  Next         forensiq case receive {visible(str(folder))} --key RECEIVER.pem")
    return ExitCode.VERIFICATION if record.match is False else ExitCode.OK
