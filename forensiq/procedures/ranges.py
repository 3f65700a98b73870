"""Which part of a source is acquired: all of it, a range, or a partition."""

from __future__ import annotations

from forensiq.errors import UsageError
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.sources.base import Source

__all__ = ["part_of"]


def part_of(request: AcquireRequest, source: Source) -> tuple[int, int | None]:
    """Return offset and length in bytes; a length of ``None`` is everything from the offset on."""
    sector = source.sector_size
    offset = request.offset.in_bytes(sector) if request.offset is not None else 0
    length = request.length.in_bytes(sector) if request.length is not None else None
    if length == 0:
        raise UsageError("a length of 0 leaves nothing to acquire", length=0)
    return offset, length
