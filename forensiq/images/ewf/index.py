"""From the number of a chunk to the bytes that store it: tables are loaded when they are needed, and let go again."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from msgspec import Struct

from forensiq.errors import ImageDamageError, ImageFormatError
from forensiq.images.ewf.cache import BoundedCache
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.ewf.groups import ChunkGroup, Placement
from forensiq.images.ewf.layout import (
    ADLER_SIZE,
    COMPRESSED,
    MAX_TABLE_OFFSET,
    TABLE_HEADER_SIZE,
    Checksum,
    unpack_entries,
)
from forensiq.images.ewf.report import FindingList
from forensiq.model.finding import Cause

__all__ = ["ChunkIndex", "LoadedTable", "StoredChunk"]

_CACHE_BYTES = 16 << 20


class StoredChunk(Struct, frozen=True):
    """Where a chunk is stored: ``length`` bytes from ``offset`` on in segment file ``segment``.

    ``length`` is what lies up to the next chunk; 0 or less where the table cannot be right.
    """

    segment: int
    offset: int
    length: int
    compressed: bool


class LoadedTable(Struct, frozen=True):
    """The entries of a group; ``second`` are those of ``table2`` where they differ and the first cannot be trusted."""

    group: ChunkGroup
    entries: Sequence[int]
    second: Sequence[int] | None = None

    def locate(self, number: int, *, second: bool = False) -> StoredChunk:
        """Return where chunk ``number`` of the medium is."""
        group = self.group
        entries = self.second if second and self.second is not None else self.entries
        at = number - group.first
        entry = entries[at]
        offset = group.base + (entry & MAX_TABLE_OFFSET)
        if at + 1 < len(entries):
            end = group.base + (entries[at + 1] & MAX_TABLE_OFFSET)
        else:
            end = group.end
        if not group.start <= offset < group.end:
            return StoredChunk(group.segment, offset, 0, bool(entry & COMPRESSED))
        if not offset < end <= group.end:
            end = group.end
        return StoredChunk(group.segment, offset, end - offset, bool(entry & COMPRESSED))


class ChunkIndex:
    """The groups of an image in order, and their tables."""

    def __init__(self, files: SegmentFiles, placement: Placement) -> None:
        self._files = files
        self._groups = placement.groups
        self._firsts = array("Q", (group.first for group in placement.groups))
        self._tables: BoundedCache[int, LoadedTable] = BoundedCache(_CACHE_BYTES)

    @property
    def groups(self) -> Sequence[ChunkGroup]:
        """All groups, by the number of their first chunk."""
        return self._groups

    def table(self, number: int) -> LoadedTable | None:
        """Return the table that holds chunk ``number``; ``None`` where no group does.

        Where the table is damaged, the entries are those of ``table2``; where both are, of both. Raises
        :class:`~forensiq.errors.ImageDamageError` where the file cannot be read.
        """
        at = bisect_right(self._firsts, number) - 1
        if at < 0 or number >= self._groups[at].first + self._groups[at].count:
            return None
        table = self._tables.get(at)
        if table is None:
            table = self._load(self._groups[at])
            self._tables.put(at, table, 4 * len(table.entries) * (1 if table.second is None else 2))
        return table

    def _load(self, group: ChunkGroup) -> LoadedTable:
        loaded: list[Sequence[int]] = []
        for which in range(len(group.tables)):
            entries, checksum = self._entries(group, which)
            if checksum is not None and checksum.ok:
                return LoadedTable(group, entries)
            loaded.append(entries)
        first, second = loaded[0], loaded[-1]
        return LoadedTable(group, first, second if second != first else None)

    def _entries(self, group: ChunkGroup, which: int) -> tuple[Sequence[int], Checksum | None]:
        offset, size = group.tables[which]
        want = 4 * group.count + (0 if group.inline else ADLER_SIZE)
        data = self._files.read(group.segment, offset + TABLE_HEADER_SIZE, min(size - TABLE_HEADER_SIZE, want))
        try:
            return unpack_entries(data, group.count)
        except ImageFormatError as error:
            raise ImageDamageError(str(error)) from error

    def check(self, report: FindingList) -> Iterator[None]:
        """Check every table against its checksum, its twin, and the place where its chunks must be.

        Yields once for each group, so that findings can be taken from ``report`` meanwhile.
        """
        for group in self._groups:
            try:
                self._check_group(group, report)
            except ImageDamageError as error:
                report.error("ewf.table.unreadable", str(error), segment=group.segment, at=group.tables[0][0])
            yield

    def _check_group(self, group: ChunkGroup, report: FindingList) -> None:
        good = []
        for which, (offset, _) in enumerate(group.tables):
            name = "table" if which == 0 else "table2"
            entries, checksum = self._entries(group, which)
            if checksum is None or checksum.ok:
                good.append(entries)
                continue
            other = "the other one is used" if len(group.tables) == 2 else "there is no second one"
            report.error(
                "ewf.table.checksum",
                f"the checksum of the entries of the {name} is wrong; {other}",
                segment=group.segment,
                at=offset,
            )
        if len(good) == 2 and good[0] != good[1]:
            report.error(
                "ewf.table.differs",
                "table and table2 are both in order but do not agree; the first one is used",
                segment=group.segment,
                at=group.tables[0][0],
            )
        if good:
            self._check_entries(group, good[0], report)

    def _check_entries(self, group: ChunkGroup, entries: Sequence[int], report: FindingList) -> None:
        last = group.start - group.base - 1
        for at, entry in enumerate(entries):
            offset = entry & MAX_TABLE_OFFSET
            if offset <= last or group.base + offset >= group.end:
                report.error(
                    "ewf.table.entry",
                    f"chunk {group.first + at} cannot stand where the table says",
                    cause=Cause.DATA,
                    segment=group.segment,
                    at=group.tables[0][0] + TABLE_HEADER_SIZE + 4 * at,
                    found=group.base + offset,
                )
                return
            last = offset
        first = group.base + (entries[0] & MAX_TABLE_OFFSET)
        if first != group.start and group.start > 13:
            report.note(
                "ewf.sectors.gap",
                f"{first - group.start} bytes before the first chunk belong to no chunk",
                segment=group.segment,
                at=group.start,
            )
