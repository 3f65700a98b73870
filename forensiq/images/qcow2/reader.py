"""Reads QCOW2, versions 2 and 3: compressed clusters (deflate, zstd), subclusters, external data, backing files.

The medium is the active state of the file. Internal snapshots are other states of it; they are listed and not read.
Every entry of a table is checked before it is followed. Cluster data has no checksum in this format, compressed ones
none either: that a stream ends where it must is all that can be said of them.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path

from forensiq.errors import ImageFormatError, MissingSegmentError
from forensiq.images.base import EvidenceImage
from forensiq.images.ewf.cache import BoundedCache
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.mapped import MappedImage, missing_file, not_looked_for, problem, remark, stated
from forensiq.images.parents import find_named, open_parent
from forensiq.images.places import AlignedPlaces
from forensiq.images.qcow2.header import Qcow2Header, read_header, read_snapshots
from forensiq.images.request import OpenRequest
from forensiq.images.spans import Codec, FromParent, Lost, Packed, Plain, Span, Zeros
from forensiq.model.finding import Finding

__all__ = ["Qcow2Image", "open_qcow2"]

_OFFSET = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED = 1 << 62
_RESERVED = 0x3F00_0000_0000_01FE
_L1_RESERVED = 0x7F00_0000_0000_01FF
_TABLES_KEPT = 32 << 20
_MOST_FINDINGS = 100
_FORMATS = {"qcow2": "qcow2", "raw": "raw", "file": "raw", "host_device": "raw", "vmdk": "vmdk", "vpc": "vhd"} | {
    name: name for name in ("vhdx", "vdi", "dmg")
}
"""QEMU's names of formats: ours."""


class Qcow2Image(MappedImage):
    """A QCOW2 file, opened read-only; see :class:`~forensiq.images.mapped.MappedImage`."""

    format = "qcow2"

    def __init__(self, files: SegmentFiles, header: Qcow2Header, parent: EvidenceImage | None) -> None:
        super().__init__(files, header.size, parent)
        self.chunk_size = header.cluster_size
        self._header = header
        self._file_size = files.size(0)
        self._data = len(files.paths) - 1
        self._words = 2 if header.extended else 1
        self._entries = header.cluster_size // 8 // self._words
        self._l1 = self._table(header.l1_at, header.l1_entries)
        self._l2: BoundedCache[int, array[int]] = BoundedCache(_TABLES_KEPT)
        needed = -(-header.size // (self._entries * header.cluster_size))
        if len(self._l1) < needed:
            raise ImageFormatError(
                f"{files.paths[0]}: its L1 table has {len(self._l1)} entries where {needed} are needed",
                path=str(files.paths[0]),
            )

    def _table(self, at: int, entries: int) -> array[int]:
        table = array("Q")
        data = self.files.read(0, at, entries * 8)
        table.frombytes(data[: len(data) // 8 * 8])
        if sys.byteorder == "little":
            table.byteswap()
        return table

    def _second(self, index: int) -> array[int] | Span | None:
        """Return the L2 table of an L1 entry, ``None`` where there is none, a lost span where it is damaged."""
        found = self._l2.get(index)
        if found is not None:
            return found
        entry = self._l1[index]
        at = entry & _OFFSET
        if entry & _L1_RESERVED or at % self._header.cluster_size:
            return Lost(0, "qcow2.l1", f"entry {index} of the L1 table is not possible ({entry:#x})", 0)
        if not at:
            return None
        table = self._table(at, self._entries * self._words)
        if len(table) < self._entries * self._words:
            return Lost(0, "qcow2.l2", f"the L2 table at byte {at} does not lie in the file", 0)
        self._l2.put(index, table, len(table) * 8)
        return table

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """See :meth:`~forensiq.images.mapped.MappedImage.spans`."""
        reach = self._entries * self._header.cluster_size
        end = offset + length
        while offset < end:
            index, inside = divmod(offset, reach)
            count = min(end - offset, reach - inside)
            table = self._second(index)
            if table is None:
                yield self._hole(count)
            elif isinstance(table, array):
                yield from self._clusters(table, inside, count)
            else:
                yield table._replace(length=count)
            offset += count

    def _hole(self, length: int) -> Span:
        return FromParent(length) if self._header.backing else Zeros(length)

    def _clusters(self, table: array[int], inside: int, length: int) -> Iterator[Span]:
        size, bits = self._header.cluster_size, self._header.cluster_bits
        wrong = _RESERVED | (size - 1 & _OFFSET) | (1 if self._header.version == 2 or self._header.extended else 0)
        file, external, words = self._data, self._header.data_file is not None, self._words
        while length:
            number, skip = inside >> bits, inside & size - 1
            count = min(length, size - skip)
            entry = table[number * words]
            at = entry & _OFFSET
            if entry & _COMPRESSED:
                yield self._packed(entry, skip, count)
            elif entry & wrong:
                yield Lost(count, "qcow2.entry", f"an entry of an L2 table is not possible ({entry:#x})", 0)
            elif words == 2:
                yield from self._subclusters(at, table[number * 2 + 1], skip, count)
            elif entry & 1:
                yield Zeros(count)
            elif at or (external and entry >> 63):
                yield Plain(count, file, at + skip)
            else:
                yield self._hole(count)
            inside += count
            length -= count

    def _subclusters(self, at: int, bitmap: int, skip: int, length: int) -> Iterator[Span]:
        size = self._header.cluster_size // 32
        while length:
            number, inside = divmod(skip, size)
            count = min(length, size - inside)
            stored, zero = bitmap >> number & 1, bitmap >> number + 32 & 1
            if (stored and zero) or (stored and not at):
                yield Lost(count, "qcow2.entry", f"a subcluster bitmap of an L2 table is not possible ({bitmap:#x})", 0)
            elif zero:
                yield Zeros(count)
            else:
                yield Plain(count, self._data, at + skip) if stored else self._hole(count)
            skip += count
            length -= count

    def _packed(self, entry: int, skip: int, count: int) -> Span:
        split = 62 - (self._header.cluster_bits - 8)
        at = entry & (1 << split) - 1
        sectors = (entry & _COMPRESSED - 1) >> split
        codec = Codec.ZSTD if self._header.zstd else Codec.DEFLATE
        if entry >> 63 or at >= self._file_size:
            return Lost(count, "qcow2.entry", f"a compressed cluster does not lie in the file ({entry:#x})", 0)
        return Packed(count, 0, at, (sectors + 1) * 512 - at % 512, skip, self._header.cluster_size, codec)

    def check_container(self) -> Iterator[Finding]:
        """Check every entry of the active tables: possible, inside the file, and no cluster used twice."""
        size = self._header.cluster_size
        used = AlignedPlaces(-(-self._file_size // size))
        if not used.checked:
            yield not_looked_for("clusters")
        told = 0
        for place, what in self._places():
            if place >= self._file_size:
                found = problem("qcow2.range", f"{what} lies behind the end of the file", file_offset=place)
            elif not used.take(place // size):
                found = problem("qcow2.overlap", f"{what} is used for something else, too", file_offset=place)
            else:
                continue
            yield found
            told += 1
            if told == _MOST_FINDINGS:
                return

    def _places(self) -> Iterator[tuple[int, str]]:
        header, words = self._header, self._words
        yield 0, "the header"
        for at in range(header.l1_at, header.l1_at + header.l1_entries * 8, header.cluster_size):
            yield at, "the L1 table"
        yield from ((header.refcount_at + n * header.cluster_size, "the refcount table") for n in
                    range(min(header.refcount_clusters, 1 << 16)))  # fmt: skip
        external = header.data_file is not None
        for index, first in enumerate(self._l1):
            table = self._second(index)
            if not isinstance(table, array):
                continue
            yield first & _OFFSET, "an L2 table"
            if not any(table):
                continue
            for entry in table[::words]:
                at = entry & _OFFSET
                if at and not entry & _COMPRESSED and not external and not at % header.cluster_size:
                    yield at, "a cluster of data"


def open_qcow2(request: OpenRequest) -> Qcow2Image:
    """Open a QCOW2 file with its data file and backing files; see :class:`~forensiq.images.request.OpenRequest`."""
    files = SegmentFiles([request.path])
    try:
        header = read_header(request.path, files)
        absent: list[str] = []
        parent: EvidenceImage | None = None
        if header.data_file is not None:
            data = find_named(header.data_file, request.path, request.folders)
            if data is None:
                name = header.data_file or "its name is not stated"
                raise MissingSegmentError(
                    f"{request.path.name}: the file with its data is not there: {name}",
                    hint="put it beside the image, or name its folder with --segments-in DIR",
                    path=str(request.path),
                    missing=[header.data_file],
                )
            files.close()
            files = SegmentFiles([request.path, data])
        if header.backing:
            parent = _backing(request, header, absent)
    except ImageFormatError:
        files.close()
        raise
    try:
        image = Qcow2Image(files, header, parent)
    except ImageFormatError:
        files.close()
        if parent is not None:
            parent.close()
        raise
    _describe(image, header, absent)
    return image


def _backing(request: OpenRequest, header: Qcow2Header, absent: list[str]) -> EvidenceImage | None:
    stated_format = header.backing_format
    if stated_format and stated_format not in _FORMATS:
        raise ImageFormatError(
            f"{request.path.name}: its backing file is of the format {stated_format!r}, which forensiq does not read",
            path=str(request.path),
        )
    try:
        return open_parent(request, [_plain_name(header.backing)], "backing file", _FORMATS.get(stated_format))
    except MissingSegmentError:
        if not request.lenient:
            raise
        absent.append(header.backing)
        return None


def _plain_name(name: str) -> str:
    """Return the file name in QEMU's ``json:`` form of a backing file; any other name as it is."""
    if not name.startswith("json:"):
        return name.removeprefix("file:")
    try:
        value = json.loads(name[5:])
    except (ValueError, RecursionError):
        return name
    for key in ("file", "file.filename", "filename"):
        inner = value.get(key) if isinstance(value, dict) else None
        while isinstance(inner, dict):
            inner = inner.get("filename", inner.get("file"))
        if isinstance(inner, str):
            return inner
    return name


def _describe(image: Qcow2Image, header: Qcow2Header, absent: list[str]) -> None:
    snapshots = read_snapshots(header, image.files)
    image.container.update(
        stated(
            version=header.version,
            cluster_size=header.cluster_size,
            compression_type="zstd" if header.zstd else "deflate",
            subclusters=header.extended,
            marked_dirty=header.dirty,
            marked_corrupt=header.corrupt,
            backing_file=header.backing,
            backing_format=header.backing_format,
            data_file=header.data_file,
            snapshots=[str(each) for each in snapshots or ()],
        )
    )
    name = image.files.paths[0].name
    if image.parent is not None:
        taken = image.parent.identity.path
        image.container["backing_file_taken"] = taken
        if _plain_name(header.backing) != Path(taken).name:
            image.noted.append(
                remark(
                    "qcow2.backing",
                    f"the backing file is named {header.backing}; {taken} was taken, "
                    "and the format does not tell whether it is the right one",
                    warning=True,
                )
            )
    image.absent += absent
    for each in absent:
        image.noted.append(missing_file(name, "backing file", each))
    if header.corrupt:
        image.noted.append(remark("qcow2.corrupt", "the file says of itself that it is corrupt", warning=True))
    if header.dirty:
        image.noted.append(remark("qcow2.dirty", "the file says that it was not closed in order", warning=True))
    if snapshots is None:
        image.noted.append(problem("qcow2.snapshots", "the list of internal snapshots is damaged", segment=name))
    elif snapshots:
        image.noted.append(
            remark("qcow2.snapshots", f"the file holds {len(snapshots)} internal snapshots: they are not read")
        )
