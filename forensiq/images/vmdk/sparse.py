"""Sparse extents of a VMware disk: grains behind two levels of tables. Hosted (``KDMV``) and ESX (``COWD``).

====== ===== ==============================================================================
offset bytes field of ``KDMV`` (little-endian; places and sizes in sectors of 512 bytes)
====== ===== ==============================================================================
0      4     ``KDMV``
4      4     version: 1 to 3
8      4     flags: 2 second directory, 4 zeroed grains, 0x10000 compressed, 0x20000 markers
12     8     capacity
20     8     grain size
28     8     descriptor, and 36: its size
44     4     entries of a grain table
48     8     second grain directory
56     8     grain directory; all ones: a copy of this header near the end of the file has it
64     8     overhead
72     1     not closed in order
77     2     compression: 1 deflate
====== ===== ==============================================================================

``COWD`` has version, flags, sectors, grain size, directory and its number of entries as six words of 4 bytes from 4 on;
its tables have 4096 entries. Source: VMware, *Virtual Disk Format 5.0*.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeAlias

from msgspec import Struct

from forensiq.errors import ImageFormatError
from forensiq.images.ewf.cache import BoundedCache
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.mapped import not_looked_for, problem
from forensiq.images.places import AlignedPlaces, Places
from forensiq.images.spans import Codec, FromParent, Lost, Packed, Plain, Span, Zeros
from forensiq.model.finding import Finding

__all__ = ["SECTOR", "SparseExtent", "SparseHeader", "TableCache", "read_sparse_header"]

SECTOR = 512
_KDMV = struct.Struct("<4sIIQQQQIQQQB4sH")
_COWD = struct.Struct("<4sIIIIII")
_AT_END = 0xFFFF_FFFF_FFFF_FFFF
_GRAIN_HEADER = struct.Struct("<QI")
_MOST_GRAIN = 32_768
_MOST_DIRECTORY = 16 << 20
"""2 TiB in grains of 4 KiB take a directory of 4 MiB."""
_MOST_FINDINGS = 100


class SparseHeader(Struct, frozen=True):
    """The header of a sparse extent; everything in bytes but ``entries``, the entries of one grain table."""

    kind: str
    version: int
    capacity: int
    grain: int
    descriptor: int
    descriptor_size: int
    entries: int
    directory: int
    second: int | None
    zeroed: bool
    compressed: bool
    unclean: bool

    @property
    def tables(self) -> int:
        """Entries that the grain directory needs."""
        return -(-self.capacity // (self.grain * self.entries))


def read_sparse_header(files: SegmentFiles, index: int) -> SparseHeader:
    """Return the header of file ``index``; :class:`~forensiq.errors.ImageFormatError` for one that cannot be."""
    head = files.read(index, 0, 512)
    name = files.paths[index].name
    if head[:4] == b"COWD" and len(head) >= _COWD.size:
        _, version, _, sectors, grain, directory, _ = _COWD.unpack_from(head)
        header = SparseHeader(
            "COWD", version, sectors * SECTOR, grain * SECTOR, 0, 0, 4096, directory * SECTOR, None, False, False, False
        )
    elif head[:4] == b"KDMV" and len(head) >= _KDMV.size:
        header = _hosted(head)
        if header.directory == _AT_END * SECTOR:
            # The footer is one sector before the end-of-stream marker; VMware and qemu both look there only.
            footer = files.read(index, max(0, files.size(index) - 2 * SECTOR), SECTOR)
            if footer[:4] != b"KDMV" or _hosted(footer).directory == _AT_END * SECTOR:
                raise ImageFormatError(
                    f"{name}: the end of the stream-optimised VMDK is missing: cut off, or still being written",
                    path=str(files.paths[index]),
                )
            header = _hosted(footer)
    else:
        raise ImageFormatError(f"{name} is no sparse extent of a VMDK", path=str(files.paths[index]))
    _check(header, files, index)
    return header


def _hosted(head: bytes) -> SparseHeader:
    _, version, flags, capacity, grain, at, size, entries, second, directory, _, unclean, _, algorithm = (
        _KDMV.unpack_from(head)
    )
    compressed = bool(flags & 0x10000)
    if not 1 <= version <= 3 or (compressed and algorithm != 1):
        raise ImageFormatError(f"a VMDK of version {version}, compression {algorithm}: forensiq does not know it")
    return SparseHeader(
        "KDMV", version, capacity * SECTOR, grain * SECTOR, at * SECTOR, size * SECTOR, entries, directory * SECTOR,
        second * SECTOR if flags & 2 and second else None, bool(flags & 4), compressed, bool(unclean),
    )  # fmt: skip


def _check(header: SparseHeader, files: SegmentFiles, index: int) -> None:
    grain = header.grain // SECTOR
    possible = 1 <= grain <= _MOST_GRAIN and not grain & grain - 1 and 1 <= header.entries <= 1 << 16
    if not possible or header.capacity > 1 << 60:
        raise ImageFormatError(
            f"{files.paths[index].name}: the header of the sparse VMDK is not possible", path=str(files.paths[index])
        )
    size = header.tables * 4
    if size > _MOST_DIRECTORY or header.directory + size > files.size(index):
        raise ImageFormatError(
            f"{files.paths[index].name}: its grain directory does not lie in the file: cut off, or damaged",
            path=str(files.paths[index]),
        )


TableCache: TypeAlias = "BoundedCache[tuple[int, int], array[int]]"
"""Grain tables, by the number of the file and that of the table."""


class SparseExtent:
    """The grains of one file; ``backed`` says whether grains that are not stored are the parent's. Thread-safe.

    ``tables`` keeps the grain tables of all extents of a disk: there may be tens of thousands.
    """

    def __init__(self, files: SegmentFiles, index: int, tables: TableCache, *, backed: bool) -> None:
        self.header = read_sparse_header(files, index)
        self._files = files
        self._index = index
        self._backed = backed
        self._directory = self._words(self.header.directory, self.header.tables)
        self._tables = tables

    def _words(self, at: int, count: int) -> array[int]:
        words = array("I")
        data = self._files.read(self._index, at, count * 4)
        words.frombytes(data[: len(data) // 4 * 4])
        if sys.byteorder == "big":
            words.byteswap()
        return words

    def _table(self, number: int) -> array[int] | Lost | None:
        found = self._tables.get((self._index, number))
        if found is not None:
            return found
        at = self._directory[number] * SECTOR
        if not at:
            return None
        table = self._words(at, self.header.entries)
        if len(table) < self.header.entries:
            return Lost(0, "vmdk.table", f"the grain table at byte {at} does not lie in the file", self._index)
        self._tables.put((self._index, number), table, len(table) * 4)
        return table

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """Yield what ``length`` bytes from byte ``offset`` of the extent on are."""
        reach = self.header.grain * self.header.entries
        end = offset + length
        while offset < end:
            if offset >= self.header.capacity:
                yield Lost(end - offset, "vmdk.capacity", "the extent is smaller than its descriptor says", self._index)
                return
            number, inside = divmod(offset, reach)
            count = min(end - offset, reach - inside, self.header.capacity - offset)
            table = self._table(number)
            if table is None:
                yield self._hole(count)
            elif isinstance(table, Lost):
                yield table._replace(length=count)
            else:
                yield from self._grains(table, number * self.header.entries, inside, count)
            offset += count

    def _hole(self, length: int) -> Span:
        return FromParent(length) if self._backed else Zeros(length)

    def _grains(self, table: array[int], first: int, inside: int, length: int) -> Iterator[Span]:
        grain = self.header.grain
        while length:
            number, skip = divmod(inside, grain)
            count = min(length, grain - skip)
            sector = table[number]
            if sector == 0:
                yield self._hole(count)
            elif sector == 1 and self.header.zeroed:
                yield Zeros(count)
            elif self.header.compressed:
                yield self._packed(sector * SECTOR, first + number, skip, count)
            else:
                yield Plain(count, self._index, sector * SECTOR + skip)
            inside += count
            length -= count

    def _packed(self, at: int, number: int, skip: int, count: int) -> Span:
        head = self._files.read(self._index, at, _GRAIN_HEADER.size)
        if len(head) < _GRAIN_HEADER.size:
            return Lost(count, "file.truncated", "the file ends before it", self._index)
        sector, size = _GRAIN_HEADER.unpack(head)
        grain = self.header.grain
        if sector != number * (grain // SECTOR):
            reason = f"the grain at byte {at} says that it is of sector {sector}, and it is not"
            return Lost(count, "vmdk.grain", reason, self._index)
        if size > 2 * grain + 1024:
            return Lost(count, "vmdk.grain", f"the grain at byte {at} cannot have {size} bytes", self._index)
        left = self.header.capacity - number * grain
        place = at + _GRAIN_HEADER.size
        return Packed(count, self._index, place, size, skip, grain, Codec.ZLIB, left if left < grain else 0)

    def check(self) -> Iterator[Finding]:
        """Check that the tables lie in the file, that both copies agree, and that no grain is used twice."""
        yield from islice(self._faults(), _MOST_FINDINGS)

    def _faults(self) -> Iterator[Finding]:
        name = self._files.paths[self._index].name
        second = None if self.header.second is None else self._words(self.header.second, self.header.tables)
        tables = [at for at in self._directory if at]
        if len(tables) != len(set(tables)):
            yield problem("vmdk.overlap", "a grain table is used for more than one range", segment=name)
        free = self._free_sectors()
        if free is None:
            yield not_looked_for("grains")
        for number in range(len(self._directory)):
            table = self._table(number)
            if isinstance(table, Lost):
                yield problem("vmdk.table", table.reason, segment=name)
                continue
            if second is not None and not self._agrees(number, table, second):
                yield problem("vmdk.copies", f"the two copies of grain table {number} are not the same", segment=name)
            if table is not None and any(table):
                yield from self._grain_faults(table, free, name)

    def _free_sectors(self) -> Callable[[int], bool] | None:
        """Return what takes the place of a grain by its sector; compressed ones are of any length."""
        size = self._files.size(self._index)
        if self.header.compressed:
            sectors = AlignedPlaces(-(-size // SECTOR))
            return sectors.take if sectors.checked else None
        grains = Places(size, self.header.grain)
        return (lambda sector: grains.take(sector * SECTOR)) if grains.checked else None

    def _grain_faults(self, table: array[int], free: Callable[[int], bool] | None, name: str) -> Iterator[Finding]:
        end = -(-self._files.size(self._index) // SECTOR)
        for sector in table:
            if sector <= 1:
                continue
            if sector >= end:
                yield problem("vmdk.range", f"a grain at sector {sector} lies behind the end", segment=name)
            elif free is not None and not free(sector):
                words = f"the grain at sector {sector} lies where another one is"
                yield problem("vmdk.overlap", words, segment=name)

    def _agrees(self, number: int, table: array[int] | None, second: array[int]) -> bool:
        if number >= len(second):
            return False
        at = second[number] * SECTOR
        return (self._words(at, self.header.entries) if at else None) == table
