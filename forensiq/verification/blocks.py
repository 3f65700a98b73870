"""Digests of equal blocks, from ``X.blocks.csv``: they tell which blocks are intact when the digest of all is not."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from forensiq.errors import Interrupted, RecordFormatError
from forensiq.images.base import EvidenceImage
from forensiq.model.extent import Extent
from forensiq.model.finding import Damage
from forensiq.model.records import BlockDigestFacts
from forensiq.streams.progress import Progress

__all__ = ["BlockList", "check_blocks", "parse_blocks"]

_HEAD = b"start_lba,end_lba,sha256,unreadable"
_LINE = re.compile(rb"(\d{1,20}),(\d{1,20}),([0-9a-f]{64}),([0-9+ ]*)")
_STEP = 1 << 20


class BlockList(Struct, frozen=True):
    """SHA-256 of each block of ``block_size`` bytes of a medium of ``size`` bytes, as binary digests back to back."""

    block_size: int
    size: int
    packed: bytes

    def __len__(self) -> int:
        return len(self.packed) // 32

    def extent(self, index: int) -> Extent:
        """Return the bytes of the medium that block ``index`` covers."""
        return Extent.between(index * self.block_size, min((index + 1) * self.block_size, self.size))

    def digest(self, index: int) -> bytes:
        """Return the digest of block ``index``."""
        return self.packed[32 * index : 32 * index + 32]


def parse_blocks(data: bytes, facts: BlockDigestFacts, size: int) -> BlockList:
    """Read ``X.blocks.csv``; what is not exactly the list that the record knows is a ``RecordFormatError``.

    ``size`` is that of the medium in bytes. The list is bound to the record by the digest of the file, where the record
    has it, and by the root over all digests.
    """
    if facts.block_size <= 0 or facts.blocks != -(-size // facts.block_size):
        raise RecordFormatError("the record's block digests are not of this medium")
    if facts.sha256 is not None and hashlib.sha256(data).hexdigest() != facts.sha256:
        raise RecordFormatError("the file of block digests is not the one that the record knows: its SHA-256 differs")
    lines = data.split(b"\n")
    if lines[0].rstrip(b"\r") != _HEAD or len(lines) < facts.blocks + 1:
        raise RecordFormatError("the file of block digests has another form than the record says")
    packed = bytearray()
    for line in lines[1 : facts.blocks + 1]:
        match = _LINE.fullmatch(line.rstrip(b"\r"))
        if match is None:
            raise RecordFormatError("the file of block digests has a line that is none")
        packed += bytes.fromhex(match[3].decode())
    if hashlib.sha256(packed).hexdigest() != facts.root:
        raise RecordFormatError("the block digests do not give the root digest of the record")
    return BlockList(facts.block_size, size, bytes(packed))


def check_blocks(
    image: EvidenceImage,
    blocks: BlockList,
    which: Sequence[int],
    *,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    threads: int = 2,
) -> tuple[Damage, ...]:
    """Hash the blocks ``which`` of ``image`` and return those that differ, in order."""
    if progress is not None:
        progress.begin("checking block digests", sum(blocks.extent(index).length for index in which), ["check"])

    def differs(index: int) -> Damage | None:
        extent = blocks.extent(index)
        hasher = hashlib.sha256()
        buffer = memoryview(bytearray(min(_STEP, extent.length)))
        for piece in extent.pieces(_STEP):
            if stop is not None and stop.is_set():
                raise Interrupted("the verification was stopped; the image is as it was")
            count, _ = image.read_checked(piece.offset, buffer[: piece.length])
            hasher.update(buffer[:count])
            if progress is not None:
                progress.add("check", count)
        if hasher.digest() == blocks.digest(index):
            return None
        return Damage(extent, None, "block.digest", "the SHA-256 of this block is not that of the record")

    with ThreadPoolExecutor(min(threads, max(1, image.parallel_reads)), "blocks") as pool:
        return tuple(each for each in pool.map(differs, which) if each is not None)
