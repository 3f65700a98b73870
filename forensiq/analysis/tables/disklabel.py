"""BSD disk labels and Sun (SPARC and i386) volume tables of contents.

BSD (little-endian, sector 1): 0 magic 82564557 · 40 bytes per sector · 132 magic again · 138 number of partitions ·
148 entries of 16 bytes: sectors, first sector, fragment size, type (+12). Source: FreeBSD ``sys/disklabel.h``.
Sun SPARC (big-endian, sector 0): 142 tag and flag of 8 partitions · 436 heads · 438 sectors per track · 444 entries:
first cylinder, sectors · 508 magic DABE. Sun i386 (little-endian, sector 1): 12 magic 600DDEEE · 30 partitions ·
72 entries of 12 bytes: tag, flag, first sector, sectors. Source: illumos ``sys/vtoc.h``, ``sys/dklabel.h``.
"""

from __future__ import annotations

import struct

from forensiq.analysis.tables.base import ParsedTable, Slot, TableArea, warn
from forensiq.analysis.tables.type_names import BSD_TYPES, SUN_TAGS
from forensiq.analysis.window import Window
from forensiq.model.finding import Finding

__all__ = ["parse_bsd", "parse_sun"]

_BSD_MAGIC = 0x82564557
_MOST_BSD = 64


def parse_bsd(medium: Window, sector_size: int) -> ParsedTable | None:
    """Return the label in sector 1; ``None`` where there is none. The raw partition (c) is a frame."""
    raw = medium.read(sector_size, 148 + 16 * _MOST_BSD)
    if len(raw) < 148 or struct.unpack_from("<I", raw)[0] != _BSD_MAGIC:
        return None
    findings: list[Finding] = []
    if struct.unpack_from("<I", raw, 132)[0] != _BSD_MAGIC:
        return None
    count = struct.unpack_from("<H", raw, 138)[0]
    if count > _MOST_BSD:
        findings.append(warn("bsd.count", f"the label claims {count} partitions; the first {_MOST_BSD} are looked at"))
        count = _MOST_BSD
    words = struct.unpack_from(f"<{(148 + 16 * count) // 2}H", raw.ljust(148 + 16 * count, b"\0"))
    checksum = 0
    for word in words:
        checksum ^= word
    if checksum:
        findings.append(warn("bsd.checksum", "the checksum of the BSD disk label is wrong"))
    slots = []
    for number in range(count):
        entry = raw[148 + 16 * number : 164 + 16 * number]
        if len(entry) < 16:
            break
        sectors, start, _, kind = struct.unpack_from("<IIIB", entry)
        if not sectors:
            continue
        whole = kind == 0 and start == 0
        name = BSD_TYPES.get(kind, "unknown type")
        slots.append(Slot(number + 1, start, sectors, name, f"0x{kind:02x}", chr(97 + number % 26), is_frame=whole))
    return ParsedTable("bsd", sector_size, tuple(slots), (TableArea(1, 1, "BSD disk label"),), tuple(findings))


def parse_sun(medium: Window, sector_size: int) -> ParsedTable | None:
    """Return the SPARC or i386 table of contents; ``None`` where there is neither."""
    return _sparc(medium, sector_size) or _i386(medium, sector_size)


def _sparc(medium: Window, sector_size: int) -> ParsedTable | None:
    raw = medium.read(0, 512)
    if len(raw) < 512 or raw[508:510] != b"\xda\xbe":
        return None
    findings: list[Finding] = []
    checksum = 0
    for word in struct.unpack(">256H", raw):
        checksum ^= word
    if checksum:
        findings.append(warn("sun.checksum", "the checksum of the Sun label is wrong"))
    heads, track = struct.unpack_from(">HH", raw, 436)
    slots = []
    for number in range(8):
        cylinder, sectors = struct.unpack_from(">II", raw, 444 + 8 * number)
        tag = struct.unpack_from(">H", raw, 142 + 4 * number)[0]
        if sectors:
            name = SUN_TAGS.get(tag, "unknown type")
            start = cylinder * heads * track
            slots.append(Slot(number + 1, start, sectors, name, f"0x{tag:02x}", is_frame=tag == 5))
    return ParsedTable("sun", sector_size, tuple(slots), (TableArea(0, 1, "Sun label"),), tuple(findings))


def _i386(medium: Window, sector_size: int) -> ParsedTable | None:
    raw = medium.read(sector_size, 512)
    if len(raw) < 512 or raw[12:16] != b"\xee\xde\x0d\x60" or raw[508:510] != b"\xbe\xda":
        return None
    slots = []
    for number in range(min(struct.unpack_from("<H", raw, 30)[0], 16)):
        tag, _, start, sectors = struct.unpack_from("<HHII", raw, 72 + 12 * number)
        if sectors:
            name = SUN_TAGS.get(tag, "unknown type")
            slots.append(Slot(number + 1, start, sectors, name, f"0x{tag:02x}", is_frame=tag == 5))
    return ParsedTable("sun", sector_size, tuple(slots), (TableArea(1, 1, "Sun label"),), ())
