"""The case report: everything that its renderers show, gathered beforehand. Values only; nothing is looked up later.

The JSON form of a report is :func:`forensiq.model.jsonable.to_json` of a :class:`CaseReport`; its keys are the field
names here. Times are RFC 3339 in UTC, sizes and offsets bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from forensiq.model.case import Case, EvidenceItem
from forensiq.model.extent import Extent
from forensiq.model.finding import Finding
from forensiq.model.jsonable import Json
from forensiq.model.ledger import LedgerHead, SealFacts, SignerFacts, TransferRecord
from forensiq.model.records import AcquisitionRecord, ToolFacts, VerificationRecord

__all__ = [
    "AcquisitionReport",
    "AttachedFile",
    "CaseReport",
    "CustodyEvent",
    "Examination",
    "ExaminedFile",
    "ExaminedVolume",
    "ItemReport",
    "LedgerFacts",
    "MediumRange",
    "Redaction",
    "ReportFile",
    "ReportPackage",
    "VerificationReport",
]


class ReportFile(Struct, frozen=True):
    """A file that the report speaks of: path relative to the case folder, size in bytes, SHA-256.

    ``attached_as`` is its name among the attachments; ``None`` where it is not attached.
    """

    path: str
    size: int
    sha256: str
    role: str
    attached_as: str | None = None


class MediumRange(Struct, frozen=True):
    """A range of the medium with its status in the map (``read``, ``unreadable`` …)."""

    media: Extent
    status: str


class AcquisitionReport(Struct, frozen=True):
    """One acquisition of an item: its record, and what its map says.

    ``medium`` is ``None`` where there is no map at hand, or none that could be read; ``medium_missing`` says why.
    """

    record: AcquisitionRecord
    path: str
    sha256: str
    medium: tuple[MediumRange, ...] | None = None
    medium_missing: str = ""


class VerificationReport(Struct, frozen=True):
    """One verification of an item, from a record file or from the ledger (``path`` then names the entry)."""

    record: VerificationRecord
    path: str
    sha256: str


class ExaminedVolume(Struct, frozen=True):
    """One volume of an item; ``unavailable`` says why a value is ``None``."""

    index: int | None
    offset: int
    length: int
    type: str | None
    file_system: str | None
    label: str | None
    encryption: str | None
    files: int | None = None
    deleted: int | None = None
    unavailable: Mapping[str, str] = field(default_factory=dict)


class ExaminedFile(Struct, frozen=True):
    """A file that a finding is about; ``confidence`` says how far a recovered file can be relied on."""

    path: str
    inode: str | None
    offset: int | None
    sha256: str | None
    confidence: str | None
    note: str = ""


class Examination(Struct, frozen=True):
    """What was looked at inside an item. ``affected`` are files that unreadable or damaged sectors fall in;
    ``affected_not_listed`` counts further ones."""

    image: str
    volumes: tuple[ExaminedVolume, ...] = ()
    files: tuple[ExaminedFile, ...] = ()
    affected: tuple[ExaminedFile, ...] | None = None
    affected_missing: str = "not looked for"
    affected_not_listed: int = 0
    findings: tuple[Finding, ...] = ()


class ItemReport(Struct, frozen=True):
    """One item of evidence and all that was done with it, in the order of time."""

    item: EvidenceItem
    acquisitions: tuple[AcquisitionReport, ...] = ()
    verifications: tuple[VerificationReport, ...] = ()
    examination: Examination | None = None
    transfers: tuple[TransferRecord, ...] = ()


class CustodyEvent(Struct, frozen=True):
    """One entry of the ledger, as the report lists it; ``hash`` is that of the entry."""

    seq: int
    utc: str
    actor: str
    action: str
    parameters: Mapping[str, Json]
    result: Mapping[str, Json]
    key: str
    hash: str


class LedgerFacts(Struct, frozen=True):
    """The ledger when the report was made: where it ended, and what its audit found."""

    path: str
    head: LedgerHead
    intact: bool
    findings: tuple[Finding, ...]
    signers: tuple[SignerFacts, ...]
    events: tuple[CustodyEvent, ...]


class Redaction(Struct, frozen=True):
    """What makes a copy of a report a redacted one.

    ``full_sha256`` is the digest of the full report's file: only who has that file can show what was taken out.
    ``kinds`` are the kinds of values that were replaced, ``replaced`` how many values that were.
    """

    full_sha256: str
    full_name: str
    kinds: tuple[str, ...]
    replaced: int
    reason: str


class CaseReport(Struct, frozen=True):
    """A report on a case. ``identifier`` is random; ``signer`` says who will sign the report, as far as is known.

    ``wording`` holds the case template's texts by name (``title``, ``purpose``, ``statement``, ``limitations``,
    ``closing``), ``labels`` its names for the case's own fields.
    """

    identifier: str
    made: str
    made_by: str
    case: Case
    items: tuple[ItemReport, ...]
    ledger: LedgerFacts | None
    ledger_missing: str
    files: tuple[ReportFile, ...]
    tool: ToolFacts
    signer: str
    seal_code: str | None = None
    seals: tuple[SealFacts, ...] = ()
    findings: tuple[Finding, ...] = ()
    wording: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    redaction: Redaction | None = None
    schema: str = "forensiq/case-report/1"


class AttachedFile(Struct, frozen=True):
    """A file that travels inside a report, byte for byte."""

    name: str
    media_type: str
    description: str
    data: bytes


class ReportPackage(Struct, frozen=True):
    """A report and the files that travel with it."""

    report: CaseReport
    attachments: tuple[AttachedFile, ...] = ()
