"""What an interrupted raw writer left, as a source: digests are rebuilt from it, and never from the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from forensiq.errors import SourceLostError
from forensiq.model.source import SourceIdentity, SourceKind
from forensiq.streams.closing import Closing
from forensiq.streams.files import FileSequence

__all__ = ["StoredRaw"]


class StoredRaw(Closing):
    """The first ``size`` bytes of the medium, read from unfinished files; a :class:`~forensiq.sources.base.Source`."""

    parallel_reads = 1

    def __init__(self, paths: Sequence[Path], size: int, sector_size: int) -> None:
        self._files = FileSequence(paths) if size else None
        self.size = size
        self.sector_size = sector_size
        self.identity = SourceIdentity(SourceKind.IMAGE, str(paths[0]) if paths else "", size, sector_size)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`forensiq.sources.base.Source.read_into`."""
        wanted = min(len(buffer), max(0, self.size - offset))
        if self._files is None or not wanted:
            return 0
        if self._files.read_into(offset, buffer[:wanted]) < wanted:
            raise SourceLostError("what was written before is shorter than it was", offset=offset)
        return wanted

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """The same as :meth:`read_into`."""
        return self.read_into(offset, buffer)

    def close(self) -> None:
        """Close the files; may be called twice."""
        if self._files is not None:
            self._files.close()
