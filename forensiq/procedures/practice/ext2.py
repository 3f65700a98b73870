"""Makes an ext2 volume of one block group, with folders and deleted files.

Layout (the kernel's ``Documentation/filesystems/ext4``, of which this is the oldest part): 1 KiB blocks; block 1
superblock, 2 group descriptor, 3 and 4 bitmaps, then the inode table and data. Values are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct, field

from forensiq.procedures.practice.content import PracticeFile

__all__ = ["make_ext2"]

BLOCK = 1024
INODES = 128
INODE_SIZE = 128
_BLOCK_BITMAP, _INODE_BITMAP, _INODE_TABLE = 3, 4, 5
_FIRST_DATA = _INODE_TABLE + INODES * INODE_SIZE // BLOCK
_ROOT, _LOST_AND_FOUND = 2, 11
_FOLDER_MODE, _FILE_MODE = 0o040755, 0o100644
_FOLDER_TYPE, _FILE_TYPE = 2, 1
_POINTERS = BLOCK // 4
_MADE = int(datetime(2026, 1, 15, 9, 0, tzinfo=UTC).timestamp())
_DELETED = int(datetime(2026, 1, 16, 23, 5, tzinfo=UTC).timestamp())


class _Folder(Struct):
    number: int
    parent: int
    blocks: int = 1
    names: list[tuple[str, int, int, bool]] = field(default_factory=list)
    folders: dict[str, _Folder] = field(default_factory=dict)


class _Volume:
    def __init__(self, blocks: int) -> None:
        if not _FIRST_DATA < blocks <= 8192:
            raise ValueError("one block group has at most 8192 blocks")
        self.blocks = blocks
        self.image = bytearray(blocks * BLOCK)
        self.next_block = _FIRST_DATA
        self.next_inode = _LOST_AND_FOUND
        self.used_blocks = set(range(1, _FIRST_DATA))
        self.used_inodes = set(range(1, _LOST_AND_FOUND))

    def new_inode(self) -> int:
        self.next_inode += 1
        return self.next_inode - 1

    def put(self, data: bytes, *, deleted: bool) -> int:
        """Store one block; return its number."""
        number = self.next_block
        self.next_block += 1
        if number >= self.blocks:
            raise ValueError("the files do not fit")
        self.image[number * BLOCK : number * BLOCK + len(data)] = data
        if not deleted:
            self.used_blocks.add(number)
        return number

    def write_inode(self, number: int, mode: int, data: bytes, links: int, when: int, *, deleted: bool = False) -> None:
        """Store ``data`` and the inode that leads to it."""
        numbers = [self.put(data[at : at + BLOCK], deleted=deleted) for at in range(0, len(data), BLOCK)]
        pointers = numbers[:12] + [0] * (15 - min(len(numbers), 12))
        stored = len(numbers)
        if len(numbers) > 12:
            if len(numbers) > 12 + _POINTERS:
                raise ValueError("the file is too large for one indirect block")
            pointers[12] = self.put(struct.pack(f"<{len(numbers) - 12}I", *numbers[12:]), deleted=deleted)
            stored += 1
        inode = struct.pack(
            "<HHIIIIIHHIII15I",
            mode,
            1000,
            len(data),
            when,
            _DELETED if deleted else when,
            when,
            _DELETED if deleted else 0,
            1000,
            0 if deleted else links,
            stored * BLOCK // 512,
            0,
            0,
            *pointers,
        )
        at = _INODE_TABLE * BLOCK + (number - 1) * INODE_SIZE
        self.image[at : at + len(inode)] = inode
        if not deleted:
            self.used_inodes.add(number)


def make_ext2(blocks: int, label: str, files: Iterable[PracticeFile]) -> bytes:
    """Return the bytes of a volume of ``blocks`` blocks of 1024 bytes."""
    volume = _Volume(blocks)
    root = _Folder(_ROOT, _ROOT)
    root.folders["lost+found"] = _Folder(volume.new_inode(), _ROOT, blocks=12)
    for file in files:
        folder = root
        for name in file.path[:-1]:
            if name not in folder.folders:
                folder.folders[name] = _Folder(volume.new_inode(), folder.number)
            folder = folder.folders[name]
        number = volume.new_inode()
        when = int(file.modified.timestamp())
        volume.write_inode(number, _FILE_MODE, file.data, 1, when, deleted=file.deleted)
        folder.names.append((file.name, number, _FILE_TYPE, file.deleted))
    folders = _write_folder(volume, root)
    _write_bitmaps(volume)
    _write_superblock(volume, label, folders)
    return bytes(volume.image)


def _write_folder(volume: _Volume, folder: _Folder) -> int:
    """Store a folder and those below; return how many there were."""
    entries = [(".", folder.number, _FOLDER_TYPE, False), ("..", folder.parent, _FOLDER_TYPE, False)]
    entries += [(name, child.number, _FOLDER_TYPE, False) for name, child in folder.folders.items()]
    entries += folder.names
    # Each name that is there reaches to the next one that is there: deleted names lie in the gap behind.
    pieces: list[tuple[bytes, bool]] = []
    for name, number, kind, deleted in entries:
        raw = name.encode()
        length = -(-(8 + len(raw)) // 4) * 4
        pieces.append((struct.pack("<IHBB", number, length, len(raw), kind) + raw.ljust(length - 8, b"\0"), deleted))
    used = sum(len(piece) for piece, _ in pieces)
    if used > BLOCK:
        raise ValueError("too many names in one folder")
    block = bytearray()
    last = 0
    for piece, deleted in pieces:
        if not deleted:
            last = len(block)
        block += piece
        struct.pack_into("<H", block, last + 4, len(block) - last)
    struct.pack_into("<H", block, last + 4, BLOCK - last)
    block = block.ljust(BLOCK, b"\0")
    for _ in range(folder.blocks - 1):
        block += struct.pack("<IHBB", 0, BLOCK, 0, 0).ljust(BLOCK, b"\0")
    volume.write_inode(folder.number, _FOLDER_MODE, bytes(block), 2 + len(folder.folders), _MADE)
    return 1 + sum(_write_folder(volume, child) for child in folder.folders.values())


def _write_bitmaps(volume: _Volume) -> None:
    for block, used, first, count in (
        (_BLOCK_BITMAP, volume.used_blocks, 1, volume.blocks - 1),
        (_INODE_BITMAP, volume.used_inodes, 1, INODES),
    ):
        bits = bytearray(b"\xff" * BLOCK)
        for index in range(count):
            if first + index not in used:
                bits[index // 8] &= ~(1 << index % 8)
        volume.image[block * BLOCK : (block + 1) * BLOCK] = bits


def _write_superblock(volume: _Volume, label: str, folders: int) -> None:
    free_blocks = volume.blocks - 1 - len(volume.used_blocks)
    free_inodes = INODES - len(volume.used_inodes)
    superblock = struct.pack(
        "<13IHHHHHHIIIIHHIHHIII16s16s",
        INODES,
        volume.blocks,
        0,
        free_blocks,
        free_inodes,
        1,  # first data block
        0,  # 1 KiB blocks
        0,
        8192,
        8192,
        INODES,
        _MADE,
        _MADE,
        0,
        0xFFFF,
        0xEF53,
        1,  # clean
        1,
        0,
        _MADE,
        0,
        0,
        1,  # revision with a given inode size
        0,
        0,
        _LOST_AND_FOUND,
        INODE_SIZE,
        0,
        0,
        2,  # entries of folders have a type
        0,
        bytes.fromhex("f0e5190000004000a00000000000d1e5"),
        label.encode().ljust(16, b"\0"),
    )
    volume.image[BLOCK : BLOCK + len(superblock)] = superblock
    group = struct.pack("<IIIHHH", _BLOCK_BITMAP, _INODE_BITMAP, _INODE_TABLE, free_blocks, free_inodes, folders)
    volume.image[2 * BLOCK : 2 * BLOCK + len(group)] = group
