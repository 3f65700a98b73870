"""Encryption that announces itself: BitLocker, LUKS, CoreStorage (FileVault 2).

Full-disk encryption without a header (VeraCrypt, plain dm-crypt) looks like random data; nothing is said of it.
"""

from __future__ import annotations

import struct

from forensiq.analysis.signatures.text import field_text, guid, identifier
from forensiq.analysis.window import Window
from forensiq.model.listing import Content, ContentKind

__all__ = ["bitlocker", "core_storage", "luks"]

_BITLOCKER_GUID = "4967d63b-2e29-4ad8-8399-f6a339e3d001"
_BITLOCKER_USED_SPACE_GUID = "92a84d3b-dd80-4d0e-9e4e-b1e3284eaed8"


def bitlocker(volume: Window) -> Content | None:
    """``-FVE-FS-`` at 3 (Vista and later), or a FAT boot sector with BitLocker's GUID at 424 (To Go)."""
    raw = volume.read(0, 512)
    if raw[3:11] == b"-FVE-FS-":
        return Content(ContentKind.ENCRYPTION, "BitLocker", uuid=_bitlocker_identifier(volume, raw, 176))
    if raw[3:11] == b"MSWIN4.1" and guid(raw[424:440]) in (_BITLOCKER_GUID, _BITLOCKER_USED_SPACE_GUID):
        return Content(ContentKind.ENCRYPTION, "BitLocker To Go", uuid=_bitlocker_identifier(volume, raw, 440))
    return None


def _bitlocker_identifier(volume: Window, raw: bytes, at: int) -> str | None:
    """The volume GUID in the first metadata block (``-FVE-FS-`` at 0, GUID at 80); source: libbde, format page."""
    if len(raw) < at + 8:
        return None
    block = volume.read(struct.unpack_from("<Q", raw, at)[0], 112)
    return guid(block[80:96]) if block[:8] == b"-FVE-FS-" else None


def luks(volume: Window) -> Content | None:
    """``LUKS`` BA BE, version at 6, UUID in text at 168; LUKS2 has a label at 24 and a second header further on."""
    raw = volume.read(0, 512)
    if raw[:6] == b"LUKS\xba\xbe" and len(raw) >= 208:
        version = struct.unpack_from(">H", raw, 6)[0]
        label = field_text(raw[24:72]) if version == 2 else None
        cipher = f"{field_text(raw[8:40])}-{field_text(raw[40:72])}" if version == 1 else None
        return Content(ContentKind.ENCRYPTION, f"LUKS{version}", label, field_text(raw[168:208]), note=cipher)
    for place in (0x4000, 0x8000, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000, 0x200000, 0x400000):
        if volume.read(place, 6) == b"SKUL\xba\xbe":
            raw = volume.read(place, 512)
            note = f"only the second header, at byte {place}; the first one is damaged or overwritten"
            return Content(ContentKind.ENCRYPTION, "LUKS2", field_text(raw[24:72]), field_text(raw[168:208]), note=note)
    return None


def core_storage(volume: Window) -> Content | None:
    """``CS`` at 88; an encryption method at 172 (2: AES-XTS) means FileVault 2. Source: libfvde, format page."""
    raw = volume.read(0, 512)
    if len(raw) < 512 or raw[88:90] != b"CS" or struct.unpack_from("<H", raw, 8)[0] != 1:
        return None
    uuid = identifier(raw[304:320])
    if struct.unpack_from("<I", raw, 172)[0] == 2:
        return Content(ContentKind.ENCRYPTION, "CoreStorage (FileVault 2)", uuid=uuid)
    return Content(ContentKind.CONTAINER, "CoreStorage", uuid=uuid)
