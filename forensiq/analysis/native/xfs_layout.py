"""XFS on disk: superblock, inode, extents, directory blocks. All numbers are big-endian.

Source: "XFS Algorithms & Data Structures"; the Linux kernel, ``fs/xfs/libxfs/xfs_format.h`` and ``xfs_da_format.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from msgspec import Struct

from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.native.base import Name

__all__ = ["DATA_END", "Inode", "Superblock", "data_block_names", "extent", "short_form_names"]

DATA_END = 1 << 35
"""Byte of a directory where its data blocks end and its hash index begins."""

_INCOMPAT_FTYPE, _KNOWN_INCOMPAT = 0x1, 0xFF
"""ftype, sparse inodes, meta UUID, big times, needs repair, large extent counts, exchange range, parent pointers."""
_V4_FTYPE, _V4_DIRECTORY = 0x200, 0x2000
_BIG_TIME, _LARGE_COUNTS = 0x08, 0x10
_EPOCH = 1 << 31
_KINDS = (None, "file", "directory", "character_device", "block_device", "fifo", "socket", "symlink", "whiteout")
_UNUSED = 0xFFFF


class Superblock(Struct, frozen=True):
    """What of the superblock is needed; sizes in bytes, ``log`` values as powers of two."""

    block_size: int
    blocks: int
    root: int
    ag_blocks: int
    ag_count: int
    version: int
    sector_size: int
    inode_size: int
    inodes_log: int
    ag_log: int
    directory_block: int
    has_kinds: bool
    log_start: int
    log_blocks: int

    @classmethod
    def parse(cls, raw: bytes) -> Superblock:
        """Return the superblock in the first 512 bytes of a volume; ``FileSystemError`` for what is none."""
        if len(raw) < 512 or raw[:4] != b"XFSB":
            raise FileSystemError("no XFS superblock")
        block, blocks = struct.unpack_from(">IQ", raw, 4)
        (root,) = struct.unpack_from(">Q", raw, 56)
        ag_blocks, ag_count = struct.unpack_from(">II", raw, 84)
        features, sector, inode = struct.unpack_from(">HHH", raw, 100)
        inodes_log, ag_log, directory_log = raw[123], raw[124], raw[192]
        (second,) = struct.unpack_from(">I", raw, 200)
        (incompatible,) = struct.unpack_from(">I", raw, 216)
        version = features & 0xF
        if version not in (4, 5) or (version == 4 and not features & _V4_DIRECTORY):
            raise FileSystemError(f"XFS version {version} of this kind is not supported")
        if version == 5 and incompatible & ~_KNOWN_INCOMPAT:
            raise FileSystemError(f"XFS features that are not supported: {incompatible & ~_KNOWN_INCOMPAT:#x}")
        sound = (
            512 <= block <= 65536
            and not block & (block - 1)
            and 256 <= inode <= min(2048, block)
            and not inode & (inode - 1)
            and 512 <= sector <= 32768
            and ag_blocks
            and 0 < ag_count <= 1 << 20
            and ag_log <= 31
            and ag_blocks <= 1 << ag_log
            and inode << inodes_log == block
            and directory_log <= 8
            and block << directory_log <= 65536
        )
        if not sound:
            raise FileSystemError("the numbers of the XFS superblock do not fit together")
        kinds = bool(incompatible & _INCOMPAT_FTYPE) if version == 5 else bool(second & _V4_FTYPE)
        return cls(
            block, blocks, root, ag_blocks, ag_count, version, sector, inode, inodes_log, ag_log,
            block << directory_log, kinds, struct.unpack_from(">Q", raw, 48)[0], struct.unpack_from(">I", raw, 96)[0],
        )  # fmt: skip

    def inode_place(self, number: int) -> int:
        """Return the byte of the volume where an inode lies."""
        group = number >> (self.ag_log + self.inodes_log)
        block = (number >> self.inodes_log) & ((1 << self.ag_log) - 1)
        if group >= self.ag_count or block >= self.ag_blocks:
            raise FileSystemError(f"inode {number} is not in this file system")
        index = number & ((1 << self.inodes_log) - 1)
        return (group * self.ag_blocks + block) * self.block_size + index * self.inode_size

    def block_place(self, number: int) -> int:
        """Return the byte of the volume where a block lies, by its number with the group in the upper bits."""
        group, block = number >> self.ag_log, number & ((1 << self.ag_log) - 1)
        if group >= self.ag_count or block >= self.ag_blocks:
            raise FileSystemError(f"block {number} is not in this file system")
        return (group * self.ag_blocks + block) * self.block_size


class Inode(Struct, frozen=True):
    """An inode as it is stored. ``fork`` is its data fork: content, extents or the root of a tree of them."""

    mode: int
    format: int
    uid: int
    gid: int
    times: tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int] | None]
    """Accessed, modified, changed, created: seconds and nanoseconds."""
    size: int
    extents: int
    flags: int
    fork: bytes

    @classmethod
    def parse(cls, raw: bytes, number: int) -> Inode:
        """Return the inode in ``raw``; ``FileSystemError`` for what is none."""
        if raw[:2] != b"IN" or raw[4] not in (1, 2, 3):
            raise FileSystemError(f"inode {number}: no inode in its place")
        mode, version, form = struct.unpack_from(">HBB", raw, 2)
        uid, gid = struct.unpack_from(">II", raw, 8)
        size, _, _, extents, _, fork = struct.unpack_from(">QQIIHB", raw, 56)
        (flags,) = struct.unpack_from(">H", raw, 90)
        more = 0
        start = 100
        if version == 3:
            start = 176
            stored, more = struct.unpack_from(">Q", raw, 152)[0], struct.unpack_from(">Q", raw, 120)[0]
            if stored != number:
                raise FileSystemError(f"inode {number}: says that it is inode {stored}")
            if more & _LARGE_COUNTS:
                (extents,) = struct.unpack_from(">Q", raw, 24)
        moments = tuple(_moment(raw, at, big=bool(more & _BIG_TIME)) for at in (32, 40, 48))
        born = _moment(raw, 144, big=bool(more & _BIG_TIME)) if version == 3 else None
        end = start + 8 * fork if fork else len(raw)
        return cls(mode, form, uid, gid, (*moments, born), size, extents, flags, raw[start:end])  # type: ignore[arg-type]


def _moment(raw: bytes, at: int, *, big: bool) -> tuple[int, int]:
    if big:
        seconds, nanoseconds = divmod(struct.unpack_from(">Q", raw, at)[0], 1_000_000_000)
        return seconds - _EPOCH, nanoseconds
    seconds, nanoseconds = struct.unpack_from(">iI", raw, at)
    return seconds, nanoseconds


def extent(raw: bytes, at: int) -> tuple[int, int, int, bool]:
    """Return (block of the file, block of the file system, blocks, unwritten) of a packed extent."""
    high, low = struct.unpack_from(">QQ", raw, at)
    return (high & ~(1 << 63)) >> 9, (high & 0x1FF) << 43 | low >> 21, low & 0x1FFFFF, bool(high >> 63)


def short_form_names(raw: bytes, *, has_kinds: bool) -> Iterator[Name]:
    """Yield the entries of a directory that lies in its inode."""
    if len(raw) < 6:
        raise FileSystemError("a directory that is too short")
    count, wide = raw[0], bool(raw[1])
    number = ">Q" if wide else ">I"
    width = 8 if wide else 4
    at = 2 + width
    for _ in range(count):
        if at + 3 > len(raw):
            raise FileSystemError("a directory that ends in the middle of an entry")
        length = raw[at]
        end = at + 3 + length + has_kinds + width
        if not length or end > len(raw):
            raise FileSystemError("a directory that ends in the middle of an entry")
        name = raw[at + 3 : at + 3 + length]
        kind = raw[at + 3 + length] if has_kinds else 0
        yield Name(name, struct.unpack_from(number, raw, end - width)[0], _kind(kind))
        at = end


def data_block_names(raw: bytes, directory: int, *, has_kinds: bool) -> Iterator[Name]:
    """Yield the entries of one block of a directory's data, deleted names that are still legible among them.

    Removing an entry overwrites its first four bytes (a mark and the length of the free space) and its last two. The
    lower half of the inode's number, the name and its kind stay; the upper half is taken from ``directory``.
    """
    starts = {b"XD2B": 16, b"XD2D": 16, b"XDB3": 64, b"XDD3": 64}
    at = starts.get(raw[:4], 0)
    if not at:
        raise FileSystemError(f"inode {directory}: a block of the directory is not one")
    end = len(raw)
    if raw[:4] in (b"XD2B", b"XDB3"):
        (count,) = struct.unpack_from(">I", raw, end - 8)
        end -= 8 + 8 * count
    while at + 12 <= end:
        tag, length = struct.unpack_from(">HH", raw, at)
        if tag == _UNUSED:
            if length < 8 or length % 8 or at + length > end:
                raise FileSystemError(f"inode {directory}: a block of the directory does not fit together")
            yield from _deleted(raw, at, at + length, directory, has_kinds=has_kinds)
            at += length
            continue
        size = raw[at + 8]
        after = at + 9 + size + has_kinds
        if not size or after + 2 > end:
            raise FileSystemError(f"inode {directory}: an entry of the directory does not fit into its block")
        kind = raw[at + 9 + size] if has_kinds else 0
        yield Name(raw[at + 9 : at + 9 + size], struct.unpack_from(">Q", raw, at)[0], _kind(kind))
        at += (9 + size + has_kinds + 2 + 7) & ~7


def _deleted(raw: bytes, at: int, end: int, directory: int, *, has_kinds: bool) -> Iterator[Name]:
    """Yield names in free space, each only where everything about it is as an entry has it."""
    while at + 12 <= end:
        size = raw[at + 8]
        length = (9 + size + has_kinds + 2 + 7) & ~7
        name = raw[at + 9 : at + 9 + size]
        (low,) = struct.unpack_from(">I", raw, at + 4)
        kind = raw[at + 9 + size] if has_kinds and at + 9 + size < end else 0
        padding = raw[at + 9 + size + has_kinds : at + length - 2]
        good = size and at + length <= end and low and not any(padding) and b"\0" not in name and b"/" not in name
        if good and (not has_kinds or 0 < kind < len(_KINDS)):
            yield Name(name, (directory >> 32 << 32) | low, _kind(kind), allocated=False)
            at += length
        else:
            at += 8


def _kind(number: int) -> str | None:
    return _KINDS[number] if number < len(_KINDS) else None
