"""What is left of a deleted file: are its blocks in use by something else now?"""

from __future__ import annotations

from forensiq.analysis.tsk import NTFS_DATA, RESIDENT, RUN_FILLER, RUN_SPARSE, Stream, TskFileSystem
from forensiq.model.listing import Recovery

__all__ = ["RecoveryJudge"]

_ALLOCATED = 1
_MOST_BLOCKS = 4_000_000
"""How many blocks one walk looks up altogether (about a second for each million)."""


class RecoveryJudge:
    """Judges deleted entries of one file system; bounded, after which everything is :attr:`Recovery.UNKNOWN`."""

    def __init__(self, fs: TskFileSystem) -> None:
        self._fs = fs
        self._left = _MOST_BLOCKS

    def of(self, file: int, stream: Stream | None, meta_flags: int, size: int) -> Recovery:
        """Judge an open file (``stream`` ``None``: its default content) by the state of its inode and its blocks."""
        if meta_flags & _ALLOCATED:
            return Recovery.NAME_ONLY
        if stream is None or stream.type != NTFS_DATA:
            stream = self._fs.default_stream(file) if stream is None else stream
        if stream is None:
            return Recovery.UNKNOWN
        if stream.flags & RESIDENT:
            return Recovery.RECOVERABLE
        if not size and not stream.size:
            return Recovery.UNKNOWN
        known = False
        for run in self._fs.runs(stream):
            if run.flags & (RUN_FILLER | RUN_SPARSE) or not run.len:
                continue
            for block in range(run.addr, run.addr + run.len):
                if not self._left:
                    return Recovery.UNKNOWN
                self._left -= 1
                allocated = self._fs.is_allocated(block)
                if allocated is None:
                    return Recovery.UNKNOWN
                if allocated:
                    return Recovery.PARTLY_OVERWRITTEN
                known = True
        return Recovery.RECOVERABLE if known else Recovery.UNKNOWN
