"""A medium that the parent reads: the worker's side."""

from __future__ import annotations

import errno
from typing import BinaryIO

from forensiq.errors import SourceReadError
from forensiq.streams.frames import NEED, NEEDED, FrameKind, FrameWriter

__all__ = ["RequestedMedium"]

_PIECE = 1 << 20


class RequestedMedium:
    """A :class:`~forensiq.analysis.window.Medium`; sizes in bytes. ``answers`` is the input that requests come from."""

    def __init__(self, size: int, sector_size: int, out: FrameWriter, answers: BinaryIO) -> None:
        self.size = size
        self.sector_size = sector_size
        self._out = out
        self._answers = answers

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` as far as the medium goes; a range that cannot be read is a :class:`SourceReadError`."""
        wanted = min(len(buffer), max(0, self.size - offset))
        for start in range(0, wanted, _PIECE):
            piece = buffer[start : min(start + _PIECE, wanted)]
            self._out.send(FrameKind.NEED, NEED.pack(offset + start, len(piece)))
            (count,) = NEEDED.unpack(self._answers.read(NEEDED.size))
            if count != len(piece):
                self._answers.read(max(0, count))
                raise SourceReadError(offset + start, len(piece), errno.EIO)
            piece[:] = self._answers.read(count)
        return wanted
