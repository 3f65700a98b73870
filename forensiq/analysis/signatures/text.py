"""Text and identifiers out of fixed fields."""

from __future__ import annotations

import uuid

__all__ = ["fat_serial", "field_text", "guid", "identifier"]


def field_text(raw: bytes, encoding: str = "utf-8") -> str | None:
    """Return the text up to the first NUL, without spaces at the end; ``None`` where it is empty."""
    text = raw.decode(encoding, "replace").split("\0", 1)[0].rstrip()
    return text or None


def identifier(raw: bytes) -> str | None:
    """Return 16 bytes as a UUID in text; ``None`` where they are all zero or too few."""
    return str(uuid.UUID(bytes=raw)) if len(raw) == 16 and any(raw) else None


def guid(raw: bytes) -> str | None:
    """As :func:`identifier`, for Microsoft's mixed byte order."""
    return str(uuid.UUID(bytes_le=raw)) if len(raw) == 16 and any(raw) else None


def fat_serial(raw: bytes) -> str | None:
    """Return a FAT or exFAT volume serial number as Windows shows it, ``1A2B-3C4D``."""
    return f"{raw[3]:02X}{raw[2]:02X}-{raw[1]:02X}{raw[0]:02X}" if len(raw) == 4 and any(raw) else None
