"""``forensiq case check``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.case_view import show_findings, show_seal
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.errors import ExitCode
from forensiq.procedures.case_check import check_seal
from forensiq.procedures.progress import Progress

__all__ = ["command"]


@forensiq_command("check", example="forensiq case check cases/2026-014 --code ABCD-EFGH-IJKL-MNOP-QRST-UVWX-YZ23-4567")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--seal", "number", metavar="N", help="Which seal (default: the newest).")
@click.option("--code", help="The seal code on your paper.")
@click.option("--ca", type=PATH, metavar="FILE.pem", help="Root certificates of the time stamp authority.")
def command(run: Run, folder: Path, number: str | None, code: str | None, ca: Path | None) -> ExitCode:
    """Check a sealed case against its seal: every file, the ledger, signatures, time stamp, countersignatures."""
    progress = Progress(0)
    with run.stoppable() as stop, run.watch(progress):
        checked = check_seal(folder, number=number, code=code, ca=ca, progress=progress, stop=stop)
    if run.json:
        run.result(checked)
        return ExitCode(checked.exit_code)
    summary = checked.verification.summary
    run.paragraph(summary.upper() if checked.exit_code else summary.capitalize())
    if checked.seal is not None:
        show_seal(run, checked.seal)
    run.field("Signers", checked.verification.trust)
    show_findings(run, checked.verification.findings)
    return ExitCode(checked.exit_code)
