"""Small disks with partition tables, built byte by byte."""

from __future__ import annotations

import struct
import uuid
import zlib

__all__ = ["LINUX_GUID", "gpt_disk", "mbr_entry", "mbr_sector"]

LINUX_GUID = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def mbr_entry(kind: int, start: int, count: int, status: int = 0) -> bytes:
    """Return one entry of a master boot record."""
    return struct.pack("<B3xB3xII", status, kind, start, count)


def mbr_sector(*entries: bytes) -> bytes:
    """Return a boot record with up to four entries."""
    return bytes(446) + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa"


def _header(lba: int, other: int, last: int, entries_lba: int, entries: bytes, disk: uuid.UUID) -> bytes:
    fixed = struct.pack("<8sIIII", b"EFI PART", 0x10000, 92, 0, 0)
    places = struct.pack("<QQQQ", lba, other, 34, last - 33)
    table = struct.pack("<QIII", entries_lba, 128, 128, zlib.crc32(entries))
    raw = bytearray(fixed + places + disk.bytes_le + table)
    struct.pack_into("<I", raw, 16, zlib.crc32(raw))
    return bytes(raw)


def gpt_disk(partitions: list[tuple[int, int, str]], sectors: int = 256, sector_size: int = 512) -> bytearray:
    """Return a disk with a protective MBR and both copies of a GUID table; partitions are (first, last, name)."""
    disk = uuid.UUID(int=0x1234)
    entries = b""
    for number, (first, last, name) in enumerate(partitions):
        entries += LINUX_GUID.bytes_le + uuid.UUID(int=number + 1).bytes_le
        entries += struct.pack("<QQQ", first, last, 0) + name.encode("utf-16-le").ljust(72, b"\0")
    entries = entries.ljust(128 * 128, b"\0")
    end = sectors - 1
    table_sectors = len(entries) // sector_size
    image = bytearray(sectors * sector_size)
    image[:512] = mbr_sector(mbr_entry(0xEE, 1, end))
    image[sector_size : sector_size + 92] = _header(1, end, end, 2, entries, disk)
    image[2 * sector_size : 2 * sector_size + len(entries)] = entries
    backup = (end - table_sectors) * sector_size
    image[backup : backup + len(entries)] = entries
    image[end * sector_size : end * sector_size + 92] = _header(end, 1, end, end - table_sectors, entries, disk)
    return image
