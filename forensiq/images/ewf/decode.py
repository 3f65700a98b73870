"""One stored chunk to media bytes, with its checksum checked.

A compressed chunk is a zlib stream (RFC 1950), whose Adler-32 at its end covers the data. A chunk that is stored as it
is has an Adler-32 behind it, in little-endian order. Both are always checked. Output is bounded by the size of a chunk,
whatever a stream would expand to.
"""

from __future__ import annotations

import zlib

from isal import isal_zlib
from msgspec import Struct

from forensiq.images.ewf.layout import ADLER_SIZE, adler32

__all__ = ["DecodedChunk", "decode_chunk", "inflate_exactly", "plain_exactly", "stored_bound"]

_DEFLATE_ERROR: type[Exception] = getattr(isal_zlib, "error")  # noqa: B009 its stub says that it is no class


def stored_bound(size: int) -> int:
    """Most bytes that a chunk of ``size`` bytes may take up in a file: deflate's own overhead, and room for padding."""
    return size + size // 8 + 1024


class DecodedChunk(Struct, frozen=True):
    """What a stored chunk holds.

    ``data`` has exactly the size of the chunk. ``code`` is ``None`` for a chunk in order; else ``chunk.checksum`` (the
    bytes are as stored), ``chunk.inflate`` or ``chunk.length`` (what is not there is zeros). ``tail`` are bytes beyond
    the size of the chunk that its checksum covers too.
    """

    data: bytes | memoryview
    code: str | None = None
    reason: str = ""
    tail: bytes = b""


def inflate_exactly(stored: bytes | memoryview, size: int) -> bytes | None:
    """Return the ``size`` bytes of a compressed chunk that is in every way in order; ``None`` for any other."""
    stream = isal_zlib.decompressobj()
    try:
        data: bytes = stream.decompress(stored, size + 1)
    except _DEFLATE_ERROR:
        return None
    return data if len(data) == size and stream.eof else None


def plain_exactly(stored: memoryview, size: int) -> memoryview | None:
    """Return the ``size`` bytes of an uncompressed chunk that is in every way in order; ``None`` for any other."""
    return stored[:size] if len(stored) == size + ADLER_SIZE and _sealed(stored, size) else None


def decode_chunk(stored: bytes | memoryview, *, compressed: bool, size: int, spare: int = 0) -> DecodedChunk:
    """Decode one chunk of ``size`` media bytes; up to ``spare`` bytes more are given as the tail."""
    return _inflate(stored, size, spare) if compressed else _plain(stored, size, spare)


def _inflate(stored: bytes | memoryview, size: int, spare: int) -> DecodedChunk:
    stream = isal_zlib.decompressobj()
    try:
        data = stream.decompress(stored, size + spare + 1)
    except _DEFLATE_ERROR:
        return _salvage(stored, size)
    if stream.eof and size <= len(data) <= size + spare:
        return DecodedChunk(data[:size], tail=data[size:]) if len(data) > size else DecodedChunk(data)
    if stream.eof:
        reason = f"the compressed chunk holds {len(data)} bytes where {size} belong"
    elif len(data) > size + spare:
        reason = f"the compressed chunk holds more than the {size} bytes that belong there"
    else:
        return _salvage(stored, size)
    return DecodedChunk(_fitted(data, size), "chunk.length", reason)


def _salvage(stored: bytes | memoryview, size: int) -> DecodedChunk:
    """Give the bytes of a chunk whose zlib frame is wrong but whose deflate stream is whole."""
    stream = zlib.decompressobj(wbits=-15)
    try:
        data = stream.decompress(stored[2:], size + 1)
    except zlib.error:
        data = b""
    if len(data) == size and stream.eof:
        return DecodedChunk(data, "chunk.checksum", "the checksum of the compressed chunk is wrong")
    return DecodedChunk(bytes(size), "chunk.inflate", "the compressed chunk cannot be decompressed")


def _plain(stored: bytes | memoryview, size: int, spare: int) -> DecodedChunk:
    view = memoryview(stored)
    data = view[:size]
    if len(data) < size:
        reason = f"only {len(data)} of {size} bytes of the chunk are stored"
        return DecodedChunk(_fitted(data, size), "chunk.length", reason)
    if _sealed(view, size):
        return DecodedChunk(data)
    covered = len(view) - ADLER_SIZE
    if size < covered <= size + spare and _sealed(view, covered):
        return DecodedChunk(data, tail=bytes(view[size:covered]))
    return DecodedChunk(data, "chunk.checksum", "the checksum behind the chunk is wrong")


def _sealed(view: memoryview, covered: int) -> bool:
    checksum = view[covered : covered + ADLER_SIZE]
    return len(checksum) == ADLER_SIZE and int.from_bytes(checksum, "little") == adler32(view[:covered])


def _fitted(data: bytes | memoryview, size: int) -> bytes:
    return bytes(data[:size]).ljust(size, b"\0")
