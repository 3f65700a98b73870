"""Where the medium holds one value over and over: enough to be compared with what a file system calls in use."""

from __future__ import annotations

from collections.abc import Iterable

from forensiq.model.extent import Extent

__all__ = ["UniformMap"]

_UNIT = 32 << 10
_UNITS = 2
_GROUP = _UNIT * _UNITS


class UniformMap:
    """Groups of 64 KiB of which all is zero or one other value; a byte of memory for each group of the medium."""

    def __init__(self) -> None:
        self._groups = bytearray()

    def mark(self, extent: Extent) -> None:
        """Note that ``extent`` (bytes of the medium, marked once) holds one value; whole units of 32 KiB count."""
        inside = extent.aligned_in(_UNIT)
        missing = -(-inside.end // _GROUP) - len(self._groups)
        self._groups += bytes(max(0, missing))
        for number in range(inside.offset // _UNIT, inside.end // _UNIT):
            self._groups[number // _UNITS] += 1

    def total(self) -> int:
        """Return how many bytes are in such groups."""
        return self._groups.count(_UNITS) * _GROUP

    def within(self, extents: Iterable[Extent]) -> int:
        """Return how many bytes of ``extents`` are in such groups."""
        found = 0
        for extent in extents:
            whole = extent.aligned_in(_GROUP)
            found += self._groups.count(_UNITS, whole.offset // _GROUP, whole.end // _GROUP) * _GROUP if whole else 0
            for edge in extent.minus(whole) if whole else extent.pieces(_GROUP):
                for piece in _by_group(edge):
                    number = piece.offset // _GROUP
                    if number < len(self._groups) and self._groups[number] == _UNITS:
                        found += piece.length
        return found

    def extents(self) -> Iterable[Extent]:
        """Yield runs of such groups."""
        start: int | None = None
        for number, count in enumerate(self._groups):
            if count == _UNITS:
                start = number if start is None else start
            elif start is not None:
                yield Extent.between(start * _GROUP, number * _GROUP)
                start = None
        if start is not None:
            yield Extent.between(start * _GROUP, len(self._groups) * _GROUP)


def _by_group(extent: Extent) -> Iterable[Extent]:
    while extent:
        piece, extent = extent.split_at(extent.offset // _GROUP * _GROUP + _GROUP)
        yield piece
