"""``forensiq case receive``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.case_view import finish_first, show_transfer
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice, signing_options
from forensiq.cli.text import visible
from forensiq.errors import ExitCode
from forensiq.procedures.case_transfer import receive_item
from forensiq.procedures.keys import opened
from forensiq.procedures.progress import Progress

__all__ = ["command"]


@forensiq_command("receive", example="forensiq case receive cases/2026-014 --key okafor.pem")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--transfer", "number", metavar="N", help="Which hand-over (default: the newest).")
@click.option("--files-in", "place", type=PATH, metavar="FOLDER", help="Where the received files are, if not in DIR.")
@click.option("--seal-in", default="", metavar="NUMBER", help="Seal number on arrival.")
@click.option("--condition", default="", help="Condition on arrival.")
@signing_options
def command(
    run: Run,
    folder: Path,
    number: str | None,
    place: Path | None,
    seal_in: str,
    condition: str,
    key: Path | None,
    passphrase_fd: int | None,
) -> ExitCode:
    """Countersign a hand-over as the receiver, after hashing what was received.

    Exit code 4 if it is not what was handed over; that is recorded and signed too.
    """
    choice = opened(key_choice(key, passphrase_fd), personal=True)
    progress = Progress(0)
    finish_first(run, folder, choice)
    with run.stoppable() as stop, run.watch(progress):
        record = receive_item(
            folder,
            number=number,
            place=place,
            seal_in=seal_in,
            condition=condition,
            key=choice,
            progress=progress,
            stop=stop,
        )
    if run.json:
        run.result(record)
    else:
        run.print(f"  RECEIVED, number {record.identifier}")
        show_transfer(run, record)
        receipt = folder / "transfers" / f"{record.identifier}.receipt.pdf"
        run.field("Receipt", visible(str(receipt)))
    return ExitCode.VERIFICATION if record.match is False else ExitCode.OK
