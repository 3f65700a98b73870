"""The partition listing of a medium: every table found, every place accounted for.

1. Look for a GUID table, with the sector size of the medium, else with the other common one; then for an MBR, an Apple
   map, BSD and Sun labels. More than one may be there: all are told.
2. Look for BSD labels inside MBR partitions of the BSD kinds.
3. Look for a file system (or the like) at byte 0, whatever tables there are.
4. Recognise what each volume begins with.
5. Everything that no partition and no table covers is unpartitioned, and shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from msgspec.structs import replace

from forensiq.analysis.signatures import recognise
from forensiq.analysis.tables.apm import parse_apm
from forensiq.analysis.tables.base import ParsedTable, Slot, note, warn
from forensiq.analysis.tables.disklabel import parse_bsd, parse_sun
from forensiq.analysis.tables.gpt import parse_gpt
from forensiq.analysis.tables.mbr import parse_mbr
from forensiq.analysis.window import Medium, Window
from forensiq.model.extent import Extent, subtract
from forensiq.model.finding import Finding
from forensiq.model.listing import Content, ContentKind, Volume, VolumeKind, VolumeSystem

__all__ = ["read_volumes"]

_BSD_SLICES = ("0xa5", "0xa6", "0xa9", "0xa8")
_PROTECTIVE = "0xee"
_SECTOR_SIZES = (512, 4096)


def read_volumes(medium: Medium, *, sector_size: int | None = None) -> VolumeSystem:
    """Return everything that the tables and signatures of ``medium`` tell; reads only small pieces, never fails.

    ``sector_size`` overrides that of the medium, for raw images of drives with 4096-byte sectors.
    """
    whole = Window(medium)
    unit = sector_size or medium.sector_size
    tables, findings = _tables(whole, unit, fixed=sector_size is not None)
    at_zero = tuple(content for content in recognise(whole) if content.kind is not ContentKind.SWAP or not tables)
    volumes: list[Volume] = []
    occupied: list[Extent] = []
    for table in tables:
        rows = _rows(whole, table, taken={row.index for row in volumes if row.index is not None})
        known = {(row.offset, row.length) for row in volumes if row.kind is VolumeKind.PARTITION}
        volumes += [row for row in rows if row.kind is VolumeKind.TABLE or (row.offset, row.length) not in known]
    volumes += _nested(whole, volumes, unit)
    occupied = [Extent(row.offset, row.length) for row in volumes if row.kind is not VolumeKind.EXTENDED]
    holds_all = not tables
    if at_zero and not any(row.offset == 0 and row.kind is VolumeKind.PARTITION for row in volumes):
        remark: tuple[Finding, ...] = ()
        if tables:
            names = " and ".join(content.name for content in at_zero)
            remark = (note("volume.two_in_one", f"{names} at byte 0 of the medium, besides the partition table"),)
        size = max((content.size or whole.length for content in at_zero), default=whole.length)
        length = whole.length if holds_all else min(size, whole.length)
        volumes.append(
            Volume(0, VolumeKind.WHOLE_MEDIUM, 0, length, contents=at_zero, type="whole medium", findings=remark)
        )
    if not tables and not at_zero:
        volumes.append(Volume(0, VolumeKind.WHOLE_MEDIUM, 0, whole.length, type="whole medium"))
    if tables:
        volumes += _gaps(whole.length, occupied)
    volumes.sort(key=lambda row: (row.offset, row.kind is not VolumeKind.TABLE, -row.length))
    return VolumeSystem(
        whole.length,
        tables[0].sector_size if tables else unit,
        tuple(table.scheme for table in tables if table.slots or len(tables) == 1),
        tuple(volumes),
        tuple(findings + [finding for table in tables for finding in table.findings]),
    )


def _tables(whole: Window, unit: int, *, fixed: bool) -> tuple[list[ParsedTable], list[Finding]]:
    units = (unit,) if fixed else tuple(dict.fromkeys((unit, *_SECTOR_SIZES)))
    tables: list[ParsedTable] = []
    findings: list[Finding] = []
    for size in units:
        table = parse_gpt(whole, size)
        if table is not None:
            if size != unit:
                findings.append(note("table.sector_size", f"the table counts in sectors of {size} bytes, not {unit}"))
            tables.append(table)
            unit = size
            break
    mbr = parse_mbr(whole, unit)
    if mbr is not None and not tables and not fixed:
        mbr, remarks = _mbr_unit(whole, mbr, unit)
        findings += remarks
    if mbr is not None and not tables and _boot_code(whole, mbr):
        mbr = None
    if mbr is not None:
        tables.append(_without_protective(mbr, bool(tables), findings))
    for parse in (parse_apm, parse_bsd, parse_sun):
        other = parse(whole, unit)
        if other is not None:
            tables.append(other)
    return tables, findings


def _mbr_unit(whole: Window, table: ParsedTable, unit: int) -> tuple[ParsedTable, list[Finding]]:
    """An MBR does not say its unit: take the other sector size only where it alone leads to known content."""
    for size in _SECTOR_SIZES:
        if size == unit or _known(whole, table):
            continue
        other = parse_mbr(whole, size)
        if other is not None and _known(whole, other):
            return other, [note("table.sector_size", f"the table counts in sectors of {size} bytes, not {unit}")]
    return table, []


def _boot_code(whole: Window, table: ParsedTable) -> bool:
    """Whether a file system's boot sector only looks like a table: no entry, or the first leads out of the medium."""
    first = next(iter(table.slots), None)
    leads_out = first is None or first.start * table.sector_size >= whole.length
    return leads_out and any(content.kind is not ContentKind.SWAP for content in recognise(whole))


def _known(whole: Window, table: ParsedTable) -> bool:
    size = table.sector_size
    slots = (slot for slot in table.slots if not slot.is_frame)
    return any(recognise(whole.sub(slot.start * size, slot.count * size)) for slot in slots)


def _without_protective(table: ParsedTable, with_gpt: bool, findings: list[Finding]) -> ParsedTable:
    real = tuple(slot for slot in table.slots if slot.type_code != _PROTECTIVE)
    if not with_gpt:
        if len(real) != len(table.slots):
            findings.append(warn("mbr.protective", "a protective MBR, but no GUID partition table in either place"))
        return table
    if real:
        findings.append(warn("gpt.hybrid", "both a GUID partition table and real entries in the MBR: both are shown"))
    return replace(table, slots=real)


def _rows(whole: Window, table: ParsedTable, taken: set[int]) -> list[Volume]:
    rows = []
    unit = table.sector_size
    for area in table.areas:
        extent = _inside(area.start * unit, area.count * unit, whole.length)
        rows.append(Volume(None, VolumeKind.TABLE, extent.offset, extent.length, table.scheme, area.what))
    for slot in table.slots:
        number = slot.number
        while number in taken and not slot.is_frame:
            number += 1
        row = _partition(whole, slot, unit, table.scheme, number)
        if not slot.is_frame:
            taken.add(number)
        rows.append(row)
    partitions = sorted((row for row in rows if row.kind is VolumeKind.PARTITION), key=lambda row: row.offset)
    overlapping = {later.index: earlier.index for earlier, later in pairwise(partitions) if later.offset < earlier.end}
    return [
        replace(
            row,
            findings=(*row.findings, warn("partition.overlap", f"overlaps partition {overlapping[row.index]}")),
        )
        if row.kind is VolumeKind.PARTITION and row.index in overlapping
        else row
        for row in rows
    ]


def _partition(whole: Window, slot: Slot, unit: int, scheme: str, number: int) -> Volume:
    start, length = slot.start * unit, slot.count * unit
    extent = _inside(start, length, whole.length)
    findings: tuple[Finding, ...] = ()
    if start >= whole.length:
        findings = (warn("partition.outside", f"begins at byte {start}, behind the end of the medium"),)
    elif extent.length != length:
        missing = length - extent.length
        findings = (warn("partition.truncated", f"the last {missing} bytes are behind the end of the medium"),)
    contents: tuple[Content, ...] = ()
    if not slot.is_frame and extent:
        contents = recognise(whole.sub(extent.offset, extent.length))
    return Volume(
        index=None if slot.is_frame else number,
        kind=VolumeKind.EXTENDED if slot.is_frame else VolumeKind.PARTITION,
        offset=start,
        length=length,
        scheme=scheme,
        type=slot.type,
        type_code=slot.type_code,
        name=slot.name,
        partition_uuid=slot.uuid,
        flags=slot.flags,
        contents=contents,
        findings=findings,
    )


def _inside(offset: int, length: int, size: int) -> Extent:
    return Extent(offset, length).intersect(Extent(0, size)) if offset < size else Extent(size, 0)


def _nested(whole: Window, rows: Iterable[Volume], unit: int) -> list[Volume]:
    """BSD labels inside MBR slices; their numbers count from the medium or (old ones) from the slice."""
    result: list[Volume] = []
    rows = list(rows)
    taken = {row.index for row in rows if row.index is not None}
    for row in rows:
        if row.kind is not VolumeKind.PARTITION or row.type_code not in _BSD_SLICES or not row.offset:
            continue
        table = parse_bsd(whole.sub(row.offset, row.length), unit)
        if table is None:
            continue
        frame = next((slot.start for slot in table.slots if slot.is_frame or slot.name == "c"), 0)
        shift = 0 if frame or _starts_in(table, row, unit) else row.offset // unit
        slots = tuple(replace(slot, start=slot.start + shift) for slot in table.slots if not slot.is_frame)
        first = max(taken, default=0) + 1
        moved = replace(table, slots=slots, areas=())
        inner = _rows(
            whole, replace(moved, slots=tuple(replace(s, number=first + i) for i, s in enumerate(slots))), taken
        )
        result += [each for each in inner if (each.offset, each.length) != (row.offset, row.length)]
    return result


def _starts_in(table: ParsedTable, row: Volume, unit: int) -> bool:
    starts = [slot.start * unit for slot in table.slots if not slot.is_frame]
    return bool(starts) and all(row.offset <= start < row.end for start in starts)


def _gaps(size: int, occupied: Iterable[Extent]) -> list[Volume]:
    inside = [extent.intersect(Extent(0, size)) for extent in occupied if extent.offset < size]
    return [
        Volume(None, VolumeKind.UNPARTITIONED, gap.offset, gap.length, type="unpartitioned")
        for gap in subtract([Extent(0, size)], inside)
    ]
