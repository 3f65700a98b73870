"""What an E01 is to be, checked before anything is written."""

from __future__ import annotations

import uuid
import zlib
from pathlib import Path

from msgspec import Struct, field

from forensiq.errors import UsageError
from forensiq.images.ewf import header, layout
from forensiq.images.ewf.chunk import Compression
from forensiq.images.ewf.segment import check_segment_count
from forensiq.model.image import ImageMetadata

__all__ = [
    "DEFAULT_SEGMENT_SIZE",
    "EwfConfig",
    "closing_size",
    "front_of_first_segment",
    "front_of_later_segment",
    "section",
    "section_chunks",
    "segment_count_worst_case",
    "table_sections_size",
    "volume_of",
    "worst_case_size",
]

DEFAULT_SEGMENT_SIZE = 1500 * 1024 * 1024
SECTION_CHUNKS = 4096
"""Most chunks in a section: what a crash can lose, and what is left to hash when the last chunk is stored."""
MAX_SECTORS_PER_CHUNK = 32768
MAX_SECTOR_SIZE = 65536
_DATA_SIZE = layout.DESCRIPTOR_SIZE + layout.VOLUME_SIZE
_XHASH_SIZE = 1024
_ALLOWANCE = 1024 * 1024


class EwfConfig(Struct, frozen=True, kw_only=True):
    """Settings of an E01 in the layout of EnCase 6.

    ``stem`` is the path without extension. ``media_size`` in bytes, a multiple of ``sector_size``. ``segment_size`` in
    bytes, an upper limit (only a long list of unreadable sectors may take the last segment beyond it).
    ``set_identifier`` is the same in every segment; random where it is ``None``. ``media_flags`` and ``media_type`` are
    those of :mod:`~forensiq.images.ewf.layout`. ``xhash`` stores SHA-256 in a section that only libewf reads, and
    that makes ``ewfverify`` of 2014 fail when it is called without ``-d sha256``.
    """

    stem: Path
    media_size: int
    sector_size: int = 512
    metadata: ImageMetadata = field(default_factory=ImageMetadata)
    compression: Compression = Compression.FAST
    sectors_per_chunk: int = 64
    segment_size: int = DEFAULT_SEGMENT_SIZE
    set_identifier: uuid.UUID | None = None
    media_type: int = layout.MEDIA_TYPE_FIXED
    media_flags: int = layout.MEDIA_FLAG_IMAGE | layout.MEDIA_FLAG_PHYSICAL
    hash_segments: bool = True
    xhash: bool = False

    @property
    def chunk_size(self) -> int:
        """Bytes of the medium in one chunk."""
        return self.sectors_per_chunk * self.sector_size

    @property
    def chunks(self) -> int:
        """Chunks of the whole medium; the last one may be shorter."""
        return -(-self.media_size // self.chunk_size)

    def check(self) -> None:
        """Refuse, as a :class:`~forensiq.errors.UsageError`, what cannot be written as an E01."""
        _require(1 <= self.sector_size <= MAX_SECTOR_SIZE, "the sector size is out of range", size=self.sector_size)
        _require(
            1 <= self.sectors_per_chunk <= MAX_SECTORS_PER_CHUNK,
            f"an E01 has 1 to {MAX_SECTORS_PER_CHUNK} sectors in a chunk",
            sectors=self.sectors_per_chunk,
        )
        _require(self.media_size > 0, "an E01 of 0 bytes cannot be read by any program; there is nothing to store")
        _require(
            self.media_size % self.sector_size == 0,
            f"the size of an E01 is a whole number of sectors: {self.media_size} is no multiple of {self.sector_size}",
            size=self.media_size,
        )
        _require(
            self.chunks <= layout.MAX_CHUNKS,
            f"an E01 has at most {layout.MAX_CHUNKS} chunks",
            hint="choose more sectors in a chunk",
            chunks=self.chunks,
        )
        least = max(len(front_of_first_segment(self)), layout.FILE_HEADER_SIZE + _DATA_SIZE) + _section_size(self, 1)
        least += closing_size(self)
        _require(
            self.segment_size >= least,
            f"a segment of {self.segment_size} bytes has no room for one chunk; it takes {least}",
            hint="choose a larger segment size",
            segment_size=self.segment_size,
            least=least,
        )
        check_segment_count(segment_count_worst_case(self), self.segment_size)


def _require(condition: bool, message: str, *, hint: str | None = None, **facts: int) -> None:
    if not condition:
        raise UsageError(message, hint=hint, **facts)


def section(kind: str, offset: int, body: bytes) -> bytes:
    """Return a whole section that stands at ``offset``; the next one follows it."""
    size = layout.DESCRIPTOR_SIZE + len(body)
    return layout.SectionDescriptor(kind, offset + size, size).pack() + body


def volume_of(config: EwfConfig) -> layout.Volume:
    """Return what the volume and data sections say."""
    return layout.Volume(
        media_type=config.media_type,
        chunks=config.chunks,
        sectors_per_chunk=config.sectors_per_chunk,
        bytes_per_sector=config.sector_size,
        sectors=config.media_size // config.sector_size,
        media_flags=config.media_flags | layout.MEDIA_FLAG_IMAGE,
        compression=config.compression.level,
        error_granularity=config.sectors_per_chunk,
        set_identifier=config.set_identifier.bytes_le if config.set_identifier else bytes(16),
    )


def front_of_first_segment(config: EwfConfig) -> bytes:
    """Return what stands before the first chunk: file header, header2 twice, header, volume."""
    header2 = zlib.compress(header.build_header2(config.metadata), 6)
    header1 = zlib.compress(header.build_header(config.metadata), 6)
    front = layout.FileHeader(1).pack()
    for kind, body in (("header2", header2), ("header2", header2), ("header", header1)):
        front += section(kind, len(front), body)
    return front + section("volume", len(front), volume_of(config).pack())


def front_of_later_segment(config: EwfConfig, number: int) -> bytes:
    """Return what stands before the first chunk of a segment that is not the first: file header, data."""
    front = layout.FileHeader(number).pack()
    return front + section("data", len(front), volume_of(config).pack())


def table_sections_size(entries: int) -> int:
    """Bytes of ``table`` and ``table2`` together."""
    return 2 * (layout.DESCRIPTOR_SIZE + layout.table_body_size(entries))


def closing_size(config: EwfConfig) -> int:
    """Bytes kept free in each segment for what closes it, but for ``error2``."""
    last = layout.DIGEST_SIZE + layout.HASH_SIZE + 3 * layout.DESCRIPTOR_SIZE
    return _DATA_SIZE + last + (_XHASH_SIZE if config.xhash else 0)


def section_chunks(config: EwfConfig) -> int:
    """Most chunks in one ``sectors`` section when all of them are stored plain: 31 bits of offset are the limit."""
    stored = config.chunk_size + layout.ADLER_SIZE
    return min(SECTION_CHUNKS, (layout.MAX_TABLE_OFFSET - layout.DESCRIPTOR_SIZE) // stored)


def segment_count_worst_case(config: EwfConfig) -> int:
    """Segments needed when nothing compresses."""
    first = _capacity(config, len(front_of_first_segment(config)))
    later = _capacity(config, layout.FILE_HEADER_SIZE + _DATA_SIZE)
    return 1 + -(-max(0, config.chunks - first) // later)


def worst_case_size(config: EwfConfig) -> int:
    """Bytes of all files together, and the reserve, when nothing compresses and up to 65,000 ranges are unreadable."""
    segments = segment_count_worst_case(config)
    sections = -(-config.chunks // section_chunks(config)) + segments
    front = len(front_of_first_segment(config)) + (segments - 1) * (layout.FILE_HEADER_SIZE + _DATA_SIZE)
    chunks = config.media_size + config.chunks * (layout.ADLER_SIZE + 8)
    tables = sections * (layout.DESCRIPTOR_SIZE + table_sections_size(0))
    return front + chunks + tables + segments * closing_size(config) + _ALLOWANCE


def _section_size(config: EwfConfig, chunks: int) -> int:
    return layout.DESCRIPTOR_SIZE + chunks * (config.chunk_size + layout.ADLER_SIZE) + table_sections_size(chunks)


def _capacity(config: EwfConfig, front: int) -> int:
    """Chunks that a segment holds when all of them are stored plain."""
    room = config.segment_size - front - closing_size(config)
    whole, rest = divmod(room, _section_size(config, section_chunks(config)))
    more = (rest - _section_size(config, 0)) // (config.chunk_size + layout.ADLER_SIZE + 8)
    return whole * section_chunks(config) + max(0, more)
