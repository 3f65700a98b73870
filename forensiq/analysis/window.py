"""Bounded reads of small pieces: how parsers of tables and signatures see a medium."""

from __future__ import annotations

from typing import Protocol

from forensiq.errors import ImageDamageError, SourceReadError

__all__ = ["Medium", "Window"]

_LARGEST_READ = 16 * 1024 * 1024


class Medium(Protocol):
    """What the analysis needs of a :class:`~forensiq.sources.base.Source` or an evidence image."""

    @property
    def size(self) -> int: ...

    @property
    def sector_size(self) -> int: ...

    def read_into(self, offset: int, buffer: memoryview) -> int: ...


class Window:
    """The bytes ``offset <= b < offset + length`` of a medium, addressed from 0.

    :meth:`read` never fails: what lies outside or cannot be read is missing from the result, so a parser must look at
    the length of what it gets. Offsets come from evidence and may be anything.
    """

    def __init__(self, medium: Medium, offset: int = 0, length: int | None = None) -> None:
        self.medium = medium
        self.offset = min(max(offset, 0), medium.size)
        end = medium.size if length is None else min(medium.size, offset + max(length, 0))
        self.length = max(0, end - self.offset)

    def read(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes (16 MiB at most) from ``offset`` of the window on; empty where none can be."""
        if offset < 0 or length <= 0 or offset >= self.length:
            return b""
        count = min(length, self.length - offset, _LARGEST_READ)
        buffer = bytearray(count)
        try:
            done = self.medium.read_into(self.offset + offset, memoryview(buffer))
        except (ImageDamageError, SourceReadError):
            return b""
        return bytes(buffer[:done])

    def sub(self, offset: int, length: int | None = None) -> Window:
        """Return a window inside this one."""
        left = max(0, self.length - max(offset, 0))
        return Window(self.medium, self.offset + max(offset, 0), left if length is None else min(length, left))
