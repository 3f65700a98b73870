"""The streams of an AFF4 image: compressed chunks in *bevies*, and the map that lays them out as a medium.

A bevy is a zip member with up to ``chunksInSegment`` chunks; its index has 12 bytes for each (place 8, size 4,
little-endian). A chunk that is stored with the full chunk size is not compressed. A map has entries of 28 bytes: place
on the medium, length, place in the target, number of the target in ``idx``. Source: *AFF4 Standard v1.0*.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from forensiq.errors import ImageFormatError
from forensiq.images.aff4.turtle import AFF4, Facts
from forensiq.images.aff4.volume import Volume
from forensiq.images.ewf.cache import BoundedCache
from forensiq.images.spans import Codec, Lost, Packed, Pattern, Plain, Span, Zeros

__all__ = ["ChunkedStream", "MapStream", "Stream", "SymbolicStream", "symbolic"]

_MOST_CHUNK = 64 << 20
_MOST_PER_BEVY = 1 << 20
_ENTRY = struct.Struct("<QI")
_MAP_ENTRY = struct.Struct("<QQQI")
_MOST_ENTRIES = 8 << 20
_CODECS = {
    "http://code.google.com/p/snappy/": Codec.SNAPPY,
    "https://code.google.com/p/snappy/": Codec.SNAPPY,
    "https://github.com/google/snappy": Codec.SNAPPY,
    "https://code.google.com/p/lz4/": Codec.LZ4,
    "https://github.com/lz4/lz4": Codec.LZ4,
    "https://tools.ietf.org/html/rfc1951": Codec.DEFLATE,
    "https://www.ietf.org/rfc/rfc1951.txt": Codec.DEFLATE,
    "https://tools.ietf.org/html/rfc1950": Codec.ZLIB,
    "https://www.ietf.org/rfc/rfc1950.txt": Codec.ZLIB,
}
_STORED = frozenset(
    {"", f"{AFF4}NullCompressor", f"{AFF4}compression/stored", "https://www.iana.org/assignments/stored"}
)


@dataclass(frozen=True, slots=True)
class SymbolicStream:
    """A stream without end of one text; ``status`` is ``zero``, ``unreadable``, ``unknown`` or ``symbol``."""

    text: bytes
    status: str

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """Yield what ``length`` bytes from ``offset`` on are."""
        yield Zeros(length) if self.status == "zero" else Pattern(length, self.text, offset % len(self.text))


def symbolic(name: str) -> SymbolicStream | None:
    """Return the stream that AFF4 itself defines under ``name``; ``None`` where it does not."""
    short = name.removeprefix(AFF4)
    if short == "Zero":
        return SymbolicStream(b"\0", "zero")
    if short == "UnreadableData":
        return SymbolicStream(b"UNREADABLEDATA", "unreadable")
    if short == "UnknownData":
        return SymbolicStream(b"UNKNOWN", "unknown")
    code = short.removeprefix("SymbolicStream")
    if short != code and len(code) == 2 and not set(code.upper()) - set("0123456789ABCDEF"):
        value = int(code, 16)
        return SymbolicStream(bytes([value]), "symbol" if value else "zero")
    return None


class ChunkedStream:
    """An ``ImageStream``. Thread-safe."""

    def __init__(self, path: Path, name: str, facts: Facts, volume: Volume) -> None:
        self.name = name
        self.volume = volume
        self.size = facts.number(name, "size") or 0
        self.chunk = facts.number(name, "chunkSize") or 32_768
        self.per_bevy = facts.number(name, "chunksInSegment") or 1024
        method = facts.text(name, "compressionMethod")
        if method not in _STORED and method not in _CODECS:
            raise ImageFormatError(
                f"{path}: compressed in a way that forensiq does not know: {method}", path=str(path), method=method
            )
        if not 512 <= self.chunk <= _MOST_CHUNK or not 1 <= self.per_bevy <= _MOST_PER_BEVY:
            raise ImageFormatError(f"{path}: chunks of {self.chunk} bytes are not possible", path=str(path))
        self.codec = _CODECS.get(method)
        self._bevies: BoundedCache[int, tuple[int, int, bytes] | None] = BoundedCache(16 << 20)

    def bevy(self, number: int) -> tuple[int, int, bytes] | None:
        """Return place and size of a bevy in its file, and its index; ``None`` where one of them is missing."""
        found = self._bevies.get(number)
        if found is not None:
            return found
        part = f"/{number:08d}"
        member = self.volume.find(self.name, part)
        table = self.volume.find(self.name, f"{part}.index") or self.volume.find(self.name, f"{part}/index")
        index = None if table is None else self.volume.read(table, self.per_bevy * _ENTRY.size)
        if member is None or member.packed or index is None:
            return None
        found = (self.volume.place(member), member.stored, index)
        self._bevies.put(number, found, len(index) + 128)
        return found

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """Yield what ``length`` bytes from ``offset`` of the stream on are."""
        end = offset + length
        while offset < end:
            number, skip = divmod(offset, self.chunk)
            count = min(end - offset, self.chunk - skip)
            if offset >= self.size:
                yield Lost(end - offset, "aff4.stream", "the map names bytes behind the end of a stream", None)
                return
            yield self._chunk(number, skip, min(count, self.size - offset))
            offset += min(count, self.size - offset)

    def _chunk(self, number: int, skip: int, count: int) -> Span:
        file = self.volume.index
        bevy, position = divmod(number, self.per_bevy)
        found = self.bevy(bevy)
        if found is None:
            return Lost(count, "aff4.bevy", f"segment {bevy} of a stream, or its index, is missing or damaged", file)
        place, size, index = found
        if (position + 1) * _ENTRY.size > len(index):
            return Lost(count, "aff4.index", f"the index of segment {bevy} ends before it", file)
        at, stored = _ENTRY.unpack_from(index, position * _ENTRY.size)
        if at + stored > size:
            return Lost(count, "aff4.index", f"a chunk of segment {bevy} does not lie in it", file)
        left = self.size - number * self.chunk
        if self.codec is None or stored == self.chunk:
            if skip + count > stored:
                return Lost(count, "aff4.index", f"a chunk of segment {bevy} stores less than it must", file)
            return Plain(count, file, place + at + skip)
        least = left if left < self.chunk else 0
        return Packed(count, file, place + at, stored, skip, self.chunk, self.codec, least)


class MapStream:
    """A ``Map``: ranges of the medium, each from a target stream; gaps are of the default stream. Thread-safe."""

    def __init__(self, path: Path, size: int, data: bytes, targets: list[Stream], default: Stream) -> None:
        if len(data) % _MAP_ENTRY.size or len(data) // _MAP_ENTRY.size > _MOST_ENTRIES:
            raise ImageFormatError(f"{path}: the map of the AFF4 image is cut off or damaged", path=str(path))
        self.size = size
        rows = sorted(_MAP_ENTRY.iter_unpack(data))
        end = 0
        for offset, length, _, target in rows:
            if offset < end or target >= len(targets) or offset + length > size:
                raise ImageFormatError(f"{path}: the map of the AFF4 image is not possible", path=str(path))
            end = offset + length
        self.rows = [row for row in rows if row[1]]
        self._starts = [row[0] for row in self.rows]
        self.targets = targets
        self.default = default

    def parts(self, offset: int, length: int) -> Iterator[tuple[int, int, int, Stream]]:
        """Yield (place, length, place in the stream, stream) for a range of the medium, gaps included."""
        end = offset + length
        index = bisect_right(self._starts, offset) - 1
        while offset < end:
            first, size, at, target = self.rows[index] if index >= 0 else (0, 0, 0, 0)
            if offset >= first + size:
                index += 1
                following = self._starts[index] if index < len(self._starts) else self.size
                if following > offset:
                    count = min(end, following) - offset
                    yield offset, count, offset, self.default
                    offset += count
                continue
            count = min(end, first + size) - offset
            yield offset, count, at + offset - first, self.targets[target]
            offset += count

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """Yield what ``length`` bytes from ``offset`` of the medium on are."""
        for _, count, at, stream in self.parts(offset, length):
            yield from stream.spans(at, count)


Stream = ChunkedStream | SymbolicStream | MapStream
