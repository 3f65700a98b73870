"""GUID partition table, both copies checked.

Header (UEFI specification 2.10, 5.3.2), one sector at LBA 1 and one at the last LBA:

======  ====  =======================================
offset  size  field
======  ====  =======================================
0       8     ``EFI PART``
12      4     header size (92 or more)
16      4     CRC-32 of the header with this field 0
24      8     LBA of this header
32      8     LBA of the other header
40      8     first usable LBA
48      8     last usable LBA
56      16    disk GUID
72      8     first LBA of the entries
80      4     number of entries
84      4     size of an entry
88      4     CRC-32 of the entries
======  ====  =======================================
"""

from __future__ import annotations

import struct
import uuid
import zlib

from msgspec import Struct

from forensiq.analysis.tables.base import ParsedTable, Slot, TableArea, note, warn
from forensiq.analysis.tables.type_names import GPT_TYPES
from forensiq.analysis.window import Window
from forensiq.model.finding import Finding

__all__ = ["parse_gpt"]

_MOST_ENTRY_BYTES = 4 * 1024 * 1024
_FLAGS = (
    (0, "required"),
    (1, "no block I/O"),
    (2, "legacy boot"),
    (60, "read-only"),
    (62, "hidden"),
    (63, "no automount"),
)


class _Header(Struct, frozen=True):
    lba: int
    alternate: int
    first_usable: int
    last_usable: int
    disk: uuid.UUID
    entries_lba: int
    count: int
    entry_size: int
    entries_crc: int
    crc_ok: bool
    entries: bytes | None
    """The bytes of all entries, where they could be read and their checksum is right."""

    @property
    def usable(self) -> bool:
        return self.crc_ok and self.entries is not None


def parse_gpt(medium: Window, sector_size: int) -> ParsedTable | None:
    """Return the table; ``None`` where neither copy is there.

    1. Read the primary header at LBA 1 and its entries; check both checksums.
    2. Read the backup where the primary says it is, else in the last sector; check it as well.
    3. Take the primary if it is whole, else the backup, else the primary as it is; say what is wrong with the other.
    """
    last = medium.length // sector_size - 1
    primary = _header(medium, 1, sector_size)
    place = primary.alternate if primary is not None and primary.crc_ok else last
    backup = _header(medium, place, sector_size) if place > 1 else None
    findings: list[Finding] = []
    if backup is None and place != last:
        findings.append(warn("gpt.backup.place", f"no backup header at sector {place}, where the primary says it is"))
        backup = _header(medium, last, sector_size)
    if primary is None and backup is None:
        return None
    findings += _check("primary", primary) + _check("backup", backup)
    if primary is not None and backup is not None and primary.usable and backup.usable:
        if primary.entries != backup.entries or primary.disk != backup.disk:
            findings.append(warn("gpt.copies.differ", "both copies of the table are valid, but they are not the same"))
        if backup.lba != last:
            findings.append(
                note("gpt.backup.not_last", f"the backup header is at sector {backup.lba}, the last is {last}")
            )
    chosen = primary if primary is not None and (primary.usable or backup is None or not backup.usable) else backup
    if chosen is None:
        return None
    data = chosen.entries
    if data is None:
        data = medium.read(chosen.entries_lba * sector_size, min(chosen.count * chosen.entry_size, _MOST_ENTRY_BYTES))
    findings.append(note("gpt.disk_guid", f"disk GUID {chosen.disk}"))
    return ParsedTable("gpt", sector_size, _slots(data, chosen), _areas(primary, backup, sector_size), tuple(findings))


def _header(medium: Window, lba: int, sector_size: int) -> _Header | None:
    raw = medium.read(lba * sector_size, sector_size)
    if len(raw) < 92 or raw[:8] != b"EFI PART":
        return None
    size, crc = struct.unpack_from("<II", raw, 12)
    own, other, first, last = struct.unpack_from("<QQQQ", raw, 24)
    entries_lba, count, entry_size, entries_crc = struct.unpack_from("<QIII", raw, 72)
    crc_ok = 92 <= size <= len(raw) and zlib.crc32(raw[:16] + bytes(4) + raw[20:size]) == crc
    entries = None
    if entry_size >= 128 and 0 < count * entry_size <= _MOST_ENTRY_BYTES:
        data = medium.read(entries_lba * sector_size, count * entry_size)
        entries = data if len(data) == count * entry_size and zlib.crc32(data) == entries_crc else None
    disk = uuid.UUID(bytes_le=raw[56:72])
    entry_size = max(entry_size, 128)
    return _Header(own, other, first, last, disk, entries_lba, count, entry_size, entries_crc, crc_ok, entries)


def _check(which: str, header: _Header | None) -> list[Finding]:
    if header is None:
        return [
            warn(f"gpt.{which}.missing", f"the {which} header of the GUID partition table is missing or unreadable")
        ]
    result = []
    if not header.crc_ok:
        result.append(warn(f"gpt.{which}.header_crc", f"the checksum of the {which} GPT header is wrong"))
    if header.entries is None:
        result.append(warn(f"gpt.{which}.entries_crc", f"the checksum of the {which} GPT entries is wrong"))
    return result


def _slots(data: bytes, header: _Header) -> tuple[Slot, ...]:
    slots = []
    for number in range(min(header.count, len(data) // header.entry_size)):
        raw = data[number * header.entry_size : number * header.entry_size + 128]
        if raw[:16] == bytes(16):
            continue
        first, last, flags = struct.unpack_from("<QQQ", raw, 32)
        code = str(uuid.UUID(bytes_le=raw[:16]))
        name = raw[56:128].decode("utf-16-le", "replace").split("\0", 1)[0]
        slots.append(
            Slot(
                number + 1,
                first,
                max(0, last - first + 1),
                GPT_TYPES.get(code, "unknown type"),
                code,
                name or None,
                str(uuid.UUID(bytes_le=raw[16:32])),
                tuple(text for bit, text in _FLAGS if flags >> bit & 1),
            )
        )
    return tuple(slots)


def _areas(primary: _Header | None, backup: _Header | None, sector_size: int) -> tuple[TableArea, ...]:
    areas = []
    for which, header in (("primary", primary), ("backup", backup)):
        if header is not None:
            sectors = -(-min(header.count * header.entry_size, _MOST_ENTRY_BYTES) // sector_size)
            place = 1 if which == "primary" else header.lba
            areas.append(TableArea(place, 1, f"{which} GPT header"))
            areas.append(TableArea(header.entries_lba, sectors, f"{which} GPT entries"))
    return tuple(areas)
