"""How a worker process and its parent talk: requests as JSON lines, answers as frames of bounded length.

Frame: length of the payload (4 bytes, little-endian), kind (1 byte), payload. The parent believes nothing: lengths are
bounded, lines must be plain ASCII without control characters, JSON must have the right types.
"""

from __future__ import annotations

import mmap
import os
import struct
from enum import IntEnum

__all__ = ["ENTRIES_DONE", "HEADER", "IN_BATCH", "LARGEST_FRAME", "NEED", "NEEDED", "OPENING", "FrameKind",
           "FrameWriter", "SharedCells"]  # fmt: skip

HEADER = struct.Struct("<IB")
LARGEST_FRAME = 8 * 1024 * 1024
NEED = struct.Struct("<QQ")
"""Payload of :attr:`FrameKind.NEED`: offset and length in bytes."""
NEEDED = struct.Struct("<q")
"""The parent's answer to it: the number of bytes that follow, -1 where they cannot be read."""


class FrameKind(IntEnum):
    """What a payload is."""

    LINES = 1
    """Lines of JSON, each ended by a line feed."""
    DATA = 2
    """Bytes of a file or a medium."""
    REPORT = 3
    """A JSON object: something that could not be read, with its place."""
    VALUE = 4
    """A JSON object: the answer to a request."""
    DONE = 5
    """End of the answer; empty."""
    FAILED = 6
    """A JSON object: the request failed (``message``, ``kind``)."""
    TEXT = 7
    """Lines of UTF-8 text without control characters, each ended by a line feed."""
    NEED = 8
    """The worker needs bytes of a medium that the parent reads for it; the answer comes on its input."""
    ROWS = 9
    """Lines of UTF-8 text, all of it printable, each ended by a line feed."""


class FrameWriter:
    """The writing end of a pipe, owned from now on."""

    def __init__(self, descriptor: int, largest: int = LARGEST_FRAME) -> None:
        self._out = os.fdopen(descriptor, "wb", buffering=1 << 16)
        self._largest = largest

    def send(self, kind: int, payload: bytes | memoryview = b"") -> None:
        """Send one frame, of a :class:`FrameKind`; ``ValueError`` where it is too long."""
        if len(payload) > self._largest:
            raise ValueError("a frame is too long")
        self._out.write(HEADER.pack(len(payload), kind))
        self._out.write(payload)
        self._out.flush()


OPENING, IN_BATCH = -1, -2
"""In the cell of the entry's index: the directory is being opened; a batch of its entries is being loaded."""
ENTRIES_DONE = 4
"""The cell that counts entries whose lines were all sent."""


class SharedCells:
    """Signed 64-bit numbers that a parent and its worker both see, without a word between them."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Make them (parent), or take those behind an inherited ``descriptor`` (worker)."""
        self.descriptor = os.memfd_create("forensiq-cells") if descriptor is None else descriptor
        if descriptor is None:
            os.ftruncate(self.descriptor, mmap.PAGESIZE)
        self._memory = mmap.mmap(self.descriptor, mmap.PAGESIZE)
        self.cells = memoryview(self._memory).cast("q")

    def close(self) -> None:
        """Release them on this side."""
        self.cells.release()
        self._memory.close()
        os.close(self.descriptor)
