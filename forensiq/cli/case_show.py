"""``forensiq case show``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.case_view import show_findings
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.text import count, exact_size, visible
from forensiq.procedures.case import show_case

__all__ = ["command"]


@forensiq_command("show", example="forensiq case show cases/2026-014")
@click.argument("folder", metavar="DIR", type=PATH)
def command(run: Run, folder: Path) -> None:
    """Show what a case holds and what is still missing; `case verify` checks it."""
    state = show_case(folder)
    if run.json:
        run.result(state)
        return
    case = state.case
    run.field("Case", visible(_joined(case.number, case.title)))
    run.field("Examiner", visible(_joined(case.examiner.name, case.examiner.role)))
    run.field("Agency", visible(case.agency) or "not given")
    for authority in case.authority:
        dates = " to ".join(each for each in (authority.valid_from, authority.valid_until) if each)
        number = authority.identifier or "(no number given)"
        run.field("Authority", visible(" ".join(each for each in (authority.kind, number, dates) if each)))
    head = state.ledger_head
    run.field("Ledger", f"{count(head.count, 'entry', 'entries')}, head {head.last_hash}")
    run.field("Files", f"{count(state.files, 'file')}, {exact_size(state.bytes)}")
    run.field("Seals", ", ".join(map(visible, state.seals)) or "none")
    rows = [(visible(item.identifier), visible(item.description), visible(item.seal_in)) for item in case.items]
    if rows:
        run.table(["Item", "Description", "Seal"], rows)
    show_findings(run, state.missing)


def _joined(first: str, second: str) -> str:
    return f"{first}, {second}" if second else first
