"""Makes a FAT16 volume with folders, long names and deleted files.

Layout (Microsoft, "FAT: General Overview of On-Disk Format", 1.03): boot sector and reserved sectors, two equal tables,
root folder of fixed size, clusters from number 2 on. Multi-byte values are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct, field

from forensiq.procedures.practice.content import PracticeFile

__all__ = ["make_fat16"]

SECTOR = 512
SECTORS_PER_CLUSTER = 4
CLUSTER = SECTOR * SECTORS_PER_CLUSTER
RESERVED = 4
ROOT_ENTRIES = 512
_ENTRY = struct.Struct("<11sBBBHHHHHHHI")
_LONG_ENTRY = struct.Struct("<B10sBBB12sH4s")
_FOLDER, _ARCHIVE, _LABEL, _LONG = 0x10, 0x20, 0x08, 0x0F
_END_OF_CHAIN = 0xFFFF
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class _Folder(Struct):
    entries: bytearray = field(default_factory=bytearray)
    folders: dict[str, _Folder] = field(default_factory=dict)
    used: set[bytes] = field(default_factory=set)


class _Volume:
    def __init__(self, sectors: int) -> None:
        self.sectors = sectors
        root_sectors = ROOT_ENTRIES * 32 // SECTOR
        self.table_sectors = 1
        while True:
            data = sectors - RESERVED - root_sectors - 2 * self.table_sectors
            self.clusters = data // SECTORS_PER_CLUSTER
            if (self.clusters + 2) * 2 <= self.table_sectors * SECTOR:
                break
            self.table_sectors += 1
        if not 4085 <= self.clusters < 65525:
            raise ValueError(f"{self.clusters} clusters make no FAT16")
        self.data_start = RESERVED + 2 * self.table_sectors + root_sectors
        self.table = [0] * (self.clusters + 2)
        self.table[0:2] = [0xFFF8, _END_OF_CHAIN]
        self.next = 2
        self.image = bytearray(sectors * SECTOR)

    def store(self, data: bytes, *, deleted: bool = False) -> int:
        """Put ``data`` into clusters; return the first, 0 for nothing. Those of a deleted file stay free."""
        count = -(-len(data) // CLUSTER)
        if not count:
            return 0
        first = self.next
        self.next += count
        if self.next > self.clusters + 2:
            raise ValueError("the files do not fit")
        at = self.data_start * SECTOR + (first - 2) * CLUSTER
        self.image[at : at + len(data)] = data
        if not deleted:
            chain = [*range(first + 1, first + count), _END_OF_CHAIN]
            self.table[first : first + count] = chain
        return first


def make_fat16(sectors: int, label: str, files: Iterable[PracticeFile], *, hidden: int) -> bytes:
    """Return the bytes of a volume of ``sectors`` sectors of 512 bytes, ``hidden`` sectors lie before it."""
    volume = _Volume(sectors)
    root = _Folder()
    when = datetime(2026, 1, 15, 9, 0)  # noqa: DTZ001 FAT stores local time without a zone
    root.entries += _entry(label.upper().ljust(11).encode("ascii"), _LABEL, when, 0, 0)
    for file in files:
        _add(volume, root, file)
    _finish_folders(volume, root, parent=0)
    if len(root.entries) > ROOT_ENTRIES * 32:
        raise ValueError("too many entries in the root folder")
    image = volume.image
    image[: RESERVED * SECTOR] = _boot_sector(volume, label, hidden).ljust(RESERVED * SECTOR, b"\0")
    table = struct.pack(f"<{len(volume.table)}H", *volume.table).ljust(volume.table_sectors * SECTOR, b"\0")
    for copy in range(2):
        at = (RESERVED + copy * volume.table_sectors) * SECTOR
        image[at : at + len(table)] = table
    at = (RESERVED + 2 * volume.table_sectors) * SECTOR
    image[at : at + len(root.entries)] = root.entries
    return bytes(image)


def _add(volume: _Volume, root: _Folder, file: PracticeFile) -> None:
    folder = root
    for name in file.path[:-1]:
        folder = folder.folders.setdefault(name, _Folder())
    cluster = volume.store(file.data, deleted=file.deleted)
    short = _short_name(file.name, folder.used)
    long_entries = _long_entries(file.name, short)
    entry = _entry(short, _ARCHIVE, file.modified, cluster, len(file.data))
    if file.deleted:
        # Deletion overwrites the first byte of each entry and frees the chain; nothing else.
        both = long_entries + entry
        folder.entries += b"".join(b"\xe5" + both[at + 1 : at + 32] for at in range(0, len(both), 32))
    else:
        folder.entries += long_entries + entry


def _finish_folders(volume: _Volume, folder: _Folder, parent: int) -> None:
    """Store the folders below ``folder``, whose own first cluster is ``parent`` (0: the root), and list them in it."""
    when = datetime(2026, 1, 15, 9, 0)  # noqa: DTZ001
    for name, child in folder.folders.items():
        first = volume.next
        volume.store(bytes(CLUSTER))
        _finish_folders(volume, child, first)
        dots = _entry(b".".ljust(11), _FOLDER, when, first, 0) + _entry(b"..".ljust(11), _FOLDER, when, parent, 0)
        content = dots + child.entries
        if len(content) > CLUSTER:
            raise ValueError(f"too many entries in {name}")
        at = volume.data_start * SECTOR + (first - 2) * CLUSTER
        volume.image[at : at + len(content)] = content
        short = _short_name(name, folder.used)
        folder.entries += _long_entries(name, short) + _entry(short, _FOLDER, when, first, 0)


def _entry(short: bytes, attributes: int, when: datetime, cluster: int, size: int) -> bytes:
    date = (when.year - 1980) << 9 | when.month << 5 | when.day
    time = when.hour << 11 | when.minute << 5 | when.second // 2
    return _ENTRY.pack(short, attributes, 0, 0, time, date, date, 0, time, date, cluster, size)


def _short_name(name: str, used: set[bytes]) -> bytes:
    stem, _, ending = name.upper().rpartition(".") if "." in name else (name.upper(), "", "")
    clean = "".join(each if each in _PLAIN else "_" for each in stem)
    kind = "".join(each if each in _PLAIN else "_" for each in ending)[:3]
    fits = clean == stem and len(stem) <= 8 and len(ending) <= 3
    number = 0
    while True:
        text = clean if fits and not number else f"{clean[: 7 - len(str(number or 1))]}~{number or 1}"
        short = text.ljust(8).encode("ascii") + kind.ljust(3).encode("ascii")
        if short not in used:
            used.add(short)
            return short
        number = (number or 1) + 1


def _long_entries(name: str, short: bytes) -> bytes:
    if name == f"{short[:8].decode().strip()}.{short[8:].decode().strip()}".rstrip("."):
        return b""
    checksum = 0
    for byte in short:
        checksum = ((checksum & 1) << 7 | checksum >> 1) + byte & 0xFF
    text = name.encode("utf-16-le")
    if len(text) % 26:
        text = (text + b"\0\0").ljust(-(-len(text) // 26) * 26, b"\xff")
    parts = [text[at : at + 26] for at in range(0, len(text), 26)]
    entries = []
    for order, part in reversed(list(enumerate(parts, 1))):
        last = 0x40 if order == len(parts) else 0
        entries.append(_LONG_ENTRY.pack(order | last, part[:10], _LONG, 0, checksum, part[10:22], 0, part[22:]))
    return b"".join(entries)


def _boot_sector(volume: _Volume, label: str, hidden: int) -> bytes:
    small = volume.sectors if volume.sectors < 65536 else 0
    head = struct.pack(
        "<3s8sHBHBHHBHHHII",
        b"\xeb\x3c\x90",
        b"PRACTICE",
        SECTOR,
        SECTORS_PER_CLUSTER,
        RESERVED,
        2,
        ROOT_ENTRIES,
        small,
        0xF8,
        volume.table_sectors,
        63,
        255,
        hidden,
        0 if small else volume.sectors,
    )
    tail = struct.pack("<BBBI11s8s", 0x80, 0, 0x29, 0x20260115, label.upper().ljust(11).encode("ascii"), b"FAT16   ")
    return (head + tail).ljust(510, b"\0") + b"\x55\xaa"
