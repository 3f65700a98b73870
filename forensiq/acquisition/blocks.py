"""Digests of equal blocks of the medium: one damaged block then costs a block, not the exhibit."""

from __future__ import annotations

import hashlib
import queue
from collections.abc import Iterator

from msgspec import Struct

from forensiq.model.extent import Extent
from forensiq.streams.buffers import Buffer
from forensiq.streams.crew import Crew
from forensiq.streams.failure import FirstFailure

__all__ = ["BlockDigester", "BlockDigests"]

_SIZE = 32
_PIECE = 1 << 20
_ZEROS = bytes(_PIECE)


class BlockDigests(Struct, frozen=True):
    """SHA-256 of each block of ``block_size`` bytes of the medium (the last one may be shorter), fill included.

    ``packed`` holds the binary digests back to back; ``size`` is the size of the medium in bytes.
    """

    block_size: int
    size: int
    packed: bytes

    def __len__(self) -> int:
        return len(self.packed) // _SIZE

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.packed[index * _SIZE : (index + 1) * _SIZE].hex()

    @property
    def root(self) -> str:
        """SHA-256 over the binary digests back to back: one value that stands for the whole list."""
        return hashlib.sha256(self.packed).hexdigest()

    def csv_lines(self, sector_size: int, first_lba: int = 0, unreadable: tuple[Extent, ...] = ()) -> Iterator[str]:
        """Yield the lines of ``X.blocks.csv``, line ends included.

        Columns: first and last LBA of the block (inclusive), SHA-256, and which sectors of it could not be read and
        are filled (``LBA+count``, separated by spaces). ``first_lba`` is the LBA of byte 0 of the medium;
        ``unreadable`` is sorted, in bytes of the medium.
        """
        yield "start_lba,end_lba,sha256,unreadable\n"
        at = 0
        for index in range(len(self)):
            block = Extent.between(index * self.block_size, min((index + 1) * self.block_size, self.size))
            while at < len(unreadable) and unreadable[at].end <= block.offset:
                at += 1
            filled: list[str] = []
            look = at
            while look < len(unreadable) and unreadable[look].offset < block.end:
                part = unreadable[look].intersect(block).aligned_out(sector_size)
                filled.append(f"{first_lba + part.offset // sector_size}+{part.length // sector_size}")
                look += 1
            last = first_lba + (block.end - 1) // sector_size
            yield f"{first_lba + block.offset // sector_size},{last},{self[index]},{' '.join(filled)}\n"


class BlockDigester:
    """Hashes blocks in a thread of its own; fed in order, like :class:`forensiq.streams.digester.Digester`."""

    def __init__(self, block_size: int, failure: FirstFailure) -> None:
        self._block_size = block_size
        self._failure = failure
        self._pieces: queue.SimpleQueue[tuple[Buffer, memoryview] | None] = queue.SimpleQueue()
        self._packed = bytearray()
        self._size = 0
        self._current = hashlib.sha256()
        self._filled = 0  # bytes of the present block so far
        self._zeros = 0  # how many of them are known to be zeros and not hashed yet; -1: all are hashed
        self._digest_of_zeros = b""
        self._ended = False
        self._crew = Crew(failure, 1)
        self._crew.start(self._run)

    def feed(self, buffer: Buffer, data: memoryview) -> None:
        """Hash ``data``, a view into ``buffer``, next."""
        buffer.retain()
        self._pieces.put((buffer, data))

    def stop(self) -> None:
        """End the thread after what was fed; may be called twice."""
        if not self._ended:
            self._ended = True
            self._pieces.put(None)
            self._crew.close()

    def finish(self) -> BlockDigests:
        """Wait until everything is hashed and return the digests; the first error of the run, if there was one."""
        self.stop()
        self._failure.raise_if_any()
        return BlockDigests(self._block_size, self._size, bytes(self._packed))

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            buffer, data = piece
            try:
                if not self._failure.stopped:
                    self._add(data)
            finally:
                del data, piece
                buffer.release()
        if self._filled:
            self._close_block()

    def _add(self, data: memoryview) -> None:
        position = 0
        while position < len(data):
            part = data[position : position + min(_PIECE, self._block_size - self._filled)]
            # Comparing with zeros is 20 times faster than hashing: a block of zeros costs only that.
            if self._filled == self._zeros and _ZEROS.startswith(part):
                self._zeros += len(part)
            else:
                self._hash_leading_zeros()
                self._current.update(part)
            self._filled += len(part)
            position += len(part)
            if self._filled == self._block_size:
                self._close_block()
        self._size += len(data)

    def _hash_leading_zeros(self) -> None:
        if self._zeros == self._filled:
            for start in range(0, self._zeros, _PIECE):
                self._current.update(_ZEROS[: min(_PIECE, self._zeros - start)])
            self._zeros = -1

    def _close_block(self) -> None:
        if self._zeros == self._block_size and self._digest_of_zeros:
            self._packed += self._digest_of_zeros
        else:
            zeros = self._zeros == self._block_size
            self._hash_leading_zeros()
            self._packed += self._current.digest()
            if zeros:
                self._digest_of_zeros = self._current.digest()
            self._current = hashlib.sha256()
        self._filled = self._zeros = 0
