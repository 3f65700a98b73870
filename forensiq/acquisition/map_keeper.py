"""Keeps the map on disk ahead of the image: no fill is stored before the map that explains it is durable."""

from __future__ import annotations

from collections.abc import Callable

from forensiq.acquisition.reader import ReadJournal, ReadStrategy
from forensiq.model.extent import Extent
from forensiq.model.media_map import MediaMap

__all__ = ["MapKeeper"]


def _fill(media_map: MediaMap, extent: Extent) -> list[Extent]:
    return [part for part, state in media_map.ranges(within=extent) if not state.is_data]


class MapKeeper:
    """A :class:`ReadStrategy` around another one, which saves the map before it hands over what had errors.

    ``save`` gets a copy of the map and returns when it is durable. What it raises ends the run. What the last saved map
    tells already of a piece is not saved again: a rescue may go on behind it.
    """

    def __init__(self, inner: ReadStrategy, journal: ReadJournal, save: Callable[[MediaMap], None]) -> None:
        self._inner = inner
        self._journal = journal
        self._save = save
        self._saved: MediaMap | None = None

    def read(self, extent: Extent, buffer: memoryview) -> None:
        """See :meth:`ReadStrategy.read`."""
        self._inner.read(extent, buffer)
        fill = self._journal.fill_in(extent)
        if fill and (self._saved is None or fill != _fill(self._saved, extent)):
            saved = self._journal.snapshot()
            self._save(saved)
            self._saved = saved

    def end(self) -> None:
        """See :meth:`ReadStrategy.end`."""
        self._inner.end()

    def close(self) -> None:
        """See :meth:`ReadStrategy.close`."""
        self._inner.close()
