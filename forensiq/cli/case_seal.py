"""``forensiq case seal``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.case_view import finish_first, show_seal
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice, signing_options
from forensiq.procedures.case_seal import seal_case
from forensiq.procedures.keys import opened
from forensiq.procedures.progress import Progress

__all__ = ["command"]


@forensiq_command("seal", example="forensiq case seal cases/2026-014 --key lee.pem")
@click.argument("folder", metavar="DIR", type=PATH)
@signing_options
def command(run: Run, folder: Path, key: Path | None, passphrase_fd: int | None) -> None:
    """Check everything, then seal it: a signed list of every file, and a short code for the paper form."""
    choice, progress = opened(key_choice(key, passphrase_fd), personal=True), Progress(0)
    finish_first(run, folder, choice)
    with run.stoppable() as stop, run.watch(progress):
        seal = seal_case(folder, key=choice, progress=progress, stop=stop)
    if run.json:
        run.result(seal)
        return
    run.print("  SEALED")
    show_seal(run, seal)
    run.print("  Next         write the seal code on the paper form; forensiq case countersign, case timestamp")
