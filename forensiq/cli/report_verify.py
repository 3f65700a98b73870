"""``forensiq report-verify``."""

from __future__ import annotations

from collections import Counter
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
@click.option("--all", "full", is_flag=True, help="Show the checks that passed, too, one by one.")
def command(run: Run, report: Path, case: Path | None, no_images: bool, full: bool) -> ExitCode:
    """Check a report, its signature, its parts and the images it speaks of."""
    progress = Progress(0)
    with run.stoppable() as stop, run.watch(progress):
        found = verify_report(report, case=case, images=not no_images, progress=progress, stop=stop)
    if run.json:
        run.result(found)
        return ExitCode(found.exit_code)
    run.print(f"  {found.verdict.replace('_', ' ').upper()}", style="bold")
    run.paragraph(visible(found.summary[:1].upper() + found.summary[1:]))
    run.field("Signed", visible(found.trust))
    run.field("The records", visible(found.headline))
    run.print()
    for state in (CheckState.FAILED, CheckState.NOT_CHECKED):
        for each in found.checks:
            if each.state is state:
                run.field(_WORDS[state], f"{each.code}: {visible(each.detail)}")
    if full:
        for each in found.checks:
            if each.state is CheckState.PASSED:
                run.field(_WORDS[each.state], f"{each.code}: {visible(each.detail)}")
    else:
        passed = Counter(each.code for each in found.checks if each.state is CheckState.PASSED)
        listed = " · ".join(code if times == 1 else f"{times} {code}" for code, times in passed.items())
        run.field("passed", listed or "nothing")
        run.note("  --all shows what each check looked at.")
    return ExitCode(found.exit_code)
