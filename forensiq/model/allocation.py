"""Which bytes of a medium are in use, as its partition tables and file systems tell it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from msgspec import Struct

from forensiq.model.extent import Extent, merge, subtract

__all__ = ["Allocation", "AllocationClass", "ClassifiedExtent", "VolumeAllocation", "classify"]


class AllocationClass(Enum):
    """What a range of a medium is for. Where several apply, the first one of this list counts."""

    TABLE = "partition_table"
    BOOT = "boot_area"
    """Boot sectors of file systems, and what lies in no partition near either end of the medium."""
    METADATA = "metadata"
    """Structures of a file system at fixed places: superblocks, descriptors, bitmaps, inode tables, $MFT, FATs."""
    ALLOCATED = "allocated"
    """Blocks that a file system calls in use: content of files and directories, and metadata not told apart."""
    NOT_READABLE = "not_readable"
    """A volume without a file system that can be read (encrypted, swap, RAID or LVM member, unknown, damaged)."""
    FREE = "free"
    """Blocks that a file system calls free, and what lies behind it in its partition."""
    UNPARTITIONED = "unpartitioned"


class ClassifiedExtent(Struct, frozen=True):
    """A range of the medium (bytes) and its class."""

    extent: Extent
    kind: AllocationClass


class VolumeAllocation(Struct, frozen=True):
    """A volume and what is known of the space in it; ``offset`` and ``length`` in bytes of the medium.

    ``file_system`` is ``None`` and ``reason`` says why where nothing is known: all of it counts as in use then.
    ``bytes_by_class`` counts the bytes of the volume by the values of :class:`AllocationClass`; ``notes`` are
    sentences that whoever relies on the allocation must know (a journal that was not replayed …).
    """

    partition: int | None
    offset: int
    length: int
    file_system: str | None
    reason: str | None
    bytes_by_class: dict[str, int]
    notes: tuple[str, ...] = ()


class Allocation(Struct, frozen=True):
    """The whole medium: ``extents`` are sorted, do not overlap, and cover every byte of ``0 <= b < size`` once."""

    size: int
    sector_size: int
    extents: tuple[ClassifiedExtent, ...]
    volumes: tuple[VolumeAllocation, ...]

    def of(self, *kinds: AllocationClass) -> tuple[Extent, ...]:
        """Return the ranges of these classes, merged."""
        return merge(each.extent for each in self.extents if each.kind in kinds)

    def total(self, *kinds: AllocationClass) -> int:
        """Return how many bytes have one of these classes."""
        return sum(each.extent.length for each in self.extents if each.kind in kinds)


def classify(size: int, found: Iterable[tuple[Extent, AllocationClass]]) -> tuple[ClassifiedExtent, ...]:
    """Give every byte of a medium of ``size`` bytes one class: of several, the first in :class:`AllocationClass`.

    What nothing covers is unpartitioned; what leaves the medium is cut.
    """
    whole = Extent(0, size)
    by_class: dict[AllocationClass, list[Extent]] = {kind: [] for kind in AllocationClass}
    for extent, kind in found:
        inside = extent.intersect(whole) if extent.offset < size else Extent(0, 0)
        if inside:
            by_class[kind].append(inside)
    by_class[AllocationClass.UNPARTITIONED].append(whole)
    taken: tuple[Extent, ...] = ()
    result: list[ClassifiedExtent] = []
    for kind, extents in by_class.items():
        own = subtract(extents, taken)
        result += [ClassifiedExtent(extent, kind) for extent in own]
        taken = merge((*taken, *own))
    result.sort(key=lambda each: each.extent.offset)
    return tuple(result)
