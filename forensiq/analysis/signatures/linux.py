"""File systems and members that Linux makes. Sources: the Linux kernel's headers; util-linux, ``libblkid``."""

from __future__ import annotations

import struct

from forensiq.analysis.signatures.text import field_text, identifier
from forensiq.analysis.window import Window
from forensiq.model.listing import Content, ContentKind

__all__ = ["btrfs", "erofs", "ext", "f2fs", "jfs", "lvm2", "md_raid", "minix", "reiserfs", "squashfs", "swap", "xfs"]

_HAS_JOURNAL = 0x4
_JOURNAL_DEVICE = 0x8
_EXT4_INCOMPAT = 0x0040 | 0x0080 | 0x0100 | 0x0200 | 0x0400 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000
_EXT4_RO = 0x0008 | 0x0010 | 0x0020 | 0x0040 | 0x0200 | 0x0400
_ENCRYPT = 0x10000
_MD_MAGIC = 0xA92B4EFC


def ext(volume: Window) -> Content | None:
    """Superblock at 1024, magic EF53 at 56; ext3 has a journal, ext4 one of the features that came with it."""
    raw = volume.read(1024, 1024)
    if len(raw) < 264 or raw[56:58] != b"\x53\xef":
        return None
    compatible, incompatible, read_only = struct.unpack_from("<III", raw, 92)
    blocks, shift = struct.unpack_from("<I", raw, 4)[0], struct.unpack_from("<I", raw, 24)[0]
    if incompatible & 0x80 and len(raw) >= 340:
        blocks |= struct.unpack_from("<I", raw, 336)[0] << 32
    if incompatible & _JOURNAL_DEVICE:
        name = "ext journal"
    elif incompatible & _EXT4_INCOMPAT or read_only & _EXT4_RO:
        name = "ext4"
    else:
        name = "ext3" if compatible & _HAS_JOURNAL else "ext2"
    size = blocks << (10 + shift) if shift <= 6 else None
    note = "files can be encrypted (fscrypt)" if incompatible & _ENCRYPT else None
    kind = ContentKind.CONTAINER if name == "ext journal" else ContentKind.FILE_SYSTEM
    block = 1 << (10 + shift) if shift <= 6 else None
    return Content(kind, name, field_text(raw[120:136]), identifier(raw[104:120]), size, block, note)


def xfs(volume: Window) -> Content | None:
    """``XFSB`` at 0; block size at 4, blocks at 8, UUID at 32, label at 108 (big-endian)."""
    raw = volume.read(0, 512)
    if len(raw) < 120 or raw[:4] != b"XFSB":
        return None
    block, blocks = struct.unpack_from(">IQ", raw, 4)
    return Content(
        ContentKind.FILE_SYSTEM, "XFS", field_text(raw[108:120]), identifier(raw[32:48]), block * blocks, block
    )


def btrfs(volume: Window) -> Content | None:
    """Superblock at 64 KiB: magic at 64, file system UUID at 32, size at 112, label at 299."""
    raw = volume.read(65536, 4096)
    if len(raw) < 560 or raw[64:72] != b"_BHRfS_M":
        return None
    (size,), (sector,) = struct.unpack_from("<Q", raw, 112), struct.unpack_from("<I", raw, 144)
    return Content(ContentKind.FILE_SYSTEM, "Btrfs", field_text(raw[299:555]), identifier(raw[32:48]), size, sector)


def f2fs(volume: Window) -> Content | None:
    """Magic F2F52010 at 1024; UUID at 108, label (UTF-16) at 124."""
    raw = volume.read(1024, 1148)
    if len(raw) < 1148 or raw[:4] != b"\x10\x20\xf5\xf2":
        return None
    shift, blocks = struct.unpack_from("<I", raw, 16)[0], struct.unpack_from("<Q", raw, 36)[0]
    size = blocks << shift if 9 <= shift <= 16 else None
    return Content(
        ContentKind.FILE_SYSTEM, "F2FS", field_text(raw[124:1148], "utf-16-le"), identifier(raw[108:124]), size
    )


def reiserfs(volume: Window) -> Content | None:
    """``ReIsEr2Fs`` and its sisters at 52 of the superblock (64 KiB, or 8 KiB for the first version)."""
    for start in (65536, 8192):
        raw = volume.read(start, 512)
        if raw[52:61] in (b"ReIsEr2Fs", b"ReIsEr3Fs", b"ReIsErFs\0"):
            blocks, size = struct.unpack_from("<I", raw, 0)[0], struct.unpack_from("<H", raw, 44)[0]
            return Content(
                ContentKind.FILE_SYSTEM,
                "ReiserFS",
                field_text(raw[100:116]),
                identifier(raw[84:100]),
                blocks * size,
                size,
            )
        if raw[:7] == b"ReIsEr4":
            return Content(ContentKind.FILE_SYSTEM, "Reiser4", uuid=identifier(raw[20:36]))
    return None


def jfs(volume: Window) -> Content | None:
    """``JFS1`` at 32 KiB."""
    raw = volume.read(32768, 184)
    if raw[:4] != b"JFS1":
        return None
    return Content(ContentKind.FILE_SYSTEM, "JFS", field_text(raw[152:168]), identifier(raw[136:152]))


def squashfs(volume: Window) -> Content | None:
    """``hsqs`` at 0 (``sqsh`` big-endian); bytes used at 40."""
    raw = volume.read(0, 96)
    if len(raw) < 48 or raw[:4] not in (b"hsqs", b"sqsh"):
        return None
    return Content(ContentKind.FILE_SYSTEM, "SquashFS", size=struct.unpack_from("<Q", raw, 40)[0])


def erofs(volume: Window) -> Content | None:
    """Magic E0F5E1E2 at 1024."""
    raw = volume.read(1024, 128)
    if raw[:4] != b"\xe2\xe1\xf5\xe0" or len(raw) < 80:
        return None
    return Content(ContentKind.FILE_SYSTEM, "EROFS", field_text(raw[64:80]), identifier(raw[48:64]))


def minix(volume: Window) -> Content | None:
    """Magic at 16 (versions 1, 2) or 24 (version 3) of the superblock at 1024, with sizes that fit together."""
    raw = volume.read(1024, 32)
    if len(raw) < 32:
        return None
    inodes, _, inode_map, zone_map, first, shift = struct.unpack_from("<HHHHHH", raw)
    if raw[16:18] in (b"\x7f\x13", b"\x8f\x13", b"\x68\x24", b"\x78\x24") and inodes and inode_map and zone_map:
        return Content(ContentKind.FILE_SYSTEM, "Minix") if first > 2 and shift < 8 else None
    return Content(ContentKind.FILE_SYSTEM, "Minix") if raw[24:26] == b"\x5a\x4d" and inodes else None


def swap(volume: Window) -> Content | None:
    """``SWAPSPACE2`` in the last ten bytes of the first page; UUID at 1036, label at 1052."""
    for page in (4096, 8192, 16384, 65536):
        if volume.read(page - 10, 10) in (b"SWAPSPACE2", b"SWAP-SPACE"):
            raw = volume.read(1024, 64)
            return Content(ContentKind.SWAP, "Linux swap", field_text(raw[28:44]), identifier(raw[12:28]))
    return None


def lvm2(volume: Window) -> Content | None:
    """``LABELONE`` in one of the first four sectors, ``LVM2 001`` at 24 of it."""
    raw = volume.read(0, 2048)
    for at in range(0, 2048, 512):
        if raw[at : at + 8] == b"LABELONE" and raw[at + 24 : at + 32] == b"LVM2 001":
            start = at + struct.unpack_from("<I", raw, at + 20)[0]
            letters = raw[start : start + 32].decode("ascii", "replace")
            sizes = (6, 4, 4, 4, 4, 4, 6)
            parts = [letters[sum(sizes[:i]) : sum(sizes[: i + 1])] for i in range(7)]
            return Content(ContentKind.CONTAINER, "LVM2 physical volume", uuid="-".join(parts))
    return None


def md_raid(volume: Window) -> Content | None:
    """Magic A92B4EFC: version 1.1 at 0, 1.2 at 4096, 1.0 near the end, 0.90 in the last 64 KiB block."""
    near_end = volume.length // 512 - 16
    places = (0, 4096, (near_end & ~7) * 512 if near_end > 0 else 0)
    for place in places:
        raw = volume.read(place, 256)
        if len(raw) >= 96 and struct.unpack_from("<II", raw) == (_MD_MAGIC, 1):
            return Content(ContentKind.CONTAINER, "Linux RAID member", field_text(raw[32:64]), identifier(raw[16:32]))
    place = (volume.length & ~0xFFFF) - 0x10000
    raw = volume.read(place, 64) if place > 0 else b""
    if len(raw) == 64 and struct.unpack_from("<II", raw) == (_MD_MAGIC, 0):
        return Content(ContentKind.CONTAINER, "Linux RAID member", uuid=identifier(raw[20:24] + raw[52:64]))
    return None
