"""Keeps the map on disk ahead of the image: no fill is stored before the map that explains it is durable."""

from __future__ import annotations

from collections.abc import Callable

from forensiq.acquisition.reader import ReadJournal, ReadStrategy
from forensiq.model.extent import Extent
from forensiq.model.media_map import MediaMap

__all__ = ["MapKeeper"]


class MapKeeper:
    """A :class:`ReadStrategy` around another one, which saves the map before it hands over what had errors.

    ``save`` gets a copy of the map and returns when it is durable. What it raises ends the run.
    """

    def __init__(self, inner: ReadStrategy, journal: ReadJournal, save: Callable[[MediaMap], None]) -> None:
        self._inner = inner
        self._journal = journal
        self._save = save
        self._known = 0

    def read(self, extent: Extent, buffer: memoryview) -> None:
        """See :meth:`ReadStrategy.read`."""
        self._inner.read(extent, buffer)
        failed = self._journal.facts().failed_reads
        if failed != self._known:
            self._known = failed
            self._save(self._journal.snapshot())
