"""Which chunk is where: from the sections of all segments to groups of chunks with numbers.

No table says which chunk it begins with: the number follows from all tables before it. So a lost table or a missing
segment (a *gap*) leaves the numbers behind it open. With one gap they follow from the number of chunks that the volume
section tells; with several, only what stands before the first and behind the last gap can be placed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.ewf.layout import ADLER_SIZE, FILE_HEADER_SIZE, TABLE_HEADER_SIZE, TableHeader
from forensiq.images.ewf.report import FindingList
from forensiq.images.ewf.sections import Section
from forensiq.model.finding import Cause

__all__ = ["ChunkGroup", "Gap", "Placement", "collect_groups", "place_groups"]


class ChunkGroup(Struct, frozen=True):
    """The chunks of one table.

    ``first`` is the number of its first chunk; ``tables`` are the bodies of ``table`` and ``table2`` as (file offset,
    size); the chunks lie between the file offsets ``start`` and ``end``; ``base`` is added to every entry. ``inline``
    marks the tables of EnCase 1 and SMART, whose chunks follow in the same section: they have no checksum of entries.
    """

    segment: int
    count: int
    base: int
    tables: tuple[tuple[int, int], ...]
    start: int
    end: int
    first: int = 0
    inline: bool = False


class Gap(Struct, frozen=True):
    """A place where chunks may be lost; ``sure`` where a missing segment or table says so."""

    segment: int | None
    reason: str
    code: str
    sure: bool = False


class Placement(Struct, frozen=True):
    """Groups with numbers, in order, and the chunks that no group holds as (first, count, why)."""

    groups: tuple[ChunkGroup, ...]
    missing: tuple[tuple[int, int, Gap], ...]
    surplus: int = 0


class _Collector:
    """The state between ``sectors`` and its tables."""

    def __init__(self, files: SegmentFiles, segment: int, report: FindingList) -> None:
        self.files = files
        self.segment = segment
        self.report = report
        self.items: list[ChunkGroup | Gap] = []
        self.sectors: Section | None = None
        self.group: ChunkGroup | None = None
        self.short = False

    def take(self, section: Section) -> None:
        if section.resumed:
            self.close()
            self.items.append(Gap(self.segment, "the sections here are damaged", "section.lost"))
        if section.kind == "sectors":
            self.close()
            self.sectors = section
        elif section.kind == "table":
            if self.group is not None:
                self.close()
            self._table(section)
        elif section.kind == "table2":
            self._table2(section)

    def close(self) -> None:
        if self.group is not None:
            self.items.append(self.group)
            if self.short:
                self.items.append(Gap(self.segment, "the end of the table is missing", "table.missing", sure=True))
        elif self.sectors is not None:
            self.report.error(
                "ewf.table.missing",
                "no table says where the chunks of this sectors section are",
                cause=Cause.DATA,
                segment=self.segment,
                at=self.sectors.offset,
            )
            self.items.append(Gap(self.segment, "the table of these chunks is lost", "table.missing", sure=True))
        self.group = self.sectors = None
        self.short = False

    def _table(self, section: Section) -> None:
        header = self._header(section)
        room = (section.body_size - TABLE_HEADER_SIZE) // 4
        if header is not None:
            count, base = header.entries, header.base
        else:
            count, base = room - 1, 0 if self.sectors is None else self.sectors.offset
        if section.cut or count > room or count <= 0:
            self.report.error(
                "ewf.table.size",
                "the table is shorter than the number of its entries needs",
                segment=self.segment,
                at=section.offset,
                expected=f"{max(count, 1)} entries",
                found=f"{max(room, 0)} entries",
            )
            count = min(count, room)
            self.short = True
        if count <= 0:
            return
        inline = False
        if self.sectors is not None:
            start, end = self.sectors.body, min(self.sectors.end, section.offset)
        elif section.body_size - TABLE_HEADER_SIZE - 4 * count > ADLER_SIZE:
            start, end = section.body + TABLE_HEADER_SIZE + 4 * count, section.end
            inline = True
        else:
            start, end = FILE_HEADER_SIZE, section.offset
        tables = ((section.body, section.body_size),)
        self.group = ChunkGroup(self.segment, count, base, tables, start, end, inline=inline)

    def _table2(self, section: Section) -> None:
        header = self._header(section)
        if self.group is None:
            self.report.error(
                "ewf.table.missing", "table2 stands without its table", segment=self.segment, at=section.offset
            )
            self._table(section)
            return
        if section.cut or section.body_size != self.group.tables[0][1]:
            self.report.error(
                "ewf.table.differs",
                "table2 has another size than its table",
                segment=self.segment,
                at=section.offset,
                expected=self.group.tables[0][1],
                found=section.body_size,
            )
            return
        if header is not None:
            fits = 0 < header.entries <= (section.body_size - TABLE_HEADER_SIZE) // 4
            if (header.entries, header.base) != (self.group.count, self.group.base) and fits:
                first = TableHeader.unpack(self.files.read(self.segment, self.group.tables[0][0], TABLE_HEADER_SIZE))
                if first[1].ok:
                    self.report.error(
                        "ewf.table.differs",
                        "table and table2 do not agree",
                        segment=self.segment,
                        at=section.offset,
                        expected=f"{self.group.count} entries, base {self.group.base}",
                        found=f"{header.entries} entries, base {header.base}",
                    )
                    return
                self.group = replace(self.group, count=header.entries, base=header.base)
        self.group = replace(self.group, tables=(*self.group.tables, (section.body, section.body_size)))

    def _header(self, section: Section) -> TableHeader | None:
        if len(section.preview) < TABLE_HEADER_SIZE or section.body_size < TABLE_HEADER_SIZE:
            return None
        header, checksum = TableHeader.unpack(section.preview)
        if checksum.ok:
            return header
        self.report.error(
            "ewf.table.checksum",
            f"the checksum of the head of the {section.kind} is wrong",
            segment=self.segment,
            at=section.body,
        )
        return None


def collect_groups(
    files: SegmentFiles, segment: int, sections: Iterable[Section], report: FindingList
) -> list[ChunkGroup | Gap]:
    """Return the groups of one segment file in order, with gaps where chunks may be lost; numbers are not yet set."""
    collector = _Collector(files, segment, report)
    for section in sections:
        collector.take(section)
    collector.close()
    return collector.items


def place_groups(items: Sequence[ChunkGroup | Gap], total: int) -> Placement:
    """Give the groups of a whole image their numbers; ``total`` is the number of chunks of the medium."""
    held = sum(item.count for item in items if isinstance(item, ChunkGroup))
    lost = total - held
    gaps = [index for index, item in enumerate(items) if isinstance(item, Gap)]
    if lost <= 0:
        return Placement(_numbered(_groups(items), 0), (), -lost)
    if not gaps:
        gap = Gap(None, "the tables hold fewer chunks than the medium has", "chunk.missing")
        return Placement(_numbered(_groups(items), 0), ((held, lost, gap),))
    sure = [index for index in gaps if _gap(items[index]).sure] or gaps
    head = _numbered(_groups(items[: sure[0]]), 0)
    start = sum(group.count for group in head)
    behind = _groups(items[sure[-1] :])
    end = total - sum(group.count for group in behind)
    first = _gap(items[sure[0]])
    between = sum(group.count for group in _groups(items[sure[0] : sure[-1]]))
    if between:
        first = replace(first, reason=f"{first.reason}; {between} chunks between two gaps cannot be placed")
    return Placement((*head, *_numbered(behind, end)), ((start, end - start, first),))


def _gap(item: ChunkGroup | Gap) -> Gap:
    if not isinstance(item, Gap):
        raise TypeError("not a gap")
    return item


def _groups(items: Iterable[ChunkGroup | Gap]) -> list[ChunkGroup]:
    return [item for item in items if isinstance(item, ChunkGroup)]


def _numbered(groups: Iterable[ChunkGroup], first: int) -> tuple[ChunkGroup, ...]:
    result = []
    for group in groups:
        result.append(replace(group, first=first))
        first += group.count
    return tuple(result)
