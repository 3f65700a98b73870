"""Which part of a source is acquired: all of it, a range, or a partition."""

from __future__ import annotations

from pathlib import Path

from forensiq.errors import UsageError
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.evidence import Evidence
from forensiq.procedures.partitions import PartitionRow, image_reference, list_partitions

__all__ = ["part_of"]


def part_of(request: AcquireRequest, evidence: Evidence) -> tuple[int, int | None]:
    """Return offset and length in bytes; a length of ``None`` is everything from the offset on."""
    if request.partition is not None:
        row = _partition(request.partition, evidence)
        return row.offset, row.length
    sector = evidence.source.sector_size
    offset = request.offset.in_bytes(sector) if request.offset is not None else 0
    length = request.length.in_bytes(sector) if request.length is not None else None
    if length == 0:
        raise UsageError("a length of 0 leaves nothing to acquire", length=0)
    return offset, length


def _partition(number: int, evidence: Evidence) -> PartitionRow:
    reference = image_reference(
        Path(evidence.source.identity.path),
        image_format=evidence.image.format if evidence.image is not None else "raw",
        segments_in=evidence.segments_in,
        sector_size=evidence.source.sector_size,
    )
    rows = {row.index: row for row in list_partitions(reference).rows if row.index is not None}
    if number not in rows:
        known = [str(index) for index in sorted(rows)]
        hint = f"there are {', '.join(known)}" if known else "no partition table was found on it"
        raise UsageError(f"the source has no partition {number}", hint=hint, partition=number, known=known)
    return rows[number]
