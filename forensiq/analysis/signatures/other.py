"""Optical media, UFS and VMFS. Sources: ECMA-119, ECMA-167; FreeBSD ``ufs/ffs/fs.h``; util-linux, ``libblkid``."""

from __future__ import annotations

import struct

from forensiq.analysis.signatures.text import field_text
from forensiq.analysis.window import Window
from forensiq.model.listing import Content, ContentKind

__all__ = ["iso9660", "udf", "ufs", "vmfs"]

_UFS1, _UFS2 = 0x00011954, 0x19540119


def iso9660(volume: Window) -> Content | None:
    """``CD001`` at 1 of sector 16 (2048 bytes each); volume identifier at 40, blocks at 80."""
    raw = volume.read(32768, 2048)
    if len(raw) < 132 or raw[1:6] != b"CD001":
        return None
    blocks, block = struct.unpack_from("<I", raw, 80)[0], struct.unpack_from("<H", raw, 128)[0]
    return Content(ContentKind.FILE_SYSTEM, "ISO 9660", field_text(raw[40:72]), size=blocks * block, block_size=block)


def udf(volume: Window) -> Content | None:
    """``NSR02`` or ``NSR03`` in the volume recognition sequence, from sector 16 on."""
    for sector in range(16, 64):
        raw = volume.read(sector * 2048, 8)
        if raw[1:6] in (b"NSR02", b"NSR03"):
            return Content(ContentKind.FILE_SYSTEM, "UDF")
        if raw[1:6] not in (b"CD001", b"BEA01", b"BOOT2", b"CDW02", b"TEA01"):
            return None
    return None


def ufs(volume: Window) -> Content | None:
    """Magic at 1372 of the superblock: UFS1 at 8 KiB, UFS2 at 64 KiB (256 KiB); either byte order."""
    for start in (65536, 262144, 8192, 0):
        raw = volume.read(start, 1376)
        if len(raw) < 1376:
            continue
        for order in "<>":
            (magic,) = struct.unpack_from(f"{order}I", raw, 1372)
            if magic in (_UFS1, _UFS2):
                name = "UFS1" if magic == _UFS1 else "UFS2"
                (block,) = struct.unpack_from(f"{order}i", raw, 48)
                identifiers = struct.unpack_from(f"{order}II", raw, 144)
                uuid = f"{identifiers[0]:08x}{identifiers[1]:08x}" if any(identifiers) else None
                return Content(ContentKind.FILE_SYSTEM, name, field_text(raw[680:712]), uuid, block_size=block)
    return None


def vmfs(volume: Window) -> Content | None:
    """Magic C001D00D at 1 MiB."""
    if volume.read(1024 * 1024, 4) == b"\x0d\xd0\x01\xc0":
        return Content(ContentKind.FILE_SYSTEM, "VMFS")
    return None
