"""Ranges that were fill already in the image that is copied: they stay what they are, and are never "read"."""

from __future__ import annotations

from collections.abc import Sequence

from forensiq.acquisition.reader import ReadJournal, ReadStrategy
from forensiq.model.extent import Extent
from forensiq.model.media_map import RangeStatus, ReadStatus

__all__ = ["InheritedErrors"]

_FILLED = RangeStatus(ReadStatus.UNREADABLE)
_UNKNOWN = RangeStatus(ReadStatus.NOT_TRIED, detail="unknown")


class InheritedErrors:
    """A :class:`ReadStrategy` around another one: what ``known`` names is marked unreadable after it was copied, what
    ``unknown`` names as never tried.

    Both are in bytes of the stored medium, sorted. The bytes themselves are those of the image, so that the digests
    stay what they were.
    """

    def __init__(
        self, inner: ReadStrategy, journal: ReadJournal, known: Sequence[Extent], unknown: Sequence[Extent] = ()
    ) -> None:
        self._inner = inner
        self._journal = journal
        self._marks = [(each, _FILLED) for each in known] + [(each, _UNKNOWN) for each in unknown]

    def read(self, extent: Extent, buffer: memoryview) -> None:
        """See :meth:`ReadStrategy.read`."""
        self._inner.read(extent, buffer)
        for each, status in self._marks:
            if part := each.intersect(extent):
                self._journal.mark(part, status)

    def end(self) -> None:
        """See :meth:`ReadStrategy.end`."""
        self._inner.end()

    def close(self) -> None:
        """See :meth:`ReadStrategy.close`."""
        self._inner.close()
