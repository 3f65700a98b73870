"""``forensiq case countersign``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.case_view import finish_first, show_seal
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice, signing_options
from forensiq.procedures.case_seal import countersign_seal
from forensiq.procedures.keys import opened
from forensiq.procedures.progress import Progress

__all__ = ["command"]


@forensiq_command("countersign", example="forensiq case countersign cases/2026-014 --key witness.pem --role witness")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--seal", "number", metavar="N", help="Which seal (default: the newest).")
@click.option("--role", default="witness", show_default=True, help="As whom: witness, receiver, supervisor.")
@click.option("--statement", default="", help="What the signer says (default: that the case was checked and intact).")
@signing_options
def command(
    run: Run, folder: Path, number: str | None, role: str, statement: str, key: Path | None, passphrase_fd: int | None
) -> None:
    """Check everything, then sign a seal as somebody else than the one who sealed."""
    choice = opened(key_choice(key, passphrase_fd), personal=True)
    progress = Progress(0)
    finish_first(run, folder, choice)
    with run.stoppable() as stop, run.watch(progress):
        seal = countersign_seal(
            folder, number=number, role=role, statement=statement, key=choice, progress=progress, stop=stop
        )
    if run.json:
        run.result(seal)
        return
    run.print("  COUNTERSIGNED")
    show_seal(run, seal)
