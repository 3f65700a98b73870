"""Gathers from a case folder what a report shows: records, maps, hand-overs, the ledger; each hashed as it is read.

Every file is read once; what is attached is what was hashed. A file that differs from what the ledger binds it to, or
that cannot be read, is a finding of the report, never left out in silence.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping

from msgspec import Struct, field

from forensiq.custody.audit import ledger_finding
from forensiq.custody.case_folder import CaseFolder, inside, open_plain
from forensiq.errors import CustodyError, ImageFormatError, RecordFormatError
from forensiq.model.case import Case, EvidenceItem
from forensiq.model.extent import Extent
from forensiq.model.finding import Finding, Severity
from forensiq.model.from_json import from_json
from forensiq.model.ledger import LedgerHead, TransferRecord
from forensiq.model.mapfile import parse_mapfile
from forensiq.model.records import AcquisitionRecord, VerificationRecord
from forensiq.model.report import (
    AcquisitionReport,
    AttachedFile,
    ItemReport,
    MediumRange,
    ReportFile,
    VerificationReport,
)
from forensiq.reports.attaching import attachment

__all__ = ["Gathered", "gather_files", "ledger_until", "medium_of"]

_LARGEST_FILE = 64 << 20
_LARGEST_ATTACHED = 128 << 20
_MOST_RANGES = 200_000
_ROLES = {
    ".record.json": "acquisition record",
    ".verification.json": "verification record",
    ".map": "map of the medium",
    ".log.txt": "acquisition log",
    ".blocks.csv": "block digests",
}
_NOT_ATTACHED = frozenset({"block digests"})


class Gathered(Struct):
    """What was found; filled by :func:`gather_files`."""

    items: list[ItemReport] = field(default_factory=list)
    files: list[ReportFile] = field(default_factory=list)
    attachments: list[AttachedFile] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def ledger_until(folder: CaseFolder, head: LedgerHead) -> bytes:
    """Return the ledger from its start to the entry that ``head`` names."""
    lines: list[bytes] = []
    for _, line in folder.ledger.lines():
        lines.append(line)
        if len(lines) >= head.count:
            break
    return b"".join(lines)


def gather_files(folder: CaseFolder, case: Case, bound: Mapping[str, tuple[str, int]], ledger: bytes) -> Gathered:
    """Return everything of the case but the ledger's own facts; ``bound`` maps paths to (SHA-256, entry)."""
    return _Gatherer(folder, case, bound).run(ledger)


def medium_of(data: bytes, record: AcquisitionRecord) -> tuple[tuple[MediumRange, ...] | None, str]:
    """Return the part of a map (its file's bytes) that ``record`` speaks of, or ``None`` and why there is none."""
    try:
        source, _ = parse_mapfile(data.decode("utf-8", "replace"))
        media = source.part(Extent(record.range.offset, record.range.length))
    except (ImageFormatError, ValueError) as error:
        return None, f"the map cannot be read: {error}"
    if len(media) > _MOST_RANGES:
        return None, f"the map has too many ranges: {len(media):,}"
    return tuple(MediumRange(extent, state.status.value) for extent, state in media), ""


class _Gatherer:
    def __init__(self, folder: CaseFolder, case: Case, bound: Mapping[str, tuple[str, int]]) -> None:
        self._folder = folder
        self._case = case
        self._bound = bound
        self._out = Gathered()
        self._room = _LARGEST_ATTACHED
        self._names: set[str] = {"report.json"}
        self._maps: dict[str, bytes] = {}
        self._acquired: dict[str, list[AcquisitionReport]] = {}
        self._verified: dict[str, list[VerificationReport]] = {}
        self._transfers: dict[str, TransferRecord] = {}

    def run(self, ledger: bytes) -> Gathered:
        found = [each for each in self._folder.walk() if each.kind == "file"]
        self._add("ledger.jsonl", "ledger", ledger)
        for each in found:
            if each.key == "case.toml":
                self._add(each.key, "case file", self._read(each.key, each.size))
        records: list[tuple[str, bytes]] = []
        for each in found:
            role = next((role for ending, role in _ROLES.items() if each.key.endswith(ending)), None)
            if each.key.startswith("evidence/") and role is not None:
                data = self._read(each.key, each.size)
                if data is None:
                    continue
                self._add(each.key, role, data)
                if role == "map of the medium":
                    self._maps[each.key] = data
                elif role.endswith("record"):
                    records.append((each.key, data))
            elif each.key.startswith("transfers/") and each.key.endswith(".json"):
                data = self._read(each.key, each.size)
                if data is not None:
                    self._add(each.key, "hand-over", data)
                    self._transfer(each.key, data)
        for key, data in records:
            self._record(key, data)
        self._items()
        return self._out

    def _read(self, key: str, size: int) -> bytes | None:
        if size > _LARGEST_FILE:
            self._finding("report.file_too_large", f"too large to be read for the report: {size:,} bytes", key)
            return None
        try:
            with open_plain(inside(self._folder.root, key)) as file, os.fdopen(os.dup(file.number), "rb") as data:
                return data.read(_LARGEST_FILE)
        except (CustodyError, OSError) as error:
            self._finding("report.file_unreadable", f"the file cannot be read: {error}", key)
            return None

    def _add(self, key: str, role: str, data: bytes | None) -> None:
        if data is None:
            return
        digest = hashlib.sha256(data).hexdigest()
        expected = self._bound.get(key)
        if expected is not None and expected[0] != digest:
            text = f"the file is not the one that ledger entry {expected[1]} speaks of"
            self._out.findings.append(ledger_finding("file.changed", text, key, expected=expected[0], found=digest))
        attached = None
        if role not in _NOT_ATTACHED and len(data) <= self._room:
            attached = self._name(key)
            self._room -= len(data)
        file = ReportFile(key, len(data), digest, role, attached)
        self._out.files.append(file)
        if attached is not None:
            self._out.attachments.append(attachment(file, data))

    def _name(self, key: str) -> str:
        plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in key)
        name, number = plain[-120:], 1
        while name in self._names:
            number += 1
            name = f"{number}-{plain[-110:]}"
        self._names.add(name)
        return name

    def _record(self, key: str, data: bytes) -> None:
        digest = hashlib.sha256(data).hexdigest()
        parts = key.split("/")
        identifier = parts[1] if len(parts) > 2 else parts[-1].split(".")[0]
        try:
            value = json.loads(data)
            if key.endswith(".verification.json"):
                checked = from_json(VerificationRecord, value, where=key)
                self._verified.setdefault(identifier, []).append(VerificationReport(checked, key, digest))
                return
            record = from_json(AcquisitionRecord, value, where=key)
        except (ValueError, RecursionError, RecordFormatError) as error:
            self._finding("report.record_invalid", f"not a record that this version reads: {error}", key)
            return
        medium, reason = self._medium(key.removesuffix(".record.json") + ".map", record)
        self._acquired.setdefault(identifier, []).append(AcquisitionReport(record, key, digest, medium, reason))

    def _medium(self, key: str, record: AcquisitionRecord) -> tuple[tuple[MediumRange, ...] | None, str]:
        data = self._maps.get(key)
        if data is None:
            return None, "there is no map beside the record"
        if record.map.sha256 is not None and hashlib.sha256(data).hexdigest() != record.map.sha256:
            self._finding("report.map_changed", "the map is not the one that the record speaks of", key)
            return None, "the map is not the one that the record speaks of"
        return medium_of(data, record)

    def _transfer(self, key: str, data: bytes) -> None:
        try:
            record = from_json(TransferRecord, json.loads(data), where=key)
        except (ValueError, RecursionError, RecordFormatError) as error:
            self._finding("report.record_invalid", f"not a hand-over that this version reads: {error}", key)
            return
        # Both sides write the hand-over; the receipt, which was written later, knows more.
        if record.received is not None or record.identifier not in self._transfers:
            self._transfers[record.identifier] = record

    def _items(self) -> None:
        known = {item.identifier: item for item in self._case.items}
        names = [
            *known,
            *sorted(
                {*self._acquired, *self._verified, *(each.item for each in self._transfers.values())} - known.keys()
            ),
        ]
        for name in names:
            item = known.get(name)
            if item is None:
                self._finding("report.item_unknown", f"{name} has records, but is no item of the case", name)
                item = EvidenceItem(name)
            transfers = sorted(
                (each for each in self._transfers.values() if each.item == name), key=lambda each: each.released
            )
            self._out.items.append(
                ItemReport(
                    item,
                    tuple(self._acquired.get(name, ())),
                    tuple(self._verified.get(name, ())),
                    None,
                    tuple(transfers),
                )
            )

    def _finding(self, code: str, message: str, where: str) -> None:
        self._out.findings.append(ledger_finding(code, message, where, severity=Severity.WARNING))
