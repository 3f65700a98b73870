"""Chunks of an E01: media data as it is stored.

A chunk is either a zlib stream (RFC 1950, with its own Adler-32), or the plain bytes and their Adler-32; it is stored
plain exactly where the stream would not be smaller. The last chunk of a medium has its real length.

Compression is the work of a drive's whole length, arranged to hold the GIL as little as possible: media data is never
copied, an all-zero chunk is one memory comparison, and incompressible data is recognised by its last 4 KiB.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from enum import Enum

from isal import isal_zlib
from msgspec import Struct

from forensiq.images.ewf.layout import adler32
from forensiq.model.chunk import Batch
from forensiq.model.extent import Extent

__all__ = ["ChunkEncoder", "Compression", "EncodedBatch"]

PROBE_SIZE = 4096
PROBE_GROUP = 1024 * 1024
"""What was learnt of one chunk is used for the next one only inside an aligned MiB of the medium, so that the bytes
written do not depend on how the medium was cut into batches of whole MiB."""
_U32 = struct.Struct("<I")


class Compression(Enum):
    """How hard to compress; the value is the word in options and records."""

    NONE = "none"
    FAST = "fast"
    BEST = "best"

    @property
    def level(self) -> int:
        """The number that stands in the volume section."""
        return {"none": 0, "fast": 1, "best": 2}[self.value]


class EncodedBatch(Struct, frozen=True):
    """A batch as it is stored: for each chunk its bytes and, where it is stored plain, its checksum.

    ``data`` of a plain chunk borrows the memory of the batch. ``checksums`` holds 4 bytes for a plain chunk and nothing
    for a compressed one; ``lengths`` counts both.
    """

    media: Extent
    data: Sequence[bytes | memoryview]
    checksums: Sequence[bytes]
    lengths: Sequence[int]


class ChunkEncoder:
    """Encodes batches; has no state that changes, so that any number of threads may use it."""

    def __init__(self, chunk_size: int, compression: Compression) -> None:
        """``chunk_size`` in bytes."""
        self.chunk_size = chunk_size
        self._compression = compression
        self._zeros = bytes(chunk_size)
        self._stored_zeros = self._deflate(self._zeros)
        self._group_mask = max(1, PROBE_GROUP // chunk_size)

    def encode(self, batch: Batch) -> EncodedBatch:
        """Return ``batch`` as it is stored; the result borrows ``batch.data``."""
        size = self.chunk_size
        if batch.offset % size:
            raise ValueError(f"a batch begins at a chunk boundary, not at byte {batch.offset}")
        whole = batch.data
        packed = self._compression is not Compression.NONE and len(self._stored_zeros) < size
        if batch.zeros and packed and len(whole) % size == 0:
            count, stored_zeros = len(whole) // size, self._stored_zeros
            media = Extent(batch.offset, len(whole))
            return EncodedBatch(media, [stored_zeros] * count, [b""] * count, [len(stored_zeros)] * count)
        pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        if self._compression is Compression.NONE:
            data: list[bytes | memoryview] = list(pieces)
        else:
            data = self._compressed(pieces, batch.offset // size)
        checksums = [
            _U32.pack(adler32(piece)) if stored is piece else b"" for piece, stored in zip(pieces, data, strict=True)
        ]
        lengths = [len(stored) + len(checksum) for stored, checksum in zip(data, checksums, strict=True)]
        return EncodedBatch(Extent(batch.offset, len(whole)), data, checksums, lengths)

    def _compressed(self, pieces: Sequence[memoryview], first: int) -> list[bytes | memoryview]:
        data: list[bytes | memoryview] = []
        deflate, zeros, group = self._deflate, self._zeros, self._group_mask
        incompressible = False
        for number, piece in enumerate(pieces, first):
            if number % group == 0:
                incompressible = False
            if zeros.startswith(piece):
                # 1.1 µs where it is all zeros, 0.1 µs where it is not; comparing views takes 60 µs.
                stored = self._stored_zeros if len(piece) == len(zeros) else deflate(piece)
                data.append(stored if len(stored) < len(piece) else piece)
                incompressible = False
                continue
            if incompressible and len(piece) > PROBE_SIZE:
                incompressible = len(deflate(piece[-PROBE_SIZE:])) >= PROBE_SIZE
                if incompressible:
                    data.append(piece)
                    continue
            stored = deflate(piece)
            incompressible = len(stored) >= len(piece)
            data.append(piece if incompressible else stored)
        return data

    def _deflate(self, data: bytes | memoryview) -> bytes:
        if self._compression is Compression.FAST:
            # As quick as level 1, and .5 to 1 % smaller; level 3 costs half as much again.
            return bytes(isal_zlib.compress(data, 2))
        return zlib.compress(data, 6)
