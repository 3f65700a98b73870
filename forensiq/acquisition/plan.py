"""Everything about an acquisition that is decided, and checked, before the first byte is read."""

from __future__ import annotations

import os

from msgspec import Struct

from forensiq.errors import UsageError
from forensiq.model.digest import DEFAULT_ALGORITHMS, HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.model.scope import MediumScope
from forensiq.sources.base import Source

__all__ = ["DEFAULT_BLOCK_HASH_SIZE", "AcquisitionPlan", "plan_acquisition"]

DEFAULT_BLOCK_HASH_SIZE = 16 << 20
_BATCH = 4 << 20
_BUFFERS = 10
_MOST_BLOCKS = 1 << 22  # 128 MiB of digests: 64 TiB in blocks of 16 MiB


class AcquisitionPlan(Struct, frozen=True):
    """What is read, how, and what is computed on the way. Sizes in bytes.

    ``extent`` is the part of the source that is acquired: byte 0 of the stored medium is ``extent.offset`` of the
    source. ``padding`` zero bytes follow it in the image, to fill its last sector. A batch is what travels between
    threads; ``buffers`` of them are the memory bound. ``retries`` is how often a sector that failed is tried again.
    ``workers`` encode, ``readers`` read. ``watch_s`` is how often, in seconds, the run is looked after. ``scope``
    is what of the medium is taken; without it, all. The rest is not read, stored as zeros, and in no digest but those
    of blocks.
    """

    extent: Extent
    sector_size: int
    padding: int
    algorithms: tuple[HashAlgorithm, ...]
    block_hash_size: int | None
    batch_size: int
    buffers: int
    retries: int
    workers: int
    readers: int
    watch_s: float = 2.0
    scope: MediumScope | None = None

    @property
    def stored_size(self) -> int:
        """Size of the medium as it is stored: the extent and its padding."""
        return self.extent.length + self.padding

    def taken(self, window: Extent) -> int:
        """Return how many bytes of ``window``, of the stored medium, are read or added as padding."""
        if self.scope is None:
            return window.length
        return self.scope.taken(window) + window.intersect(Extent(self.extent.length, self.padding)).length


def plan_acquisition(
    source: Source,
    *,
    chunk_size: int,
    pad_last_sector: bool,
    offset: int = 0,
    length: int | None = None,
    algorithms: tuple[HashAlgorithm, ...] = DEFAULT_ALGORITHMS,
    block_hash_size: int | None = DEFAULT_BLOCK_HASH_SIZE,
    retries: int = 1,
    workers: int | None = None,
) -> AcquisitionPlan:
    """Decide how ``source`` is acquired; what cannot be done is a :class:`UsageError` that says why.

    ``chunk_size`` (bytes) is the writer's; ``pad_last_sector`` is for containers that count in sectors. Without
    ``length``, everything from ``offset`` on. ``workers`` is the number of encoding threads, one for each processor by
    default.
    """
    sector = source.sector_size
    if offset < 0 or offset >= source.size:
        raise UsageError(f"offset {offset} is outside the source ({source.size} bytes)", offset=offset)
    if length is not None and (length <= 0 or offset + length > source.size):
        raise UsageError(
            f"{length} bytes from offset {offset} are not in the source ({source.size} bytes)",
            offset=offset,
            length=length,
        )
    if offset % sector:
        raise UsageError(f"offset {offset} is not a multiple of the sector size ({sector} bytes)", offset=offset)
    extent = Extent(offset, source.size - offset if length is None else length)
    if extent.length % sector and extent.end != source.size:
        raise UsageError(
            f"length {extent.length} is not a multiple of the sector size ({sector})", length=extent.length
        )
    if not algorithms:
        raise UsageError("at least one hash algorithm is needed")
    if len(set(algorithms)) != len(algorithms):
        raise UsageError("a hash algorithm is named twice")
    if retries < 0:
        raise UsageError("the number of retries cannot be negative")
    if workers is not None and workers < 1:
        raise UsageError("at least one encoding thread is needed")
    if block_hash_size is not None:
        _check_blocks(block_hash_size, sector, extent.length)
    padding = -extent.length % sector if pad_last_sector else 0
    processors = len(os.sched_getaffinity(0))
    batch = max(chunk_size, _BATCH // chunk_size * chunk_size)
    whole = -(-(extent.length + padding) // chunk_size) * chunk_size
    return AcquisitionPlan(
        extent=extent,
        sector_size=sector,
        padding=padding,
        algorithms=algorithms,
        block_hash_size=block_hash_size,
        batch_size=min(batch, whole),
        buffers=_BUFFERS if batch <= _BATCH else 6,
        retries=retries,
        workers=workers or processors,
        readers=max(1, min(source.parallel_reads, processors)),
    )


def _check_blocks(block_hash_size: int, sector: int, length: int) -> None:
    if block_hash_size <= 0 or block_hash_size % sector:
        raise UsageError(f"the block size of the block digests must be a multiple of the sector size ({sector} bytes)")
    if length // block_hash_size > _MOST_BLOCKS:
        raise UsageError(
            f"blocks of {block_hash_size} bytes would give more than {_MOST_BLOCKS} block digests",
            hint="choose a larger --block-hash-size",
        )
