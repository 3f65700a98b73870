"""Cuts batches into the blocks of a disk image, and compresses these where the format can.

A block is stored as ``None`` (all zero: not stored), as it is (a view of the batch), or compressed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

from isal import isal_zlib
from msgspec import Struct

from forensiq.model.chunk import Batch

__all__ = ["RAW_DEFLATE_4K", "ZLIB", "BlockEncoder", "Deflate", "EncodedBlocks", "deflate_for", "stored_zlib"]

_PROBE = 4096
_GROUP = 1 << 20
"""What was learnt of one block is used for the next one only inside an aligned MiB of the medium, so that the bytes
written do not depend on how the medium was cut into batches of whole MiB."""

RAW_DEFLATE_4K = -12
"""``wbits`` of a deflate stream without header whose window is 4 KiB (QCOW2)."""
ZLIB = 15
"""``wbits`` of a zlib stream (VMDK, AFF4)."""

Deflate = Callable[[bytes | memoryview], bytes]


class EncodedBlocks(Struct, frozen=True):
    """A batch as it is stored; ``offset`` and ``length`` in bytes of the medium. Views borrow the batch's memory.

    A block that is as long as the medium leaves it is the plain one; a compressed one is always ``bytes``, and shorter
    than the plain one unless the format takes nothing else.
    """

    offset: int
    length: int
    data: memoryview
    blocks: Sequence[bytes | memoryview | None]


def deflate_for(compression: str, wbits: int) -> Deflate:
    """Return what compresses one block: ``fast`` or ``best``."""
    if compression == "fast":

        def fast(data: bytes | memoryview) -> bytes:
            return bytes(isal_zlib.compress(data, 1, wbits))

        return fast

    def best(data: bytes | memoryview) -> bytes:
        work = zlib.compressobj(6, zlib.DEFLATED, wbits)
        return work.compress(data) + work.flush()

    return best


def stored_zlib(data: bytes | memoryview) -> bytes:
    """Return ``data`` as a zlib stream that is not compressed, for formats that take nothing but streams."""
    return zlib.compress(data, 0)


class BlockEncoder:
    """Encodes batches; has no state that changes, so that any number of threads may use it."""

    def __init__(
        self,
        block_size: int,
        deflate: Deflate | None = None,
        *,
        stored: Deflate | None = None,
        whole: bool = False,
    ) -> None:
        """``block_size`` in bytes. A block that does not get smaller stays plain, or becomes what ``stored`` makes of
        it. With ``whole`` the last block of the medium is filled with zeros before it is compressed."""
        self.block_size = block_size
        self._deflate = deflate
        self._stored = stored
        self._whole = whole
        self._zeros = bytes(block_size)
        self._group = max(1, _GROUP // block_size)

    def encode(self, batch: Batch) -> EncodedBlocks:
        """Return ``batch`` as it is stored; the result borrows ``batch.data``."""
        size, data, zeros = self.block_size, batch.data, self._zeros
        if batch.offset % size:
            raise ValueError(f"a batch begins at a block boundary, not at byte {batch.offset}")
        if batch.zeros:
            return EncodedBlocks(batch.offset, len(data), data, [None] * -(-len(data) // size))
        blocks: list[bytes | memoryview | None] = []
        incompressible = False
        for number, start in enumerate(range(0, len(data), size), batch.offset // size):
            piece = data[start : start + size]
            if number % self._group == 0:
                incompressible = False
            if zeros.startswith(piece):
                blocks.append(None)
                incompressible = False
                continue
            if self._deflate is None:
                blocks.append(piece)
                continue
            incompressible = self._compress(self._deflate, piece, blocks, incompressible)
        return EncodedBlocks(batch.offset, len(data), data, blocks)

    def _compress(
        self, deflate: Deflate, piece: memoryview, blocks: list[bytes | memoryview | None], probing: bool
    ) -> bool:
        plain: bytes | memoryview = piece
        if self._whole and len(piece) < self.block_size:
            plain = bytes(piece) + bytes(self.block_size - len(piece))
        if probing and len(piece) > _PROBE:
            probing = len(deflate(piece[-_PROBE:])) >= _PROBE
        else:
            probing = False
        if not probing:
            packed = deflate(plain)
            if len(packed) < len(plain):
                blocks.append(packed)
                return False
        blocks.append(self._stored(plain) if self._stored is not None else piece)
        return True
