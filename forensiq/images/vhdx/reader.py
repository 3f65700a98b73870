"""Reads Hyper-V disks (VHDX): fixed, dynamic, differencing over a parent. A log that was left is replayed in memory.

A block table has one 64-bit entry for each block (state in the lowest 3 bits, place in MiB from bit 20 on), and after
each *chunk ratio* of them one for the bitmap that tells which sectors of a partly stored block are the disk's own.
Layout and checksums: :mod:`forensiq.images.vhdx.layout`.
"""

from __future__ import annotations

import sys
import uuid
from array import array
from collections.abc import Iterator
from pathlib import Path

from forensiq.errors import Fact, ImageFormatError, MissingSegmentError
from forensiq.images.base import EvidenceImage
from forensiq.images.bitmaps import runs
from forensiq.images.ewf.cache import BoundedCache
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.mapped import MappedImage, missing_file, not_looked_for, problem, remark, stated
from forensiq.images.parents import open_parent
from forensiq.images.places import Places
from forensiq.images.request import OpenRequest
from forensiq.images.spans import FromParent, Held, Lost, Plain, Span, Zeros
from forensiq.images.vhdx.layout import VhdxHeader, VhdxMetadata, read_headers, read_metadata, read_regions
from forensiq.images.vhdx.log import Replay, replay_log
from forensiq.model.finding import Finding

__all__ = ["VhdxImage", "open_vhdx"]

_MiB = 1 << 20
_ABSENT, _UNDEFINED, _ZERO, _UNMAPPED, _WHOLE, _PARTLY = 0, 1, 2, 3, 6, 7
_BITMAP_THERE = 6
_LOCATORS = ("relative_path", "volume_path", "absolute_win32_path")
_MOST_TABLE = 256 << 20
_MOST_FINDINGS = 100


class VhdxImage(MappedImage):
    """A VHDX file, opened read-only; see :class:`~forensiq.images.mapped.MappedImage`."""

    format = "vhdx"

    def __init__(
        self,
        files: SegmentFiles,
        header: VhdxHeader,
        metadata: VhdxMetadata,
        table: bytes,
        replay: Replay,
        parent: EvidenceImage | None,
    ) -> None:
        super().__init__(files, metadata.size, parent)
        self.sector_size = metadata.sector
        self.data_write = header.data_write
        self.about = metadata
        self._replay = replay
        self._ratio = (1 << 23) * metadata.sector // metadata.block
        self._bitmaps: BoundedCache[tuple[int, int], bytes] = BoundedCache(8 << 20)
        self._table = array("Q")
        self._table.frombytes(table[: len(table) // 8 * 8])
        if sys.byteorder == "big":
            self._table.byteswap()
        self._blocks = -(-metadata.size // metadata.block)
        if len(self._table) < self._blocks + (self._blocks - 1) // self._ratio:
            raise ImageFormatError(
                f"{files.paths[0]}: its block table is too small for the disk", path=str(files.paths[0])
            )

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """See :meth:`~forensiq.images.mapped.MappedImage.spans`."""
        block, backed = self.about.block, self.about.backed
        end = offset + length
        while offset < end:
            number, inside = divmod(offset, block)
            count = min(end - offset, block - inside)
            entry = self._table[number + number // self._ratio]
            state, at = entry & 7, entry >> 20 << 20
            if state == _WHOLE or (state == _PARTLY and backed):
                if at < _MiB:
                    yield Lost(count, "vhdx.table", f"block {number} cannot be at byte {at}", 0)
                elif state == _WHOLE:
                    yield from self._stored(at + inside, count)
                else:
                    yield from self._mixed(number, at, inside, count)
            elif state == _ABSENT and backed:
                yield FromParent(count)
            elif state in (_ABSENT, _UNDEFINED, _ZERO, _UNMAPPED):
                yield Zeros(count)
            else:
                yield Lost(count, "vhdx.table", f"block {number} has the state {state}, which cannot be", 0)
            offset += count

    def _stored(self, at: int, length: int) -> Iterator[Span]:
        for page, place, count in self._replay.pieces(at, length):
            yield Plain(count, 0, place) if page is None else Held(count, page, place % len(page))

    def _mixed(self, number: int, at: int, inside: int, length: int) -> Iterator[Span]:
        sector = self.about.sector
        chunk, index = divmod(number, self._ratio)
        entry = self._table[chunk * (self._ratio + 1) + self._ratio]
        if entry & 7 != _BITMAP_THERE:
            yield Lost(length, "vhdx.bitmap", f"block {number} is stored in part, and its bitmap is not there", 0)
            return
        size = self.about.block // sector // 8
        place = (entry >> 20 << 20) + index * size
        bitmap = self._bitmaps.get((chunk, index))
        if bitmap is None:
            bitmap = self._replay.read(place, size)
            self._bitmaps.put((chunk, index), bitmap, len(bitmap) + 64)
        if len(bitmap) < size:
            yield Lost(length, "vhdx.bitmap", f"the sector bitmap at byte {place} does not lie in the file", 0)
            return
        for own, count in runs(bitmap, inside, length, sector, high_first=False):
            if own:
                yield from self._stored(at + inside, count)
            else:
                yield FromParent(count)
            inside += count

    def check_container(self) -> Iterator[Finding]:
        """Check that every block lies in the file and none is used twice."""
        size = self.files.size(0)
        used = Places(size, self.about.block)
        if not used.checked:
            yield not_looked_for("blocks")
        told = 0
        for number in range(self._blocks):
            entry = self._table[number + number // self._ratio]
            if entry & 7 not in (_WHOLE, _PARTLY):
                continue
            at = entry >> 20 << 20
            if at >= size:
                yield problem("vhdx.range", f"block {number} lies behind the end of the file", file_offset=at)
            elif not used.take(at):
                yield problem("vhdx.overlap", f"block {number} is where another one is", file_offset=at)
            else:
                continue
            told += 1
            if told == _MOST_FINDINGS:
                return


def open_vhdx(request: OpenRequest) -> VhdxImage:
    """Open a VHDX file and its parents; see :class:`~forensiq.images.request.OpenRequest`."""
    path = request.path
    files = SegmentFiles([path])
    parent: EvidenceImage | None = None
    noted: list[Finding] = []
    absent: list[str] = []

    def read(offset: int, length: int) -> bytes:
        return files.read(0, offset, length)

    try:
        header = read_headers(path, read, noted)
        replay = replay_log(path, read, header)
        size = max(files.size(0), (max(replay.pages, default=-1) + 1) * 4096)
        table, metadata_at = read_regions(path, replay.read, size, noted)
        metadata = read_metadata(path, replay.read, *metadata_at)
        if table[1] > _MOST_TABLE:
            raise ImageFormatError(f"{path}: a block table of {table[1]:,} bytes is not possible", path=str(path))
        if metadata.backed:
            parent = _open_parent(request, metadata, absent)
        image = VhdxImage(files, header, metadata, replay.read(*table), replay, parent)
    except ImageFormatError:
        files.close()
        if parent is not None:
            parent.close()
        raise
    if replay.torn and not replay.entries:
        noted.append(problem("vhdx.log", "the file was not closed in order, and no entry of its log is in order"))
    elif any(header.log) and not replay.entries:
        noted.append(remark("vhdx.log.empty", "the file was not closed in order; its log is empty", warning=True))
    if replay.entries:
        noted.append(
            remark(
                "vhdx.log",
                f"the file was not closed in order: {replay.entries} entries of its log were replayed in memory",
                warning=True,
            )
        )
    if replay.needed > files.size(0):
        noted.append(
            problem("vhdx.size", "the file is shorter than it was when it was last written", segment=path.name)
        )
    image.absent += absent
    image.noted += [*noted, *(missing_file(path.name, "parent", each) for each in absent)]
    image.container.update(_facts(image, header, read(8, 512), replay.entries))
    return image


def _open_parent(request: OpenRequest, metadata: VhdxMetadata, absent: list[str]) -> EvidenceImage | None:
    names = [metadata.locator[key] for key in _LOCATORS if key in metadata.locator]
    try:
        parent = open_parent(request, names, "parent", "vhdx")
    except MissingSegmentError:
        if not request.lenient:
            raise
        absent += names[:1] or ["(no name)"]
        return None
    linkage = {metadata.locator.get(key, "").strip("{}").lower() for key in ("parent_linkage", "parent_linkage2")}
    if isinstance(parent, VhdxImage) and str(uuid.UUID(bytes_le=parent.data_write)) in linkage:
        return parent
    parent.close()
    if not request.lenient:
        found = Path(parent.identity.path).name
        raise MissingSegmentError(
            f"{request.path.name}: {found} is not its parent, or was changed after this disk was begun",
            path=str(request.path),
            missing=names,
        )
    absent.append(f"{names[0] if names else 'the disk'} as it was")
    return None


def _facts(image: VhdxImage, header: VhdxHeader, creator: bytes, entries: int) -> dict[str, Fact]:
    about = image.about
    values: dict[str, Fact] = {
        "kind": "differencing" if about.backed else "fixed or dynamic",
        "creator": creator.decode("utf-16-le", "replace").split("\0", 1)[0],
        "disk_identifier": str(uuid.UUID(bytes_le=about.disk)),
        "data_write_identifier": str(uuid.UUID(bytes_le=header.data_write)),
        "block_size": about.block,
        "physical_sector_size": about.physical_sector,
        "log_entries_replayed": entries,
        "parent": [f"{key}: {value}" for key, value in about.locator.items()],
    }
    return dict(stated(**values))
