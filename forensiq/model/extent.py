"""Half-open byte ranges: the only arithmetic on ranges in forensiq."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

__all__ = ["Extent", "merge", "subtract"]


class Extent(Struct, frozen=True, order=True):
    """The bytes ``offset <= b < offset + length`` of a medium; ``length`` may be 0 (it then contains nothing)."""

    offset: int
    length: int

    def __post_init__(self) -> None:
        if self.offset < 0 or self.length < 0:
            raise ValueError(f"an extent cannot be negative: offset {self.offset}, length {self.length}")

    @classmethod
    def between(cls, start: int, end: int) -> Extent:
        """Return the extent from ``start`` to ``end`` (exclusive); empty at ``start`` where ``end <= start``."""
        return cls(start, max(0, end - start))

    @property
    def end(self) -> int:
        """First byte behind the extent."""
        return self.offset + self.length

    def __bool__(self) -> bool:
        return self.length > 0

    def __contains__(self, position: object) -> bool:
        return isinstance(position, int) and self.offset <= position < self.end

    def covers(self, other: Extent) -> bool:
        """Say whether every byte of ``other`` is in this extent (an empty one always is)."""
        return not other or (self.offset <= other.offset and other.end <= self.end)

    def overlaps(self, other: Extent) -> bool:
        """Say whether the two share at least one byte."""
        return bool(self.intersect(other))

    def intersect(self, other: Extent) -> Extent:
        """Return the shared bytes; empty where there are none."""
        return Extent.between(max(self.offset, other.offset), min(self.end, other.end))

    def minus(self, other: Extent) -> tuple[Extent, ...]:
        """Return what is left of this extent without ``other``: none, one or two extents, in order."""
        common = self.intersect(other)
        if not common:
            return (self,) if self else ()
        parts = (Extent.between(self.offset, common.offset), Extent.between(common.end, self.end))
        return tuple(part for part in parts if part)

    def split_at(self, position: int) -> tuple[Extent, Extent]:
        """Return the bytes before and from ``position`` on; either may be empty."""
        middle = min(max(position, self.offset), self.end)
        return Extent.between(self.offset, middle), Extent.between(middle, self.end)

    def pieces(self, size: int) -> Iterator[Extent]:
        """Yield consecutive extents of ``size`` bytes; the last one may be shorter."""
        if size <= 0:
            raise ValueError("the size of a piece must be positive")
        for start in range(self.offset, self.end, size):
            yield Extent.between(start, min(start + size, self.end))

    def aligned_out(self, alignment: int) -> Extent:
        """Return the smallest extent with both ends on ``alignment`` that covers this one."""
        start = self.offset // alignment * alignment
        end = -(-self.end // alignment) * alignment
        return Extent.between(start, end) if self else Extent(start, 0)

    def aligned_in(self, alignment: int) -> Extent:
        """Return the largest extent with both ends on ``alignment`` inside this one; may be empty."""
        start = -(-self.offset // alignment) * alignment
        return Extent.between(start, self.end // alignment * alignment)

    def shifted(self, distance: int) -> Extent:
        """Return the same length, ``distance`` bytes further on (``ValueError`` before 0)."""
        return Extent(self.offset + distance, self.length)


def merge(extents: Iterable[Extent]) -> tuple[Extent, ...]:
    """Return the same bytes as sorted extents that neither overlap nor touch; empty ones vanish."""
    result: list[Extent] = []
    for extent in sorted(extents):
        if not extent:
            continue
        if result and extent.offset <= result[-1].end:
            result[-1] = Extent.between(result[-1].offset, max(result[-1].end, extent.end))
        else:
            result.append(extent)
    return tuple(result)


def subtract(extents: Iterable[Extent], without: Iterable[Extent]) -> tuple[Extent, ...]:
    """Return the bytes of ``extents`` that are in none of ``without``, merged."""
    holes = merge(without)
    result: list[Extent] = []
    first = 0
    for extent in merge(extents):
        while first < len(holes) and holes[first].end <= extent.offset:
            first += 1
        rest, at = extent, first
        while at < len(holes) and holes[at].offset < extent.end:
            before, behind = rest.split_at(holes[at].offset)
            if before:
                result.append(before)
            rest = Extent.between(max(holes[at].end, behind.offset), rest.end)
            at += 1
        if rest:
            result.append(rest)
    return tuple(result)
