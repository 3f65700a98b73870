"""Master boot record with its chain of extended boot records.

======  ====  ==================================================================
offset  size  field
======  ====  ==================================================================
440     4     disk signature
446     64    four entries of 16 bytes: status, CHS, type (+4), CHS, first LBA (+8), sectors (+12)
510     2     signature 55 AA
======  ====  ==================================================================

In an extended boot record the first entry is a logical partition (LBA from that record), the second the next record
(LBA from the start of the extended partition). Source: the Linux kernel, ``block/partitions/msdos.c``.
"""

from __future__ import annotations

import struct

from msgspec import Struct

from forensiq.analysis.tables.base import ParsedTable, Slot, TableArea, note, warn
from forensiq.analysis.tables.type_names import MBR_TYPES
from forensiq.analysis.window import Window
from forensiq.model.finding import Finding

__all__ = ["PROTECTIVE", "parse_mbr"]

PROTECTIVE = 0xEE
_EXTENDED = (0x05, 0x0F, 0x85)
_FIRST_LOGICAL = 5
_MOST_LOGICAL = 1024


class _Entry(Struct, frozen=True):
    status: int
    type: int
    start: int
    count: int


def parse_mbr(medium: Window, sector_size: int) -> ParsedTable | None:
    """Return the table in the first sector; ``None`` where there is none.

    A boot sector of a file system ends with the same signature: an MBR has status bytes of 00 or 80 only. The caller
    judges whether entries that lead nowhere are a table or the code of a boot sector.
    """
    sector = medium.read(0, 512)
    entries = _entries(sector)
    if entries is None:
        return None
    if any(entry.status not in (0x00, 0x80) for entry in entries):
        return None
    if not any(entry.type and entry.count for entry in entries) and any(sector[446:510]):
        return None
    slots: list[Slot] = []
    areas = [TableArea(0, 1, "master boot record")]
    findings: list[Finding] = []
    for number, entry in enumerate(entries, 1):
        if not entry.type or not entry.count:
            if entry.type or entry.count:
                findings.append(warn("mbr.entry.incomplete", f"entry {number} has a type or a size, but not both"))
            continue
        frame = entry.type in _EXTENDED
        slots.append(_slot(number, entry, entry.start, frame=frame))
        if frame:
            logical, records, remarks = _logical(medium, entry.start, sector_size, _FIRST_LOGICAL + _logicals(slots))
            slots += logical
            areas += records
            findings += remarks
    serial = struct.unpack_from("<I", sector, 440)[0]
    if serial:
        findings.append(note("mbr.disk_signature", f"disk signature {serial:08x}"))
    return ParsedTable("mbr", sector_size, tuple(slots), tuple(areas), tuple(findings))


def _logicals(slots: list[Slot]) -> int:
    return sum(slot.number >= _FIRST_LOGICAL for slot in slots)


def _entries(sector: bytes) -> list[_Entry] | None:
    if len(sector) < 512 or sector[510:512] != b"\x55\xaa":
        return None
    result = []
    for offset in range(446, 510, 16):
        status, kind, start, count = struct.unpack_from("<B3xB3xII", sector, offset)
        result.append(_Entry(status, kind, start, count))
    return result


def _slot(number: int, entry: _Entry, start: int, *, frame: bool = False) -> Slot:
    name = MBR_TYPES.get(entry.type, "unknown type")
    flags = ("active",) if entry.status == 0x80 else ()
    return Slot(number, start, entry.count, name, f"0x{entry.type:02x}", flags=flags, is_frame=frame)


def _logical(
    medium: Window, base: int, sector_size: int, number: int
) -> tuple[list[Slot], list[TableArea], list[Finding]]:
    """Follow the chain of extended boot records from LBA ``base``; a loop or a broken link ends it with a finding."""
    slots: list[Slot] = []
    areas: list[TableArea] = []
    findings: list[Finding] = []
    seen: set[int] = set()
    at = base
    while True:
        if at in seen:
            findings.append(warn("mbr.extended.loop", f"the chain of extended boot records loops to sector {at}"))
            break
        if len(seen) >= _MOST_LOGICAL:
            findings.append(
                warn("mbr.extended.long", f"more than {_MOST_LOGICAL} extended boot records; the rest is not shown")
            )
            break
        seen.add(at)
        entries = _entries(medium.read(at * sector_size, 512))
        if entries is None:
            findings.append(warn("mbr.extended.broken", f"no extended boot record at sector {at}, where one should be"))
            break
        areas.append(TableArea(at, 1, "extended boot record"))
        following = None
        for entry in entries:
            if not entry.type or not entry.count:
                continue
            if entry.type in _EXTENDED:
                following = base + entry.start if following is None else following
            else:
                slots.append(_slot(number, entry, at + entry.start))
                number += 1
        if following is None:
            break
        at = following
    return slots, areas, findings
