"""Where ext2, ext3 and ext4 keep their own structures and their block bitmaps.

Source: Linux, Documentation/filesystems/ext4 (super block, block group descriptors, layout of the groups). Numbers are
blocks of the file system. Group 0 begins at the first data block (1 where a block has 1024 bytes, else 0).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from msgspec import Struct

from forensiq.analysis.window import Window

__all__ = ["ExtGroup", "ExtLayout", "ext_layout"]

_SUPERBLOCK = 1024
_MAGIC = 0xEF53
_SPARSE_SUPER, _BIGALLOC = 0x0001, 0x0200  # read-only compatible features
_RECOVER, _JOURNAL_DEVICE, _META_BG, _64BIT = 0x0004, 0x0008, 0x0010, 0x0080  # incompatible features
_SPARSE_SUPER2 = 0x0200  # compatible features
_BLOCK_UNINIT = 0x0002
_MOST_GROUPS = 4_000_000
_BATCH = 4096
_NOT_CLEAN = (
    "the file system was not unmounted cleanly: its journal was not replayed, so its bitmaps may call blocks free that "
    "were in use last"
)


class ExtGroup(Struct, frozen=True):
    """A group: its blocks, the block of its bitmap (``None``: never written; only ``metadata`` is in use).

    ``metadata`` are (first, end) of superblock copies, descriptors, bitmaps and inode table, wherever they lie.
    """

    first: int
    blocks: int
    bitmap: int | None
    metadata: tuple[tuple[int, int], ...]


class ExtLayout(Struct, frozen=True):
    """The numbers of a superblock that place everything."""

    window: Window
    block_size: int
    blocks: int
    first_data_block: int
    blocks_per_group: int
    table_blocks: int
    descriptor_size: int
    descriptor_blocks: int
    reserved_blocks: int
    backups: frozenset[int] | None
    notes: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of groups."""
        return -(-(self.blocks - self.first_data_block) // self.blocks_per_group)

    def groups(self) -> Iterator[ExtGroup]:
        """Yield all groups; descriptors that cannot be read are a group without a bitmap that is all metadata."""
        start = (self.first_data_block + 1) * self.block_size
        for low in range(0, self.count, _BATCH):
            many = min(_BATCH, self.count - low)
            data = self.window.read(start + low * self.descriptor_size, many * self.descriptor_size)
            for index in range(many):
                raw = data[index * self.descriptor_size : (index + 1) * self.descriptor_size]
                yield self._group(low + index, raw)

    def _group(self, number: int, raw: bytes) -> ExtGroup:
        first = self.first_data_block + number * self.blocks_per_group
        blocks = min(self.blocks_per_group, self.blocks - first)
        if len(raw) < self.descriptor_size:
            return ExtGroup(first, blocks, None, ((first, first + blocks),))
        bitmap, inodes, table, flags = struct.unpack_from("<III6xH", raw)
        if self.descriptor_size >= 64:
            high = struct.unpack_from("<III", raw, 32)
            bitmap, inodes, table = (low | top << 32 for low, top in zip((bitmap, inodes, table), high, strict=True))
        places = [(bitmap, bitmap + 1), (inodes, inodes + 1), (table, table + self.table_blocks)]
        if self._has_backup(number):
            places.append((first, first + 1 + self.descriptor_blocks + self.reserved_blocks))
        metadata = tuple((low, min(high, self.blocks)) for low, high in places if low < self.blocks)
        if not 0 < bitmap < self.blocks:
            return ExtGroup(first, blocks, None, (*metadata, (first, first + blocks)))
        return ExtGroup(first, blocks, None if flags & _BLOCK_UNINIT else bitmap, metadata)

    def _has_backup(self, number: int) -> bool:
        if self.backups is not None:
            return number == 0 or number in self.backups
        return number <= 1 or any(_is_power(number, base) for base in (3, 5, 7))


def _is_power(number: int, base: int) -> bool:
    while number > 1 and number % base == 0:
        number //= base
    return number == 1


def ext_layout(window: Window) -> ExtLayout | str:
    """Return the layout of the file system at the start of ``window``, or why it is not known."""
    raw = window.read(_SUPERBLOCK, 1024)
    if len(raw) < 1024 or struct.unpack_from("<H", raw, 56)[0] != _MAGIC:
        return "its superblock cannot be read"
    inode_count, blocks_low = struct.unpack_from("<II", raw, 0)
    first_data_block, block_log = struct.unpack_from("<II", raw, 20)
    blocks_per_group, _, inodes_per_group = struct.unpack_from("<III", raw, 32)
    inode_size = struct.unpack_from("<H", raw, 88)[0] if struct.unpack_from("<I", raw, 76)[0] else 128
    compatible, incompatible, read_only = struct.unpack_from("<III", raw, 92)
    if incompatible & (_JOURNAL_DEVICE | _META_BG) or read_only & _BIGALLOC:
        return "it has features (meta_bg, bigalloc or an external journal) whose bitmaps are not read"
    if block_log > 6 or not inode_count:
        return "its superblock contradicts itself"
    block_size = 1024 << block_log
    wide = bool(incompatible & _64BIT)
    blocks = blocks_low | (struct.unpack_from("<I", raw, 0x150)[0] << 32 if wide else 0)
    descriptor_size = struct.unpack_from("<H", raw, 0xFE)[0] if wide else 32
    if (
        not 0 < blocks_per_group <= block_size * 8
        or not 0 < inodes_per_group <= block_size * 8
        or not 128 <= inode_size <= block_size
        or descriptor_size not in (32, 64)
        or not first_data_block < blocks <= -(-window.length // block_size)
        or (blocks - first_data_block) // blocks_per_group > _MOST_GROUPS
    ):
        return "its superblock contradicts itself or is longer than its volume"
    groups = -(-(blocks - first_data_block) // blocks_per_group)
    backups: frozenset[int] | None = None
    if compatible & _SPARSE_SUPER2:
        backups = frozenset(struct.unpack_from("<II", raw, 0x24C))
    elif not read_only & _SPARSE_SUPER:
        backups = frozenset(range(groups))
    notes = (_NOT_CLEAN,) if incompatible & _RECOVER else ()
    return ExtLayout(
        window,
        block_size,
        blocks,
        first_data_block,
        blocks_per_group,
        -(-inodes_per_group * inode_size // block_size),
        descriptor_size,
        -(-groups * descriptor_size // block_size),
        struct.unpack_from("<H", raw, 0xCE)[0],
        backups,
        notes,
    )
