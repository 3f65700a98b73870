"""How the commands of ``forensiq case`` show an event and findings."""

from __future__ import annotations

from collections.abc import Iterable

from forensiq.cli.run import Run
from forensiq.cli.text import visible
from forensiq.model.finding import Finding
from forensiq.procedures.case import CaseEvent

__all__ = ["show_event", "show_findings"]


def show_event(run: Run, event: CaseEvent, done: str) -> None:
    """Tell what was written into the ledger: the whole event as JSON, or ``done`` and where it stands."""
    if run.json:
        run.result(event)
        return
    run.print(f"  {done}")
    run.print(f"  Ledger       entry {event.seq}, {event.utc}, {visible(event.actor)}")
    run.print(f"  Signed by    {event.signer}")


def show_findings(run: Run, findings: Iterable[Finding]) -> None:
    """Print findings for people, worst first."""
    order = {"error": 0, "warning": 1, "info": 2}
    for finding in sorted(findings, key=lambda each: order[each.severity.value]):
        run.print(f"  {finding.severity.value.upper():8} {finding.code}: {finding.message}")
        if finding.where is not None:
            run.print(f"           where     {visible(finding.where)}")
        if finding.expected is not None:
            run.print(f"           expected  {visible(finding.expected)}")
        if finding.found is not None:
            run.print(f"           found     {visible(finding.found)}")
