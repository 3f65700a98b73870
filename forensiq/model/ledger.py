"""The ledger of a case: what one signed line says, where it ends, and what a hand-over records.

Times are RFC 3339 in UTC; ``monotonic_us`` and ``clock_offset_us`` are microseconds; digests are lower-case hex.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from forensiq.model.finding import Finding
from forensiq.model.jsonable import Json

__all__ = [
    "NO_HASH",
    "CountersignatureFacts",
    "FileDigest",
    "LedgerEntry",
    "LedgerHead",
    "LedgerReport",
    "SealFacts",
    "SignerFacts",
    "TimestampFacts",
    "TransferFacts",
    "TransferRecord",
]

NO_HASH = "0" * 64
"""``previous`` of the first entry, and ``last_hash`` of an empty ledger."""


class LedgerHead(Struct, frozen=True):
    """Where a ledger ends: number of entries, sequence number and SHA-256 of the last line (without its newline).

    Written into records, seals and reports, so that a ledger that was cut short shows. ``seq`` is 0 if it is empty.
    """

    count: int
    seq: int
    last_hash: str


class LedgerEntry(Struct, frozen=True):
    """One event. ``key`` is the raw Ed25519 public key in hexadecimal, ``signature`` that over all other fields.

    ``digests`` maps paths in the case folder to the SHA-256 of the file. ``boot`` names the start of the machine that
    ``monotonic_us`` counts from; ``clock_offset_us`` is clock minus reference, ``None`` where it is not known.
    ``hash`` is the SHA-256 of the whole line and not part of it.
    """

    seq: int
    utc: str
    monotonic_us: int
    boot: str
    clock_offset_us: int | None
    actor: str
    action: str
    parameters: Mapping[str, Json]
    result: Mapping[str, Json]
    digests: Mapping[str, str]
    previous: str
    key: str
    signature: str
    hash: str


class SignerFacts(Struct, frozen=True):
    """A key that signed. ``name`` is what the key says of itself; ``trusted_as`` is who you said it is, if you did."""

    fingerprint: str
    name: str
    first_seq: int
    last_seq: int
    entries: int
    trusted_as: str | None = None


class LedgerReport(Struct, frozen=True):
    """What the audit of a ledger found. ``intact`` is ``False`` if any finding is an error."""

    head: LedgerHead
    intact: bool
    findings: tuple[Finding, ...]
    signers: tuple[SignerFacts, ...]


class FileDigest(Struct, frozen=True):
    """One file: path relative to the case folder, size in bytes, digests."""

    path: str
    size: int
    md5: str
    sha256: str


class TransferRecord(Struct, frozen=True):
    """One hand-over of an item, enough for a receipt.

    ``before`` and ``after`` are the files of the item as hashed before and after the hand-over; ``after`` is empty
    until that was done. ``matches_ledger`` compares ``before`` with the digests that the ledger has; ``match`` compares
    ``before`` with ``after`` (``None`` where there is nothing to compare yet). ``findings`` say what differs.
    Fingerprints are the SHA-256 of the signing keys; the receiver's is empty until they countersign.
    """

    identifier: str
    case_number: str
    agency: str
    item: str
    description: str
    released_by: str
    received_by: str
    purpose: str
    authority: str
    location: str
    seal_out: str
    seal_in: str
    condition: str
    released: str
    received: str | None
    before: tuple[FileDigest, ...]
    after: tuple[FileDigest, ...]
    matches_ledger: bool | None
    match: bool | None
    released_fingerprint: str = ""
    received_fingerprint: str = ""
    findings: tuple[Finding, ...] = ()
    notes: str = ""
    ledger_head: LedgerHead | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    schema: str = "forensiq/transfer/1"


class TransferFacts(Struct, frozen=True):
    """A hand-over as it was checked. ``receipt_valid`` is ``None`` until the receiver countersigns.

    ``match`` compares the files before and after (``None``: not hashed afterwards). Names are the statements' own
    words; ``…_trusted_as`` is who you said the key is.
    """

    number: str
    item: str
    released_by: str
    released: str
    release_valid: bool
    releaser_trusted_as: str | None
    received_by: str
    received: str | None
    receipt_valid: bool | None
    receiver_trusted_as: str | None
    match: bool | None


class TimestampFacts(Struct, frozen=True):
    """A time stamp (RFC 3161) over the signature of a seal.

    ``authority`` is the subject of the certificate that signed it. ``trusted`` is ``True`` only if it was checked
    against a root certificate that you gave; else the stamp is intact, and who gave it is not known.
    """

    at: str
    authority: str
    policy: str
    serial: str
    trusted: bool


class CountersignatureFacts(Struct, frozen=True):
    """Somebody else's signature of a seal; ``valid`` if it holds."""

    name: str
    role: str
    statement: str
    at: str
    fingerprint: str
    valid: bool
    trusted_as: str | None = None


class SealFacts(Struct, frozen=True):
    """A seal as it was found. ``code`` is for the paper form; ``valid`` says that its own signature holds.

    ``files`` and ``bytes`` are what the manifest lists; ``ledger_head`` is the head that the seal pins.
    """

    number: str
    case_number: str
    created: str
    signer: str
    fingerprint: str
    code: str
    manifest_sha256: str
    files: int
    bytes: int
    ledger_head: LedgerHead
    valid: bool
    trusted_as: str | None = None
    timestamp: TimestampFacts | None = None
    countersignatures: tuple[CountersignatureFacts, ...] = ()
