"""How the commands of ``forensiq case`` show an event and findings."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

from forensiq.cli.run import Run
from forensiq.cli.text import count, exact_size, visible
from forensiq.model.finding import Finding, Severity
from forensiq.model.ledger import SealFacts, TransferRecord
from forensiq.procedures.case import CaseEvent
from forensiq.procedures.case_commit import finish_interrupted
from forensiq.procedures.keys import KeyChoice

__all__ = ["finish_first", "show_event", "show_findings", "show_seal", "show_transfer"]

_FIELD_MISSING = "case.field_missing"


def finish_first(run: Run, folder: Path, key: KeyChoice) -> None:
    """Finish, or set aside, what an interrupted step has left in the case, and say so."""
    found = finish_interrupted(folder, key)
    if found.placed:
        files = count(len(found.placed), "file")
        run.warn(f"an earlier step was interrupted at its end; it is finished now: {files} put in their place")
    if found.set_aside:
        files = count(len(found.set_aside), "file")
        run.warn(f"an earlier step was interrupted before it happened: {files} kept in {folder / 'set-aside'}")


def show_event(run: Run, event: CaseEvent, done: str) -> None:
    """Tell what was written into the ledger: the whole event as JSON, or ``done`` and where it stands."""
    if run.json:
        run.result(event)
        return
    run.print(f"  {done}")
    run.field("Ledger", f"entry {event.seq}, {event.utc}, {visible(event.actor)}")
    run.field("Signed by", event.signer)


def show_findings(run: Run, findings: Iterable[Finding]) -> None:
    """Print findings for people, worst first."""
    order = {"error": 0, "warning": 1, "info": 2}
    findings = list(findings)
    missing = [each for each in findings if each.code == _FIELD_MISSING and each.severity is not Severity.ERROR]
    others = [each for each in findings if each not in missing]
    for finding in sorted(others, key=lambda each: order[each.severity.value]):
        run.field(finding.severity.value.upper(), f"{finding.code}: {finding.message}", room=9)
        for label, text in (("where", finding.where), ("expected", finding.expected), ("found", finding.found)):
            if text is not None:
                run.field(label, visible(text), indent=4, room=10)
    if missing:
        places = " · ".join((each.where or "").removeprefix("case.toml, ") for each in missing)
        run.field("Not given", f"{count(len(missing), 'field')} of case.toml that its template asks for:")
        for line in textwrap.wrap(visible(places), 64):
            run.print(f"               {line}")


def show_seal(run: Run, seal: SealFacts) -> None:
    """Print a seal for people: the code first."""
    run.field("Seal code", seal.code)
    run.field("Seal", f"{visible(seal.number)} of {visible(seal.created)}, case {visible(seal.case_number)}")
    run.field("Covers", f"{count(seal.files, 'file')}, {exact_size(seal.bytes)}")
    run.field("Signed by", f"{visible(seal.signer)}  {seal.fingerprint}  {_trust(seal.trusted_as)}")
    if seal.timestamp is None:
        run.field("Time stamp", "none")
    else:
        known = "authority checked" if seal.timestamp.trusted else "authority not checked"
        run.field("Time stamp", f"{seal.timestamp.at}, {visible(seal.timestamp.authority)} ({known})")
    for each in seal.countersignatures:
        state = "holds" if each.valid else "DOES NOT HOLD"
        run.field("Countersign", f"{visible(each.name)}, {visible(each.role)}: {state}  {_trust(each.trusted_as)}")


def show_transfer(run: Run, record: TransferRecord) -> None:
    """Print a hand-over for people."""
    same = {True: "the same before and after", False: "DIFFERENT AFTERWARDS", None: "not hashed afterwards yet"}
    run.field("Item", f"{visible(record.item)}  {visible(record.description)}")
    run.field("From", f"{visible(record.released_by)}, {record.released}, key {record.released_fingerprint[:16]}…")
    taken = (
        f"{record.received}, key {record.received_fingerprint[:16]}…" if record.received else "not countersigned yet"
    )
    run.field("To", f"{visible(record.received_by)}, {taken}")
    run.field("Purpose", visible(record.purpose) or "not given")
    run.field("Authority", visible(record.authority) or "not given")
    run.field("Files", f"{count(len(record.before), 'file')}: {same[record.match] if record.before else 'none'}")
    show_findings(run, record.findings)


def _trust(name: str | None) -> str:
    return f"(trusted as {visible(name)})" if name is not None else "(key not in your list)"
