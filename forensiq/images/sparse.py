"""Bytes at any place of a file that is mostly holes."""

from __future__ import annotations

from forensiq.images.output import OutputFile
from forensiq.model.extent import Extent

__all__ = ["clear_sparse", "copy_start", "read_sparse", "store_sparse"]

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
