"""The streams of an AFF4 image: compressed chunks in *bevies*, and the map that lays them out as a medium.

A bevy is a zip member with up to ``chunksInSegment`` chunks; its index has 12 bytes for each (place 8, size 4,
little-endian). A chunk that is stored with the full chunk size is not compressed. A map has entries of 28 bytes: place
on the medium, length, place in the target, number of the target in ``idx``. Source: *AFF4 Standard v1.0*.
"""

from __future__ import annotations

import hashlib
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from forensiq.errors import ImageFormatError
from forensiq.images.aff4.turtle import AFF4, Facts
from forensiq.images.aff4.volume import Member, Volume
from forensiq.images.ewf.cache import BoundedCache
from forensiq.images.spans import Codec, Lost, Packed, Pattern, Plain, Proof, Span, Zeros

__all__ = ["BLOCK_DIGESTS", "Bevy", "BevyCache", "ChunkedStream", "MapStream", "Stream", "SymbolicStream", "symbolic"]

_MOST_CHUNK = 64 << 20
_MOST_PER_BEVY = 1 << 20
_ENTRY = struct.Struct("<QI")
_MAP_ENTRY = struct.Struct("<QQQI")
_MOST_ENTRIES, _MOST_UNSORTED = 16 << 20, 2 << 20
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


class SymbolicStream(Struct, frozen=True):
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


BLOCK_DIGESTS = ("md5", "sha1", "sha256", "sha512")
"""Digests that the chunks of a stream may have, those that are computed fastest first."""


class Bevy(NamedTuple):
    """Where a bevy is in its file, its index (``table``), and the digests of its chunks, where there are any."""

    place: int
    size: int
    table: bytes
    algorithm: str
    digests: bytes


BevyCache = BoundedCache[tuple[str, int], Bevy]
"""Bevies by the name of the stream and their number in it."""


class ChunkedStream:
    """An ``ImageStream``. Thread-safe. ``bevies`` is shared by all streams of an image, of which there may be many."""

    def __init__(self, path: Path, name: str, facts: Facts, volume: Volume, bevies: BevyCache) -> None:
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
        self._bevies = bevies

    @property
    def bevies(self) -> int:
        """How many bevies it has."""
        return -(-self.size // (self.chunk * self.per_bevy))

    def block_digests(self, number: int) -> tuple[str, Member] | None:
        """Return algorithm and member of the digests of the chunks of a bevy; ``None`` where there are none."""
        for name in BLOCK_DIGESTS:
            member = self.volume.find(self.name, f"/{number:08d}.blockHash.{name}")
            if member is not None:
                return name, member
        return None

    def bevy(self, number: int) -> Bevy | None:
        """Return a bevy with its index; ``None`` where one of them is missing."""
        found = self._bevies.get((self.name, number))
        if found is not None:
            return found
        part = f"/{number:08d}"
        member = self.volume.find(self.name, part)
        table = self.volume.find(self.name, f"{part}.index") or self.volume.find(self.name, f"{part}/index")
        index = None if table is None else self.volume.read(table, self.per_bevy * _ENTRY.size)
        if member is None or member.packed or index is None:
            return None
        found = Bevy(self.volume.place(member), member.stored, index, *self._digests(number))
        self._bevies.put((self.name, number), found, len(index) + len(found.digests) + 256)
        return found

    def _digests(self, number: int) -> tuple[str, bytes]:
        named = self.block_digests(number)
        if named is None:
            return "", b""
        data = self.volume.read(named[1], self.per_bevy * hashlib.new(named[0], usedforsecurity=False).digest_size)
        return named[0], data or b""

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
        if (position + 1) * _ENTRY.size > len(found.table):
            return Lost(count, "aff4.index", f"the index of segment {bevy} ends before it", file)
        at, stored = _ENTRY.unpack_from(found.table, position * _ENTRY.size)
        if at + stored > found.size:
            return Lost(count, "aff4.index", f"a chunk of segment {bevy} does not lie in it", file)
        left = self.size - number * self.chunk
        least = left if left < self.chunk else 0
        proof = _proof(found, position)
        if self.codec is None or stored == self.chunk:
            if skip + count > stored:
                return Lost(count, "aff4.index", f"a chunk of segment {bevy} stores less than it must", file)
            if proof is None:
                return Plain(count, file, found.place + at + skip)
            unit = min(stored, self.chunk)
            return Packed(count, file, found.place + at, unit, skip, unit, Codec.STORED, least, proof)
        return Packed(count, file, found.place + at, stored, skip, self.chunk, self.codec, least, proof)


def _proof(bevy: Bevy, position: int) -> Proof | None:
    if not bevy.digests:
        return None
    size = hashlib.new(bevy.algorithm, usedforsecurity=False).digest_size
    digest = bevy.digests[position * size : (position + 1) * size]
    return Proof(bevy.algorithm, digest) if len(digest) == size else None


class MapStream:
    """A ``Map``: ranges of the medium, each from a target stream; gaps are of the default stream. Thread-safe."""

    def __init__(self, path: Path, size: int, data: bytes, targets: list[Stream], default: Stream) -> None:
        if len(data) % _MAP_ENTRY.size or len(data) // _MAP_ENTRY.size > _MOST_ENTRIES:
            raise ImageFormatError(f"{path}: the map of the AFF4 image is cut off or damaged", path=str(path))
        self.size = size
        # Columns of numbers, and no tuples: a map may have millions of entries.
        self._starts, self._lengths, self._places = array("Q"), array("Q"), array("Q")
        self._numbers = array("I")
        end = 0
        for offset, length, at, target in _in_order(path, data):
            if offset < end or target >= len(targets) or offset + length > size:
                raise ImageFormatError(f"{path}: the map of the AFF4 image is not possible", path=str(path))
            end = offset + length
            if length:
                self._starts.append(offset)
                self._lengths.append(length)
                self._places.append(at)
                self._numbers.append(target)
        self.targets = targets
        self.default = default

    def parts(self, offset: int, length: int) -> Iterator[tuple[int, int, int, Stream]]:
        """Yield (place, length, place in the stream, stream) for a range of the medium, gaps included."""
        end = offset + length
        index = bisect_right(self._starts, offset) - 1
        while offset < end:
            first, size, at, target = self._row(index) if index >= 0 else (0, 0, 0, 0)
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

    def _row(self, index: int) -> tuple[int, int, int, int]:
        return self._starts[index], self._lengths[index], self._places[index], self._numbers[index]

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """Yield what ``length`` bytes from ``offset`` of the medium on are."""
        for _, count, at, stream in self.parts(offset, length):
            yield from stream.spans(at, count)


def _in_order(path: Path, data: bytes) -> Iterable[tuple[int, int, int, int]]:
    """Return the entries of a map by their place; most maps are in that order as they are stored."""
    before = -1
    for offset, _, _, _ in _MAP_ENTRY.iter_unpack(data):
        if offset < before:
            break
        before = offset
    else:
        return _MAP_ENTRY.iter_unpack(data)
    if len(data) // _MAP_ENTRY.size > _MOST_UNSORTED:
        raise ImageFormatError(f"{path}: a map of that size must be in order, and is not", path=str(path))
    return sorted(_MAP_ENTRY.iter_unpack(data))


Stream = ChunkedStream | SymbolicStream | MapStream
