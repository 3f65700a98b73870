"""What of a medium is taken where not all of it is: the ranges, and what a record says of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field

from forensiq.model.extent import Extent, merge, subtract

__all__ = ["ChosenScope", "MediumScope", "ScopeFacts", "ScopeVolume"]


class MediumScope:
    """The ranges of a medium that are taken, in bytes of the medium: sorted, merged, asked for often."""

    def __init__(self, extents: Iterable[Extent]) -> None:
        self.extents = merge(extents)
        self._starts = [each.offset for each in self.extents]

    @property
    def length(self) -> int:
        """How many bytes are taken."""
        return sum(each.length for each in self.extents)

    def within(self, window: Extent) -> Iterator[Extent]:
        """Yield what of ``window`` is taken, in order."""
        index = max(0, bisect_right(self._starts, window.offset) - 1)
        while index < len(self.extents) and self.extents[index].offset < window.end:
            part = self.extents[index].intersect(window)
            if part:
                yield part
            index += 1

    def taken(self, window: Extent) -> int:
        """Return how many bytes of ``window`` are taken."""
        return sum(part.length for part in self.within(window))

    def skipped(self, size: int) -> tuple[Extent, ...]:
        """Return what of a medium of ``size`` bytes is not taken."""
        return subtract([Extent(0, size)], self.extents)


class ScopeVolume(Struct, frozen=True):
    """A volume as the scope saw it; offset and length in bytes of the source.

    ``reason`` says why all of it was taken (or nothing of it) where its file system could not be read;
    ``notes`` are what must be known to rely on its free space.
    """

    partition: int | None
    offset: int
    length: int
    file_system: str | None
    taken_bytes: int
    reason: str | None = None
    notes: tuple[str, ...] = ()


class ScopeFacts(Struct, frozen=True):
    """What was asked for and what of the medium was left out on purpose. Bytes of the medium that is stored.

    ``request`` is the scope as it was typed (``allocated``, ``partition:2``, ``paths:FILE``); ``bytes_by_class`` counts
    the taken bytes by what they are for; ``paths`` are those of a list. The ranges are in the map beside the image.
    """

    request: str
    statement: str
    taken_bytes: int
    skipped_bytes: int
    skipped_ranges: int
    share: float
    bytes_by_class: Mapping[str, int] = field(default_factory=dict)
    volumes: tuple[ScopeVolume, ...] = ()
    paths: tuple[str, ...] = ()


class ChosenScope(Struct, frozen=True):
    """The ranges that are taken (bytes of the stored medium) and what the record says of them."""

    ranges: MediumScope
    facts: ScopeFacts
