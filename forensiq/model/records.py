"""The records of forensic steps: everything that was observed, ready to be written, signed and reported.

The JSON form of a record is :func:`forensiq.model.jsonable.to_json` of it; its keys are the field names here and are a
contract (the command-line reference). Times are RFC 3339 in UTC, sizes and offsets bytes of the medium.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from forensiq.model.digest import DigestSet
from forensiq.model.finding import Finding
from forensiq.model.health import AskedCommand
from forensiq.model.image import ImageMetadata, Segment
from forensiq.model.ledger import LedgerHead
from forensiq.model.scope import ScopeFacts
from forensiq.model.source import SourceIdentity, WriteBlockState

__all__ = [
    "AcquiredRange",
    "AcquisitionRecord",
    "AffectedFile",
    "BlockDigestFacts",
    "ClockFacts",
    "CloneFacts",
    "CopyFacts",
    "DamageFacts",
    "DestinationFacts",
    "DigestComparison",
    "ExcessFacts",
    "ImageFacts",
    "ImpactFacts",
    "Interruption",
    "MapFacts",
    "RateSample",
    "SinceFacts",
    "ToolFacts",
    "UnreadableRange",
    "VerificationRecord",
]


class UnreadableRange(Struct, frozen=True):
    """Sectors that could not be read and were filled; ``first_lba`` and ``sectors`` in sectors of the source."""

    offset: int
    length: int
    first_lba: int
    sectors: int
    errno: int | None


class Interruption(Struct, frozen=True):
    """One break of an acquisition: when, how far it had come (bytes of the medium), why."""

    at: str
    offset: int
    reason: str


class AcquiredRange(Struct, frozen=True):
    """Which part of the source was acquired; ``whole`` says that it was all of it."""

    offset: int
    length: int
    whole: bool
    partition: int | None = None
    statement: str = ""


class ImageFacts(Struct, frozen=True):
    """The image that was written. ``path`` is the stem; segment paths are relative to its folder, or absolute."""

    format: str
    path: str
    segments: tuple[Segment, ...]
    media_size: int
    sector_size: int
    chunk_size: int | None = None
    compression: str | None = None
    segment_size: int | None = None
    set_identifier: str | None = None


class CopyFacts(Struct, frozen=True):
    """A second destination, written at the same time; ``failure`` says why it has no valid image."""

    image: ImageFacts | None
    failure: str | None = None
    verification: VerificationRecord | None = None


class ExcessFacts(Struct, frozen=True):
    """What lies behind the medium on the target of a clone; offset and length in bytes of the target.

    ``mode`` is ``keep`` or ``fill``. ``verdict`` is ``unchanged`` or ``changed`` (kept), ``zeros`` or ``not zeros``
    (filled), or ``not checked``.
    """

    mode: str
    offset: int
    length: int
    sha256_before: str | None = None
    sha256_after: str | None = None
    verdict: str = "not checked"


class CloneFacts(Struct, frozen=True):
    """The target of a clone. Sizes in bytes; ``truncated`` is what of the source had no room on it.

    ``held_data`` says by what it was seen to hold data before; ``confirmed`` how it was named the second time.
    """

    target: str
    kind: str
    size: int
    sector_size: int | None = None
    model: str | None = None
    serial: str | None = None
    held_data: str | None = None
    confirmed: str | None = None
    truncated: int = 0
    excess: ExcessFacts | None = None


class MapFacts(Struct, frozen=True):
    """The map beside the image, and how many bytes of the medium have which status."""

    path: str | None
    sha256: str | None
    bytes_by_status: Mapping[str, int]


class RateSample(Struct, frozen=True):
    """How fast the medium was read: from the sample before (or the start) up to byte ``offset`` of the medium.

    ``start`` is where the stretch begins if not there: what lies before it was not sampled.
    """

    offset: int
    bytes_per_second: float
    start: int | None = None


class SinceFacts(Struct, frozen=True):
    """The earlier acquisition of which an image stores only what changed: record and image by name, beside it.

    ``acquired`` is when that acquisition ended, ``image_digests`` what its record says of the medium. Blocks of
    ``block_size`` bytes were compared by their SHA-256.
    """

    record: str
    record_sha256: str
    image: str
    image_format: str
    image_digests: DigestSet
    block_size: int
    acquired: str
    statement: str


class BlockDigestFacts(Struct, frozen=True):
    """Digests of equal blocks of the medium, in a file beside the image; ``root`` is the digest of that list."""

    algorithm: str
    block_size: int
    blocks: int
    root: str
    path: str | None = None
    sha256: str | None = None


class DestinationFacts(Struct, frozen=True):
    """Where the image was written. ``blank`` says whether the folder held nothing before (``None``: not known)."""

    path: str
    filesystem: str | None = None
    device: str | None = None
    free_before: int | None = None
    worst_case: int | None = None
    blank: bool | None = None


class ClockFacts(Struct, frozen=True):
    """What is known of this machine's clock. ``offset_s`` is clock minus reference in seconds, where it is known."""

    local_utc_offset: str
    synchronized: bool | None = None
    offset_s: float | None = None
    method: str = ""


class ToolFacts(Struct, frozen=True):
    """The program that did the step. ``code_sha256`` is a digest over all its own files (path and content)."""

    name: str
    version: str
    code_sha256: str
    python: str
    operating_system: str
    host: str
    user: str
    libraries: Mapping[str, str]


class DigestComparison(Struct, frozen=True):
    """One algorithm: computed now, stored in the image, in the record. ``match`` is ``None`` with no reference."""

    computed: str | None
    stored: str | None
    record: str | None
    match: bool | None


class DamageFacts(Struct, frozen=True):
    """A damaged range of the medium; the keys are a contract."""

    offset: int
    length: int
    first_lba: int
    sectors: int
    segment: str | None
    code: str
    reason: str


class AffectedFile(Struct, frozen=True):
    """A file that unreadable or damaged sectors fall in.

    ``kind`` is ``content``, ``directory`` or ``inode``; ``bytes`` are missing of ``size``, ``share`` (0 to 1) of the
    content. ``path_hex`` has the exact bytes of a path that is not UTF-8.
    """

    partition: int
    path: str
    inode: int
    stream: str | None
    kind: str
    bytes: int
    size: int | None
    share: float | None
    path_hex: str | None = None


class ImpactFacts(Struct, frozen=True):
    """What unreadable or damaged sectors fall in, in bytes by kind, with the files that lost most.

    ``files_hit`` counts the files with missing content; of ``files`` only the first are listed, ``files_not_listed``
    more are known. ``not_read`` counts places that the analysis could not look into.
    """

    summary: str
    damaged_bytes: int
    bytes_by_kind: Mapping[str, int]
    files_hit: int
    files: tuple[AffectedFile, ...]
    files_not_listed: int = 0
    not_read: int = 0


class VerificationRecord(Struct, frozen=True):
    """What a verification found.

    ``verdict`` is ``verified``, ``damaged``, ``mismatch`` or ``no_reference``; ``structure`` holds findings on the
    container; ``segments`` compares each file with the record; ``second_opinion`` is what another reader said.
    ``scope`` says how much was checked; ``partial_by_scope`` is the statement of an image that holds only part of its
    medium, on purpose.
    """

    image: str
    format: str
    size: int
    sector_size: int
    verdict: str
    summary: str
    digests: Mapping[str, DigestComparison]
    damage: tuple[DamageFacts, ...]
    structure: tuple[Finding, ...]
    segments: tuple[Segment, ...]
    started: str
    finished: str
    elapsed_s: float
    bytes_per_second: float
    reference: str = ""
    scope: str = "full"
    read_back: bool = False
    second_opinion: Mapping[str, str] | None = None
    details: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    tool: ToolFacts | None = None
    impact: ImpactFacts | None = None
    ledger_head: LedgerHead | None = None
    partial_by_scope: str | None = None
    schema: str = "forensiq/verification/1"


class AcquisitionRecord(Struct, frozen=True):
    """Everything that was observed while evidence was acquired.

    ``status`` is ``complete``, ``complete_with_unreadable_sectors``, ``interrupted`` or ``failed``; ``failure`` and
    ``exit_code`` say why a run did not come to its end. ``preflight`` has the checks before it, ``probe_commands``
    every command that was sent to the drive for them. ``digests`` are of the media bytes as stored (fill and padding
    included); ``source_digests`` of the unpadded ones where they differ. In a case, ``item`` is the exhibit and
    ``ledger_head`` where the ledger ended when the step had begun: a shorter ledger was cut. With a ``scope`` only part
    of the medium was taken: the digests are of the bytes that were taken, in their order, and the map says which. With
    ``since`` the image is only readable together with an earlier one.
    """

    status: str
    summary: str
    source: SourceIdentity
    write_block: WriteBlockState
    metadata: ImageMetadata
    range: AcquiredRange
    digests: DigestSet
    image: ImageFacts | None
    unreadable: tuple[UnreadableRange, ...]
    map: MapFacts
    started: str
    finished: str
    elapsed_s: float
    bytes_per_second: float
    command: tuple[str, ...]
    tool: ToolFacts
    clock: ClockFacts
    destination: DestinationFacts
    padding_bytes: int = 0
    source_digests: DigestSet | None = None
    digest_coverage: str = ""
    sittings: int = 1
    interruptions: tuple[Interruption, ...] = ()
    block_digests: BlockDigestFacts | None = None
    verification: VerificationRecord | None = None
    copies: tuple[CopyFacts, ...] = ()
    clone: CloneFacts | None = None
    preflight: Mapping[str, str] = field(default_factory=dict)
    probe_commands: tuple[AskedCommand, ...] = ()
    statistics: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    reading: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    rates: tuple[RateSample, ...] = ()
    impact: ImpactFacts | None = None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    failure: str | None = None
    exit_code: int = 0
    item: str | None = None
    derived_from: Mapping[str, str] = field(default_factory=dict)
    ledger_head: LedgerHead | None = None
    scope: ScopeFacts | None = None
    since: SinceFacts | None = None
    schema: str = "forensiq/acquisition/1"
