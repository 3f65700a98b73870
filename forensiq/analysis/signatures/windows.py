"""NTFS, ReFS, exFAT and FAT. Sources: Microsoft's FAT and exFAT specifications; the Linux kernel, ``fs/ntfs3``."""

from __future__ import annotations

import struct

from forensiq.analysis.signatures.text import fat_serial, field_text
from forensiq.analysis.window import Window
from forensiq.model.listing import Content, ContentKind

__all__ = ["exfat", "fat", "ntfs", "refs"]

_VOLUME_RECORD = 3
_VOLUME_NAME = 0x60


def _power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def _cluster_sectors(raw: int) -> int:
    """Sectors per cluster: a power of two, or 256 minus an exponent for clusters over 64 KiB."""
    return raw if raw <= 0x80 else 1 << (256 - raw)


def ntfs(volume: Window) -> Content | None:
    """``NTFS`` at 3; the label is in the $VOLUME_NAME attribute of MFT record 3."""
    raw = volume.read(0, 512)
    if len(raw) < 512 or raw[3:11] != b"NTFS    ":
        return None
    sector, factor = struct.unpack_from("<HB", raw, 11)
    sectors, mft = struct.unpack_from("<QQ", raw, 40)
    (size,) = struct.unpack_from("<b", raw, 64)
    if not _power_of_two(sector) or sector < 256 or not factor or (factor > 0x80 and factor < 0xE0):
        return Content(ContentKind.FILE_SYSTEM, "NTFS", note="the boot sector holds impossible values")
    cluster = sector * _cluster_sectors(factor)
    record = size * cluster if size > 0 else 1 << min(-size, 16)
    label = _ntfs_label(volume.read(mft * cluster + _VOLUME_RECORD * record, min(record, 65536)))
    serial = struct.unpack_from("<Q", raw, 72)[0]
    return Content(ContentKind.FILE_SYSTEM, "NTFS", label, f"{serial:016X}", sectors * sector, cluster)


def _ntfs_label(record: bytes) -> str | None:
    if record[:4] != b"FILE" or len(record) < 64:
        return None
    fixed = bytearray(record)
    place, count = struct.unpack_from("<HH", record, 4)
    for number in range(1, count):
        end = number * 512
        if place + 2 * number + 2 > len(record) or end > len(record):
            break
        fixed[end - 2 : end] = record[place + 2 * number : place + 2 * number + 2]
    at = struct.unpack_from("<H", fixed, 20)[0]
    while at + 24 <= len(fixed):
        kind, length, resident = struct.unpack_from("<IIB", fixed, at)
        if kind == 0xFFFFFFFF or length < 24:
            break
        if kind == _VOLUME_NAME and not resident:
            size, start = struct.unpack_from("<IH", fixed, at + 16)
            return field_text(bytes(fixed[at + start : at + start + min(size, 512)]), "utf-16-le")
        at += length
    return None


def refs(volume: Window) -> Content | None:
    """``ReFS`` at 3, ``FSRS`` at 16."""
    raw = volume.read(0, 64)
    if raw[3:7] != b"ReFS" or raw[16:20] != b"FSRS":
        return None
    sectors, sector, factor = struct.unpack_from("<QII", raw, 24)
    return Content(ContentKind.FILE_SYSTEM, "ReFS", size=sectors * sector, block_size=sector * factor)


def exfat(volume: Window) -> Content | None:
    """``EXFAT`` at 3; the label is entry type 83 in the root directory."""
    raw = volume.read(0, 512)
    if len(raw) < 512 or raw[3:11] != b"EXFAT   ":
        return None
    (sectors,) = struct.unpack_from("<Q", raw, 72)
    heap, _, root = struct.unpack_from("<III", raw, 88)
    shift, per_cluster = raw[108], raw[109]
    if not 9 <= shift <= 12 or shift + per_cluster > 25:
        return Content(ContentKind.FILE_SYSTEM, "exFAT", note="the boot sector holds impossible values")
    cluster = 1 << (shift + per_cluster)
    label = None
    directory = volume.read((heap << shift) + (root - 2) * cluster, min(cluster, 65536)) if root >= 2 else b""
    for at in range(0, len(directory) - 31, 32):
        if directory[at] == 0x83 and directory[at + 1] <= 11:
            label = field_text(directory[at + 2 : at + 2 + 2 * directory[at + 1]], "utf-16-le")
            break
        if directory[at] == 0:
            break
    serial = fat_serial(raw[100:104])
    return Content(ContentKind.FILE_SYSTEM, "exFAT", label, serial, sectors << shift, cluster)


def fat(volume: Window) -> Content | None:
    """A FAT boot sector: sizes that fit together; the kind follows from the number of clusters, as specified."""
    raw = volume.read(0, 512)
    if len(raw) < 512 or raw[510:512] != b"\x55\xaa" or raw[0] not in (0xEB, 0xE9, 0x00):
        return None
    sector, per_cluster, reserved, copies, roots, small, media, fat16 = struct.unpack_from("<HBHBHHBH", raw, 11)
    large, fat32 = struct.unpack_from("<II", raw, 32)
    sizes = sector in (512, 1024, 2048, 4096) and _power_of_two(per_cluster) and reserved and copies in (1, 2)
    total, table = small or large, fat16 or fat32
    if not sizes or not total or not table or (media < 0xF8 and media != 0xF0):
        return None
    root_sectors = -(-roots * 32 // sector)
    data = total - reserved - copies * table - root_sectors
    if data <= 0:
        return None
    clusters = data // per_cluster
    if not fat16:
        name, serial, label, root = "FAT32", raw[67:71], raw[71:82], None
        cluster = struct.unpack_from("<I", raw, 44)[0]
        first = reserved + copies * table + max(0, cluster - 2) * per_cluster
        root = volume.read(first * sector, per_cluster * sector)
    else:
        name = "FAT12" if clusters < 4085 else "FAT16"
        serial, label = raw[39:43], raw[43:54]
        root = volume.read((reserved + copies * table) * sector, root_sectors * sector)
        if raw[38] not in (0x28, 0x29):
            serial = label = b""
    text = _root_label(root) or field_text(label, "cp437")
    shown = None if text in ("NO NAME", None) else text
    return Content(ContentKind.FILE_SYSTEM, name, shown, fat_serial(serial), total * sector, per_cluster * sector)


def _root_label(directory: bytes) -> str | None:
    """The name of the entry with the volume-label attribute alone."""
    for at in range(0, len(directory) - 31, 32):
        first, attributes = directory[at], directory[at + 11]
        if first == 0:
            break
        if first != 0xE5 and attributes & 0x08 and attributes & 0x3F != 0x0F:
            return field_text(directory[at : at + 11], "cp437")
    return None
