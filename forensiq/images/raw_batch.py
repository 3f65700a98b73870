"""A batch on its way into a raw image: what of it is zero need not be written."""

from __future__ import annotations

from msgspec import Struct

from forensiq.model.chunk import Batch
from forensiq.model.extent import Extent

__all__ = ["UNIT", "RawBatch", "sparse_batch"]

UNIT = 64 << 10
"""Bytes: holes are found in this grain; file systems allocate in 4 KiB to 64 KiB."""
_ZEROS = bytes(UNIT)


class RawBatch(Struct, frozen=True):
    """A batch as it is stored: ``data`` is borrowed; ``runs`` are the parts of it (bytes) that are not zero."""

    offset: int
    data: memoryview
    runs: tuple[Extent, ...]


def sparse_batch(batch: Batch) -> RawBatch:
    """Find what of ``batch`` is zero and need not be written."""
    if batch.zeros:
        return RawBatch(batch.offset, batch.data, ())
    runs: list[Extent] = []
    for unit in Extent(0, len(batch.data)).pieces(UNIT):
        if _ZEROS.startswith(batch.data[unit.offset : unit.end]):
            continue
        if runs and runs[-1].end == unit.offset:
            unit = Extent.between(runs.pop().offset, unit.end)
        runs.append(unit)
    return RawBatch(batch.offset, batch.data, tuple(runs))
