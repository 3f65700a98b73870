"""``forensiq report-verify``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.text import visible
from forensiq.errors import ExitCode
from forensiq.model.report_check import CheckState
from forensiq.procedures.progress import Progress
from forensiq.procedures.report_verify import verify_report

__all__ = ["command"]

_WORDS = {CheckState.PASSED: "passed", CheckState.FAILED: "FAILED", CheckState.NOT_CHECKED: "not checked"}


@forensiq_command("report-verify", example="forensiq report-verify cases/2026-014/reports/report.pdf")
@click.argument("report", metavar="FILE", type=PATH)
@click.option("--case", type=PATH, help="The case folder (default: the one around FILE, if there is one).")
@click.option("--no-images", is_flag=True, help="Check the report alone, not the images that it speaks of.")
def command(run: Run, report: Path, case: Path | None, no_images: bool) -> ExitCode:
    """Check a report, its signature, its parts and the images it speaks of."""
    progress = Progress(0)
    with run.stoppable() as stop, run.watch(progress):
        found = verify_report(report, case=case, images=not no_images, progress=progress, stop=stop)
    if run.json:
        run.result(found)
        return ExitCode(found.exit_code)
    run.print(f"  {found.verdict.replace('_', ' ').upper()}", style="bold")
    run.print(f"  {visible(found.summary)}")
    run.print(f"  Signed       {visible(found.trust)}")
    run.print(f"  The records  {visible(found.headline)}")
    run.print()
    order = (CheckState.FAILED, CheckState.NOT_CHECKED, CheckState.PASSED)
    rows = [
        (_WORDS[each.state], each.code, visible(each.detail))
        for each in sorted(found.checks, key=lambda each: order.index(each.state))
    ]
    run.table(("Result", "Check", "Detail"), rows)
    return ExitCode(found.exit_code)
