"""Bytes at any place of a file that is mostly holes."""

from __future__ import annotations

from abc import ABC, abstractmethod

from forensiq.images.output import OutputFile
from forensiq.model.extent import Extent

__all__ = ["SparseTarget", "clear_sparse", "copy_start", "read_sparse", "store_sparse"]

_PIECE = 1 << 20
_ZEROS = bytes(_PIECE)


def store_sparse(output: OutputFile, offset: int, data: memoryview) -> None:
    """Write ``data`` at ``offset``; where it is zeros and a hole is there, leave the hole."""
    for piece in Extent(0, len(data)).pieces(_PIECE):
        part = data[piece.offset : piece.end]
        if _ZEROS.startswith(part):
            clear_sparse(output, piece.shifted(offset))
        else:
            output.patch(offset + piece.offset, part)


def clear_sparse(output: OutputFile, extent: Extent) -> None:
    """Let ``extent`` read as zeros: zeros are written only where something may be stored."""
    if output.has_data(extent.offset, extent.length):
        for piece in extent.pieces(_PIECE):
            if output.has_data(piece.offset, piece.length):
                output.patch(piece.offset, _ZEROS[: piece.length])


def read_sparse(output: OutputFile, offset: int, buffer: memoryview) -> None:
    """Fill ``buffer``; behind the end of the file there are zeros."""
    done = 0
    while done < len(buffer):
        count = output.read_into(offset + done, buffer[done:])
        if not count:
            buffer[done:] = bytes(len(buffer) - done)
            return
        done += count


def copy_start(source: OutputFile, target: OutputFile, length: int) -> None:
    """Append the first ``length`` bytes of ``source`` to ``target``."""
    for piece in Extent(0, length).pieces(_PIECE):
        data = memoryview(bytearray(piece.length))
        read_sparse(source, piece.offset, data)
        target.append([data])


class SparseTarget(ABC):
    """What :class:`~forensiq.images.base.RescueTarget` asks of a file; a subclass says which file it is."""

    _stored_end = 0

    @property
    @abstractmethod
    def _sparse(self) -> OutputFile:
        """The file."""

    def store_at(self, offset: int, data: memoryview) -> None:
        """See :meth:`forensiq.images.base.RescueTarget.store_at`; zeros become holes."""
        store_sparse(self._sparse, offset, data)
        self._stored_end = max(self._stored_end, offset + len(data))

    def clear(self, extent: Extent) -> None:
        """See :meth:`forensiq.images.base.RescueTarget.clear`."""
        clear_sparse(self._sparse, extent)

    def read_stored(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`forensiq.images.base.RescueTarget.read_stored`."""
        read_sparse(self._sparse, offset, buffer)

    def sync_stored(self) -> None:
        """See :meth:`forensiq.images.base.RescueTarget.sync_stored`; a hole at the end counts as stored, too."""
        self._sparse.reach(self._stored_end)
        self._sparse.sync()

    def stored_size(self) -> int:
        """See :meth:`forensiq.images.base.RescueTarget.stored_size`."""
        return self._sparse.size()
