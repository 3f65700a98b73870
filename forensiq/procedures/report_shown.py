"""What a report shows, against the files attached to it: records, hand-overs, case file, maps, entries of the ledger.

A report is one value, and its pages are made from that value; nothing in the value is believed because it stands there.
Whatever can be worked out again from an attached file is worked out again and compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

from forensiq.custody.case_file import parse_case
from forensiq.errors import CaseFileError, RecordFormatError
from forensiq.model.from_json import from_json
from forensiq.model.jsonable import to_json
from forensiq.model.ledger import LedgerEntry, LedgerReport, TransferRecord
from forensiq.model.records import AcquisitionRecord
from forensiq.model.report import (
    AcquisitionReport,
    AttachedFile,
    CaseReport,
    CustodyEvent,
    LedgerFacts,
    MediumRange,
    VerificationReport,
)
from forensiq.model.report_check import CheckState, ReportCheck
from forensiq.procedures.report_gather import medium_of

__all__ = ["ShownEvents", "check_shown", "event_of"]

_PASSED, _FAILED, _NOT_CHECKED = CheckState.PASSED, CheckState.FAILED, CheckState.NOT_CHECKED


def event_of(entry: LedgerEntry) -> CustodyEvent:
    """Return what a report shows of an entry of the ledger."""
    return CustodyEvent(
        entry.seq, entry.utc, entry.actor, entry.action, entry.parameters, entry.result, entry.key, entry.hash
    )


def check_shown(report: CaseReport, files: Mapping[str, AttachedFile]) -> Iterator[ReportCheck]:
    """Compare what ``report`` shows with ``files``, the attached ones by their path in the case."""
    case_file = files.get("case.toml")
    if case_file is not None:
        same = _same_case(report, case_file.data)
        yield _check("case.same", same, "case.toml", "the report shows what the case file says")
    for item in report.items:
        shown: list[AcquisitionReport | VerificationReport] = [*item.acquisitions, *item.verifications]
        for each in shown:
            attached = files.get(each.path)
            if attached is None:
                yield ReportCheck("record.attached", _NOT_CHECKED, f"{each.path} is not attached")
                continue
            same = _same_json(each.record, attached.data) and hashlib.sha256(attached.data).hexdigest() == each.sha256
            yield _check("record.same", same, each.path, "the report shows what the record says")
        for acquired in item.acquisitions:
            path = acquired.path.removesuffix(".record.json") + ".map"
            if path in files:
                same = _medium(acquired.record, files[path].data) == acquired.medium
                yield _check("map.same", same, path, "the report shows what the map says")
        for transfer in item.transfers:
            path = f"transfers/{transfer.identifier}.{'receipt' if transfer.received else 'release'}.json"
            if path in files:
                yield _check(
                    "transfer.same", _same_transfer(transfer, files[path].data), path, "shown as it was signed"
                )
            elif files:
                yield ReportCheck("record.attached", _NOT_CHECKED, f"{path} is not attached")


class ShownEvents:
    """Compares the entries that a report shows with those of the ledger, as they go by."""

    def __init__(self, facts: LedgerFacts) -> None:
        self._facts = facts
        self._left = {event.seq: event for event in facts.events}
        self._same = len(self._left) == len(facts.events)

    def visit(self, entry: LedgerEntry) -> None:
        """Take one entry of the ledger, in order."""
        shown = self._left.pop(entry.seq, None)
        if shown is not None and to_json(event_of(entry)) != to_json(shown):
            self._same = False

    def check(self, audited: LedgerReport) -> Iterator[ReportCheck]:
        """Yield what was found when the ledger has gone by; ``audited`` is what its audit found."""
        same = audited.head == self._facts.head
        words = "ends where the report says" if same else "does not end where the report says: it was cut or extended"
        yield ReportCheck("ledger.head", _PASSED if same else _FAILED, f"the ledger {words}")
        listed = self._same and not self._left
        words = "are those of the ledger" if listed else "are not those of the ledger"
        yield ReportCheck("ledger.events", _PASSED if listed else _FAILED, f"the entries in the report {words}")
        shown = {(each.fingerprint, each.name, each.first_seq) for each in self._facts.signers}
        same = shown == {(each.fingerprint, each.name, each.first_seq) for each in audited.signers}
        words = "are those of the ledger" if same else "are not those of the ledger"
        yield ReportCheck("ledger.signers", _PASSED if same else _FAILED, f"the signers in the report {words}")


def _check(code: str, same: bool, path: str, words: str) -> ReportCheck:
    if same:
        return ReportCheck(code, _PASSED, f"{path}: {words}")
    return ReportCheck(code, _FAILED, f"{path}: the report shows something else")


def _medium(record: AcquisitionRecord, data: bytes) -> tuple[MediumRange, ...] | None:
    if record.map.sha256 not in (None, hashlib.sha256(data).hexdigest()):
        return None
    return medium_of(data, record)[0]


def _same_case(report: CaseReport, data: bytes) -> bool:
    try:
        return parse_case(data, "case.toml") == report.case
    except CaseFileError:
        return False


def _same_json(record: object, data: bytes) -> bool:
    try:
        return bool(json.loads(data) == json.loads(json.dumps(to_json(record))))
    except (ValueError, RecursionError):
        return False


def _same_transfer(shown: TransferRecord, data: bytes) -> bool:
    try:
        return from_json(TransferRecord, json.loads(data), where="hand-over") == shown
    except (ValueError, RecursionError, RecordFormatError):
        return False
