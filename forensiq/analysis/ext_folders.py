"""Very large folders of ext2, ext3 and ext4, in time that grows with their size.

The Sleuth Kit compares each name that it adds to a folder with all that it has: a minute of processor for 100,000, two
hours for a million. Here the same entries, in the same order and with the same flags, deleted ones in the gaps
included, are made into the same array; only the comparing is done by a set.

Source: Linux, Documentation/filesystems/ext4 (linear directories); for what counts as an entry,
``ext2fs_dent_parse_block`` and ``tsk_fs_dir_add`` of The Sleuth Kit.
"""

from __future__ import annotations

import ctypes
import struct
from array import array
from collections.abc import Iterator

from forensiq.analysis.tsk import TskError, TskFileSystem
from forensiq.analysis.tsk_structs import META, NAME, FileHandle
from forensiq.analysis.window import Window

__all__ = ["LARGE_FOLDER", "NameArray", "large_folder"]

LARGE_FOLDER = 1 << 20
"""Bytes from which a folder is read here: The Sleuth Kit needs some ten seconds for one."""
_LARGEST = 512 << 20
_PIECE = 8 << 20
_HEAD = struct.Struct("<IHBB")
_SUPERBLOCK, _INCOMPATIBLE, _FILE_TYPES = 1024, 96, 0x0002
_KINDS = (0, 5, 3, 2, 4, 1, 7, 6)
"""``EXT2_FT`` → ``TSK_FS_NAME_TYPE_ENUM``."""
_ALLOCATED, _UNALLOCATED = 1, 2
_VIRTUAL_DIRECTORY = 11
_ORPHANS = b"$OrphanFiles"
_SHORTEST = 12
_WORDS = NAME.size // 8


class NameArray:
    """An array of ``TSK_FS_NAME`` in memory of ours; valid as long as this object lives."""

    def __init__(self, entries: dict[tuple[int, bytes], tuple[int, int]]) -> None:
        """``entries``: (inode, name) → (type, flags), in order."""
        self.count = len(entries)
        names = b"\0".join([name for _, name in entries]) + b"\0"
        self._names = ctypes.create_string_buffer(names, len(names))
        self._array = (ctypes.c_char * (self.count * NAME.size))()
        at = ctypes.addressof(self._names)
        pointers = array("Q")
        for _, name in entries:
            pointers.append(at)
            at += len(name) + 1
        view = memoryview(self._array).cast("B")
        words, numbers = view.cast("Q"), view.cast("i")
        words[1::_WORDS] = pointers
        words[5::_WORDS] = array("Q", [inode for inode, _ in entries])
        numbers[2 * _WORDS - 2 :: 2 * _WORDS] = array("i", [kind for kind, _ in entries.values()])
        numbers[2 * _WORDS - 1 :: 2 * _WORDS] = array("i", [flags for _, flags in entries.values()])
        self.pointer = ctypes.addressof(self._array)


def large_folder(fs: TskFileSystem, inode: int) -> NameArray | None:
    """Return the entries of a large folder; ``None`` for any that The Sleuth Kit should read."""
    if not fs.name.startswith("ext"):
        return None
    try:
        file = fs.open_file(inode)
    except TskError:
        return None
    try:
        facts = META.unpack(ctypes.string_at(FileHandle.from_address(file).meta, META.size))
        stream = fs.default_stream(file)
        most = min(_LARGEST, fs.image.medium.size)
        if stream is None or not facts[1] & _ALLOCATED or not LARGE_FOLDER <= stream.size <= most:
            return None
        if stream.size % fs.block_size:
            return None
        data = bytearray(stream.size)
        for start in range(0, len(data), _PIECE):
            piece = memoryview(data)[start : start + _PIECE]
            if fs.read(stream, start, piece) != len(piece):
                return None
    except TskError:
        return None
    finally:
        fs.lib.fs_file_close(file)
    return NameArray(_entries(fs, inode, data))


def _entries(fs: TskFileSystem, inode: int, data: bytearray) -> dict[tuple[int, bytes], tuple[int, int]]:
    features = Window(fs.image.medium, fs.offset).read(_SUPERBLOCK + _INCOMPATIBLE, 4)
    typed = bool(int.from_bytes(features, "little") & _FILE_TYPES)
    found: dict[tuple[int, bytes], tuple[int, int]] = {}
    for start in range(0, len(data), fs.block_size):
        for key, kind, flags in _of_block(data[start : start + fs.block_size], fs.info.last_inum, typed=typed):
            known = found.get(key)
            if known is None or (known[1] == _UNALLOCATED and flags == _ALLOCATED):
                found[key] = (kind, flags)
    if inode == fs.info.root_inum:
        found[fs.info.last_inum, _ORPHANS] = (_VIRTUAL_DIRECTORY, _ALLOCATED)
    return found


def _of_block(block: bytearray, last: int, *, typed: bool) -> Iterator[tuple[tuple[int, bytes], int, int]]:
    """Yield (inode, name), type and flags of a block's entries: those in use, and what is left in the gaps."""
    size, at, gap = len(block), 0, 0
    unpack = _HEAD.unpack_from
    while at <= size - _SHORTEST:
        inode, length, named, kind = unpack(block, at)
        if not typed:
            named, kind = named | kind << 8, 0
        least = (named + 11) & ~3
        valid = inode <= last and 0 < named <= 255 and least <= length and not length % 4 and at + length <= size
        if not valid or 0 < gap < least:
            at += 4
            gap -= 4 if gap > 0 else 0
            continue
        name = bytes(block[at + 8 : at + 8 + named]).split(b"\0", 1)[0]
        flags = _UNALLOCATED if gap > 0 or not inode else _ALLOCATED
        yield (inode, name), _KINDS[kind] if kind < len(_KINDS) else 0, flags
        if gap > 0:
            gap -= least
        if gap <= 0:
            if length - least >= _SHORTEST:
                gap = length - least
            else:
                least = length
        at += least
