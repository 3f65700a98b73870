"""Apple partition map: big-endian entries ``PM`` of one block each, from block 1 on.

Entry: 0 signature ``PM`` · 4 number of entries in the map · 8 first block · 12 blocks · 16 name (32) · 48 type (32).
Block 0 begins with ``ER`` and the block size (+2). Source: Inside Macintosh: Devices, "Partition map".
"""

from __future__ import annotations

import struct

from forensiq.analysis.tables.base import ParsedTable, Slot, TableArea, warn
from forensiq.analysis.window import Window
from forensiq.model.finding import Finding

__all__ = ["parse_apm"]

_MOST_ENTRIES = 4096


def parse_apm(medium: Window, sector_size: int) -> ParsedTable | None:
    """Return the map; ``None`` where block 1 holds none. The unit of the numbers is the map's own block size."""
    head = medium.read(0, 512)
    stated = struct.unpack_from(">H", head, 2)[0] if len(head) >= 4 and head[:2] == b"ER" else 0
    units = [unit for unit in dict.fromkeys((stated, sector_size, 512, 2048, 4096)) if unit in (512, 1024, 2048, 4096)]
    unit = next((each for each in units if medium.read(each, 2) == b"PM"), None)
    if unit is None:
        return None
    count = struct.unpack(">I", medium.read(unit + 4, 4).ljust(4, b"\0"))[0]
    findings: list[Finding] = []
    if count > _MOST_ENTRIES:
        findings.append(warn("apm.count", f"the map claims {count} entries; the first {_MOST_ENTRIES} are looked at"))
    slots = []
    for number in range(1, min(count, _MOST_ENTRIES) + 1):
        raw = medium.read(number * unit, 512)
        if len(raw) < 80 or raw[:2] != b"PM":
            findings.append(warn("apm.entry", f"entry {number} of the map is missing"))
            break
        start, blocks = struct.unpack_from(">II", raw, 8)
        kind = raw[48:80].split(b"\0", 1)[0].decode("mac_roman")
        slots.append(Slot(number, start, blocks, kind, kind, raw[16:48].split(b"\0", 1)[0].decode("mac_roman") or None))
    areas = (TableArea(0, 1, "driver descriptor"),)
    return ParsedTable("apm", unit, tuple(slots), areas, tuple(findings))
