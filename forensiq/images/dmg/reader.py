"""Reads Apple disk images (UDIF): runs that are plain, zero, or compressed with ADC, zlib, bzip2, LZFSE or LZMA.

Each partition's sectors have a CRC-32, and so have the data fork and the list of these; all are checked. Layout:
:mod:`forensiq.images.dmg.layout`. Sectors of the kind *ignore* were free when the image was made and were not stored;
Apple's programs give zeros for them, and so does this reader, which counts them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from isal import isal_zlib

from forensiq.errors import Fact, ImageFormatError
from forensiq.images.dmg.layout import RUN, SECTOR, Table, Trailer, read_tables, read_trailer
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.mapped import MappedImage, check_size, problem, remark, stated
from forensiq.images.request import OpenRequest
from forensiq.images.spans import Codec, Lost, Packed, Plain, Span, Zeros
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Finding

__all__ = ["DmgImage", "open_dmg"]

_ZERO, _RAW, _IGNORE, _COMMENT, _END = 0, 1, 2, 0x7FFF_FFFE, 0xFFFF_FFFF
_CODECS = {
    0x8000_0004: Codec.ADC,
    0x8000_0005: Codec.ZLIB,
    0x8000_0006: Codec.BZIP2,
    0x8000_0007: Codec.LZFSE,
    0x8000_0008: Codec.XZ,
}
_LARGEST_UNIT = 64 << 20
_PIECE = 1 << 20
_SHOWN = 64


class DmgImage(MappedImage):
    """A UDIF file, opened read-only; see :class:`~forensiq.images.mapped.MappedImage`."""

    format = "dmg"

    def __init__(self, path: Path, files: SegmentFiles, trailer: Trailer, tables: list[Table]) -> None:
        super().__init__(files, check_size(path, trailer.sectors * SECTOR))
        self.trailer = trailer
        self.tables = tables
        self.ignored = 0
        self._starts, self._counts = array("Q"), array("Q")
        self._kinds, self._places, self._sizes = array("I"), array("Q"), array("Q")
        self._load(path)
        units = {count for count, kind in zip(self._counts, self._kinds, strict=True) if kind in _CODECS}
        if units:
            self.chunk_size = min(max(units) * SECTOR, 2 << 20)
            first = next(_CODECS[kind] for kind in self._kinds if kind in _CODECS)
            self.compression = first.value
        covered = sum(table.sectors for table in tables)
        self.content_checks = covered == trailer.sectors and all(each.checksum.crc is not None for each in tables)

    def _load(self, path: Path) -> None:
        rows = []
        for table in self.tables:
            for kind, _, sector, count, place, size in RUN.iter_unpack(table.runs):
                if kind in (_COMMENT, _END) or not count:
                    continue
                if kind not in _CODECS and kind not in (_ZERO, _RAW, _IGNORE):
                    raise ImageFormatError(
                        f"{path}: a run of the kind {kind:#x}, which forensiq does not know", path=str(path)
                    )
                first = table.first + sector
                if sector + count > table.sectors or first + count > self.trailer.sectors:
                    raise ImageFormatError(f"{path}: a block table leads out of the medium", path=str(path))
                rows.append((first, count, kind, self.trailer.data_at + table.data_at + place, size))
        end = 0
        for first, count, kind, place, size in sorted(rows):
            if first < end:
                raise ImageFormatError(f"{path}: its block tables name sector {first} twice", path=str(path))
            if max(place, size) >= 1 << 63:
                raise ImageFormatError(f"{path}: a block table leads out of the file", path=str(path))
            end = first + count
            self.ignored += count if kind == _IGNORE else 0
            for column, value in zip(
                (self._starts, self._counts, self._kinds, self._places, self._sizes),
                (first, count, kind, place, size),
                strict=True,
            ):
                column.append(value)

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """See :meth:`~forensiq.images.mapped.MappedImage.spans`."""
        end = offset + length
        index = bisect_right(self._starts, offset // SECTOR) - 1
        while offset < end:
            first = self._starts[index] * SECTOR if index >= 0 else 0
            last = first + self._counts[index] * SECTOR if index >= 0 else 0
            if offset >= last:
                index += 1
                following = self._starts[index] * SECTOR if index < len(self._starts) else self.size
                if following > offset:
                    count = min(end, following) - offset
                    yield Lost(count, "dmg.table", "no block table of the image has it", 0)
                    offset += count
                continue
            count = min(end, last) - offset
            yield self._run(index, offset - first, count)
            offset += count

    def _run(self, index: int, skip: int, count: int) -> Span:
        kind, place, size = self._kinds[index], self._places[index], self._sizes[index]
        unit = self._counts[index] * SECTOR
        if kind in (_ZERO, _IGNORE):
            return Zeros(count)
        if kind == _RAW:
            if skip + count > size:
                return Lost(count, "dmg.run", "the run stores less than its sectors", 0)
            return Plain(count, 0, place + skip)
        if unit > _LARGEST_UNIT or size > unit + unit // 8 + 65_536:
            return Lost(count, "dmg.run", f"a compressed run of {unit:,} bytes in {size:,} is not possible", 0)
        return Packed(count, 0, place, size, skip, unit, _CODECS[kind])

    def check_container(self) -> Iterator[Finding]:
        """Check the CRC-32 of the data fork, of every partition, and of the list of these."""
        stated_crc = self.trailer.data_checksum.crc
        if stated_crc is not None and self._data_crc() != stated_crc:
            yield problem("dmg.data.checksum", "the CRC-32 of the stored data is not the one in the trailer")
        if self.trailer.master.crc is not None and all(each.checksum.crc is not None for each in self.tables):
            joined = b"".join((each.checksum.crc or 0).to_bytes(4, "big") for each in self.tables)
            if isal_zlib.crc32(joined) != self.trailer.master.crc:
                yield problem("dmg.master.checksum", "the CRC-32 of the checksums is not the one in the trailer")
        end = 0
        for table in sorted(self.tables, key=lambda each: each.first):
            media = Extent(table.first * SECTOR, table.sectors * SECTOR)
            if media.offset < end or media.end > self.size:
                if table.sectors:
                    words = f"sectors of {table.name or 'a partition'} are those of another one: not checked"
                    yield remark("dmg.partition.place", words, warning=True)
                continue
            end = media.end
            found = None if table.checksum.crc is None else self._crc(media)
            if found is not None and found != table.checksum.crc:
                yield problem(
                    "dmg.partition.checksum",
                    f"the CRC-32 of the sectors of {table.name or 'a partition'} is not the one that was stored",
                    cause=Cause.DIGEST,
                    expected=f"{table.checksum.crc:08x}",
                    found=f"{found:08x}",
                )

    def _data_crc(self) -> int:
        crc = 0
        for piece in Extent(self.trailer.data_at, self.trailer.data_size).pieces(_PIECE):
            crc = isal_zlib.crc32(self.files.read(0, piece.offset, piece.length), crc)
        return crc

    def _crc(self, media: Extent) -> int | None:
        """Return the CRC-32 of what is stored of a range; ``None`` where some of it is damaged (told elsewhere).

        Sectors that were left out do not count: a partition of nothing else has the CRC-32 0.
        """
        crc = 0
        buffer = memoryview(bytearray(_PIECE))
        first = max(0, bisect_right(self._starts, media.offset // SECTOR) - 1)
        for index in range(first, len(self._starts)):
            run = Extent(self._starts[index] * SECTOR, self._counts[index] * SECTOR)
            if run.offset >= media.end:
                break
            if self._kinds[index] == _IGNORE:
                continue
            for piece in run.intersect(media).pieces(_PIECE):
                count, damage = self.read_checked(piece.offset, buffer[: piece.length])
                if damage:
                    return None
                crc = isal_zlib.crc32(buffer[:count], crc)
        return crc


def open_dmg(request: OpenRequest) -> DmgImage:
    """Open a UDIF disk image; see :class:`~forensiq.images.request.OpenRequest`."""
    path = request.path
    files = SegmentFiles([path])
    try:
        trailer = read_trailer(path, files)
        if trailer.segments > 1:
            raise ImageFormatError(
                f"{path}: segment {trailer.segment} of {trailer.segments} of a split disk image",
                hint="join the segments first (hdiutil does): forensiq reads disk images of one file",
                path=str(path),
            )
        image = DmgImage(path, files, trailer, read_tables(path, files, trailer))
    except ImageFormatError:
        files.close()
        raise
    if image.ignored:
        text = f"{image.ignored:,} sectors were free when the image was made and are not stored: they read as zeros"
        image.noted.append(remark("dmg.ignored", text))
    values: dict[str, Fact] = {
        "partitions": [each.name or f"sector {each.first}" for each in image.tables[:_SHOWN]],
        "sectors_not_stored": image.ignored,
        "data_crc32": _hex(trailer.data_checksum.crc),
        "master_crc32": _hex(trailer.master.crc),
        "image_variant": trailer.variant,
    }
    image.container.update(stated(**values))
    return image


def _hex(crc: int | None) -> str:
    return "" if crc is None else f"{crc:08x}"
