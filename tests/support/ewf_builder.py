"""Builds small EWF images section by section, so that a test can put anything anywhere."""

from __future__ import annotations

import hashlib
import random
import zlib
from array import array
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, field

from forensiq.images.ewf.header import build_header, build_header2
from forensiq.images.ewf.layout import (
    COMPRESSED,
    DESCRIPTOR_SIZE,
    DigestBody,
    ErrorTable,
    FileHeader,
    HashBody,
    SectionDescriptor,
    Volume,
    adler32,
    pack_table,
)
from forensiq.images.ewf.segment import segment_path
from forensiq.model.image import ImageMetadata

__all__ = ["EwfBuilder", "mixed_media"]


def mixed_media(size: int, seed: int = 1) -> bytes:
    """Return ``size`` bytes: zeros, text and noise in turn, 20,000 bytes each."""
    noise = random.Random(seed)
    pieces = []
    for index in range(size // 20000 + 1):
        kind = index % 3
        if kind == 0:
            pieces.append(bytes(20000))
        elif kind == 1:
            pieces.append((f"line {index} of some text that repeats itself\n".encode() * 600)[:20000])
        else:
            pieces.append(noise.randbytes(20000))
    return b"".join(pieces)[:size]


class EwfBuilder(Struct):
    """A description of an image; :meth:`write` makes its files."""

    media: bytes
    sectors_per_chunk: int = 8
    bytes_per_sector: int = 512
    chunks_per_table: int = 5
    tables_per_segment: int = 1000
    set_identifier: bytes = bytes(range(16))
    absolute: bool = False
    metadata: ImageMetadata = field(
        default_factory=lambda: ImageMetadata(case_number="2026-1", examiner="Ä. Lee", notes="notes")
    )
    unreadable: Sequence[tuple[int, int]] = ()
    digests: bool = True
    tail: bytes = b""

    def volume(self) -> Volume:
        chunk = self.sectors_per_chunk * self.bytes_per_sector
        return Volume(
            chunks=-(-len(self.media) // chunk),
            sectors_per_chunk=self.sectors_per_chunk,
            bytes_per_sector=self.bytes_per_sector,
            sectors=len(self.media) // self.bytes_per_sector,
            compression=1,
            set_identifier=self.set_identifier,
        )

    def write(self, stem: Path) -> list[Path]:
        """Write ``stem.E01`` and so on; return the paths."""
        chunk = self.sectors_per_chunk * self.bytes_per_sector
        chunks = [self.media[at : at + chunk] for at in range(0, len(self.media), chunk)]
        if self.tail:
            chunks[-1] += self.tail
        groups = [chunks[at : at + self.chunks_per_table] for at in range(0, len(chunks), self.chunks_per_table)]
        files = [groups[at : at + self.tables_per_segment] for at in range(0, len(groups), self.tables_per_segment)]
        paths = []
        for number, part in enumerate(files, 1):
            path = segment_path(stem, number)
            path.write_bytes(self._segment(number, part, last=number == len(files)))
            paths.append(path)
        return paths

    def _segment(self, number: int, groups: Sequence[Sequence[bytes]], *, last: bool) -> bytes:
        out = bytearray(FileHeader(number).pack())
        volume = self.volume().pack()
        if number == 1:
            header2 = zlib.compress(build_header2(self.metadata))
            _section(out, "header2", header2)
            _section(out, "header2", header2)
            _section(out, "header", zlib.compress(build_header(self.metadata)))
            _section(out, "volume", volume)
        else:
            _section(out, "data", volume)
        for group in groups:
            self._group(out, group)
        if last:
            if number == 1:
                _section(out, "data", volume)
            if self.unreadable:
                _section(out, "error2", ErrorTable(self.unreadable).pack())
            if self.digests:
                md5 = hashlib.md5(self.media + self.tail).digest()
                _section(out, "digest", DigestBody(md5, hashlib.sha1(self.media + self.tail).digest()).pack())
                _section(out, "hash", HashBody(md5).pack())
        kind = "done" if last else "next"
        out += SectionDescriptor(kind, len(out), 0).pack()
        return bytes(out)

    def _group(self, out: bytearray, chunks: Sequence[bytes]) -> None:
        start = len(out)
        base = 0 if self.absolute else start
        entries = array("I")
        body = bytearray()
        for data in chunks:
            offset = start + DESCRIPTOR_SIZE + len(body) - base
            packed = zlib.compress(data, 1)
            if len(packed) < len(data):
                entries.append(offset | COMPRESSED)
                body += packed
            else:
                entries.append(offset)
                body += data + adler32(data).to_bytes(4, "little")
        _section(out, "sectors", bytes(body))
        table = pack_table(base, entries)
        _section(out, "table", table)
        _section(out, "table2", table)


def _section(out: bytearray, kind: str, body: bytes) -> None:
    size = DESCRIPTOR_SIZE + len(body)
    out += SectionDescriptor(kind, len(out) + size, size).pack() + body
