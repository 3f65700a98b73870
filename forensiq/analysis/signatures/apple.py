"""APFS containers, HFS and HFS+. Sources: Apple File System Reference; Apple TN1150."""

from __future__ import annotations

import struct

from forensiq.analysis.signatures.text import field_text, identifier
from forensiq.analysis.window import Window
from forensiq.model.listing import Content, ContentKind

__all__ = ["apfs", "hfs"]


def apfs(volume: Window) -> Content | None:
    """``NXSB`` at 32 of block 0; block size at 36, blocks at 40, UUID at 72. Volumes are inside."""
    raw = volume.read(0, 512)
    if len(raw) < 88 or raw[32:36] != b"NXSB":
        return None
    block, blocks = struct.unpack_from("<IQ", raw, 36)
    return Content(
        ContentKind.CONTAINER, "APFS container", uuid=identifier(raw[72:88]), size=block * blocks, block_size=block
    )


def hfs(volume: Window) -> Content | None:
    """``H+`` or ``HX`` at 1024; ``BD`` for HFS, which can wrap an HFS+ volume."""
    raw = volume.read(1024, 162)
    if len(raw) < 162:
        return None
    if raw[:2] in (b"H+", b"HX"):
        block, blocks = struct.unpack_from(">II", raw, 40)
        name = "HFS+" if raw[:2] == b"H+" else "HFSX"
        finder = raw[104:112]
        uuid = finder.hex().upper() if any(finder) else None
        return Content(ContentKind.FILE_SYSTEM, name, _hfs_plus_label(volume, block), uuid, block * blocks, block)
    if raw[:2] == b"BD":
        (block,) = struct.unpack_from(">I", raw, 20)
        (blocks,) = struct.unpack_from(">H", raw, 18)
        label = raw[37 : 37 + min(raw[36], 27)].decode("mac_roman") or None
        note = "wraps an HFS+ volume" if raw[124:126] == b"H+" else None
        return Content(ContentKind.FILE_SYSTEM, "HFS", label, size=block * blocks, block_size=block, note=note)
    return None


def _hfs_plus_label(volume: Window, block: int) -> str | None:
    """The name of folder 2 is the key of the first record in the first leaf node of the catalog B-tree."""
    raw = volume.read(1024 + 272, 80)
    if len(raw) < 80 or not 512 <= block <= 1 << 20:
        return None
    (start,) = struct.unpack_from(">I", raw, 16)
    catalog = start * block
    node = volume.read(catalog, 512)
    if len(node) < 34:
        return None
    leaf, (size,) = struct.unpack_from(">I", node, 24)[0], struct.unpack_from(">H", node, 32)
    first = volume.read(catalog + leaf * size, 600)
    if len(first) < 22 or first[8] != 0xFF:
        return None
    parent, length = struct.unpack_from(">IH", first, 16)
    return field_text(first[22 : 22 + 2 * min(length, 255)], "utf-16-be") if parent == 1 else None
