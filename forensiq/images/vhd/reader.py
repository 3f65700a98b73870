"""Reads Virtual PC disks (VHD): fixed, dynamic, and differencing over a parent.

Footer (512 bytes at the end of the file; a copy at its beginning where the disk is not fixed), big-endian:

====== ===== ====================================================
offset bytes field
====== ===== ====================================================
0      8     ``conectix``
16     8     where the dynamic header is; all ones: fixed
24     4     seconds since 2000-01-01 UTC
28     4     creator application, 32: version, 36: system
40     8     original size, 48: current size, in bytes
56     4     geometry: cylinders (2), heads, sectors
60     4     2 fixed, 3 dynamic, 4 differencing
64     4     ones' complement of the sum of all other bytes
68     16    unique identifier
84     1     saved state
====== ===== ====================================================

The dynamic header (1024 bytes, ``cxsparse``) has the block table, the block size and the names of the parent. Source:
Microsoft, *Virtual Hard Disk Image Format Specification 1.0*. The size of the medium is the current size; Virtual PC
itself counted by the geometry, which may be less.
"""

from __future__ import annotations

import struct
import sys
import uuid
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import Struct

from forensiq.clock import rfc3339
from forensiq.errors import Fact, ImageFormatError, MissingSegmentError
from forensiq.images.base import EvidenceImage
from forensiq.images.bitmaps import runs
from forensiq.images.ewf.cache import BoundedCache
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.mapped import MappedImage, check_size, missing_file, not_looked_for, problem, stated
from forensiq.images.parents import open_parent
from forensiq.images.places import Places
from forensiq.images.request import OpenRequest
from forensiq.images.spans import FromParent, Lost, Plain, Span, Zeros
from forensiq.model.finding import Finding

__all__ = ["COOKIE", "FOOTER_SIZE", "VhdImage", "open_vhd"]

COOKIE = b"conectix"
FOOTER_SIZE = 512
_FOOTER = struct.Struct(">8sIIQI4sI4sQQHBBII16sB")
_DYNAMIC = struct.Struct(">8sQQIIII16sII512s")
_LOCATOR = struct.Struct(">4sIIIQ")
_FIXED, _GROWING, _DIFFERENCING = 2, 3, 4
_KINDS = {_FIXED: "fixed", _GROWING: "dynamic", _DIFFERENCING: "differencing"}
_FREE = 0xFFFF_FFFF
_SECTOR = 512
_SYSTEMS = {b"Wi2k": "Windows", b"Mac ": "Macintosh"}
_MOST_FINDINGS = 100
_MOST_BLOCKS = 1 << 23
"""2040 GiB, which is as much as a VHD holds, has 4,177,920 blocks of 512 KiB."""


def _checksum(data: bytes, at: int) -> int:
    return ~(sum(data) - sum(data[at : at + 4])) & 0xFFFF_FFFF


class _Footer(Struct, frozen=True):
    sound: bool
    header_at: int
    created: int
    creator: bytes
    creator_version: int
    system: bytes
    original: int
    size: int
    geometry: tuple[int, int, int]
    kind: int
    identifier: bytes
    saved: bool


def _read_footer(data: bytes) -> _Footer | None:
    if len(data) < FOOTER_SIZE or not data.startswith(COOKIE):
        return None
    _, _, _, at, created, creator, version, system, original, size, c, h, s, kind, checksum, identifier, saved = (
        _FOOTER.unpack_from(data)
    )
    sound = checksum == _checksum(data[:FOOTER_SIZE], 64)
    return _Footer(
        sound, at, created, creator, version, system, original, size, (c, h, s), kind, identifier, bool(saved)
    )


class _Header(Struct, frozen=True):
    """The dynamic header: sizes and places in bytes; ``names`` of the parent in the order of trust."""

    table: int
    entries: int
    block: int
    parent: bytes
    names: tuple[str, ...]


class VhdImage(MappedImage):
    """A VHD file, opened read-only; see :class:`~forensiq.images.mapped.MappedImage`."""

    format = "vhd"

    def __init__(
        self, files: SegmentFiles, footer: _Footer, header: _Header | None, parent: EvidenceImage | None
    ) -> None:
        super().__init__(files, check_size(files.paths[0], footer.size), parent)
        self.identifier = footer.identifier
        self._header = header
        self._backed = footer.kind == _DIFFERENCING
        self._bitmaps: BoundedCache[int, bytes] = BoundedCache(8 << 20)
        self._table = array("I")
        if header is not None:
            self._table.frombytes(files.read(0, header.table, header.entries * 4))
            if sys.byteorder == "little":
                self._table.byteswap()
            self._bitmap_size = -(-header.block // _SECTOR // 8 // _SECTOR) * _SECTOR

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """See :meth:`~forensiq.images.mapped.MappedImage.spans`."""
        header = self._header
        if header is None:
            yield Plain(length, 0, offset)
            return
        end = offset + length
        while offset < end:
            number, inside = divmod(offset, header.block)
            count = min(end - offset, header.block - inside)
            entry = self._table[number] if number < len(self._table) else None
            if entry is None:
                yield Lost(count, "vhd.table", "the block table ends before it", 0)
            elif entry == _FREE:
                yield FromParent(count) if self._backed else Zeros(count)
            elif self._backed:
                yield from self._mixed(number, entry * _SECTOR, inside, count)
            else:
                # The bitmap of a dynamic disk tells only which sectors were ever written; the others hold zeros.
                yield Plain(count, 0, entry * _SECTOR + self._bitmap_size + inside)
            offset += count

    def _mixed(self, number: int, at: int, inside: int, length: int) -> Iterator[Span]:
        bitmap = self._bitmaps.get(number)
        if bitmap is None:
            bitmap = self.files.read(0, at, self._bitmap_size)
            self._bitmaps.put(number, bitmap, len(bitmap) + 64)
        if len(bitmap) < self._bitmap_size:
            yield Lost(length, "vhd.bitmap", f"the sector bitmap at byte {at} does not lie in the file", 0)
            return
        for own, count in runs(bitmap, inside, length, _SECTOR, high_first=True):
            yield Plain(count, 0, at + self._bitmap_size + inside) if own else FromParent(count)
            inside += count

    def check_container(self) -> Iterator[Finding]:
        """Check that every block lies in the file and none is used twice."""
        if self._header is None:
            return
        size = self.files.size(0)
        used = Places(size, self._bitmap_size + self._header.block)
        if not used.checked:
            yield not_looked_for("blocks")
        told = 0
        for number, entry in enumerate(self._table):
            if entry == _FREE:
                continue
            if entry * _SECTOR + self._bitmap_size > size:
                yield problem("vhd.range", f"block {number} lies behind the end of the file", file_offset=entry * 512)
            elif not used.take(entry * _SECTOR):
                yield problem("vhd.overlap", f"block {number} is where another one is", file_offset=entry * 512)
            else:
                continue
            told += 1
            if told == _MOST_FINDINGS:
                return


def open_vhd(request: OpenRequest) -> VhdImage:
    """Open a VHD file and its parents; see :class:`~forensiq.images.request.OpenRequest`."""
    path = request.path
    files = SegmentFiles([path])
    parent: EvidenceImage | None = None
    noted: list[Finding] = []
    absent: list[str] = []
    try:
        footer = _choose_footer(path, files, noted)
        header = None if footer.kind == _FIXED else _read_header(path, files, footer, noted)
        if footer.kind == _DIFFERENCING and header is not None:
            parent = _open_parent(request, header, absent)
        image = VhdImage(files, footer, header, parent)
    except ImageFormatError:
        files.close()
        if parent is not None:
            parent.close()
        raise
    if footer.kind == _FIXED and files.size(0) < footer.size + FOOTER_SIZE:
        noted.append(problem("vhd.size", "the file is shorter than the disk that it says to hold"))
    image.absent += absent
    image.noted += [*noted, *(missing_file(path.name, "parent", each) for each in absent)]
    image.container.update(_facts(footer, header))
    return image


def _choose_footer(path: Path, files: SegmentFiles, noted: list[Finding]) -> _Footer:
    size = files.size(0)
    last = _read_footer(files.read(0, max(0, size - FOOTER_SIZE), FOOTER_SIZE))
    first = _read_footer(files.read(0, 0, FOOTER_SIZE))
    if last is not None and last.sound:
        if last.kind != _FIXED and (first is None or first != last):
            noted.append(problem("vhd.copy", "the copy of the footer at the beginning of the file is damaged"))
        return last
    chosen = first if first is not None and first.sound else last or first
    if chosen is None or chosen.kind not in _KINDS:
        raise ImageFormatError(f"{path}: no footer of a VHD is there: cut off, or damaged", path=str(path))
    if chosen is first and last is None:
        noted.append(problem("vhd.footer", "the footer at the end of the file is missing: cut off"))
    else:
        noted.append(problem("vhd.footer.checksum", "the checksum of the footer is wrong"))
    return chosen


def _read_header(path: Path, files: SegmentFiles, footer: _Footer, noted: list[Finding]) -> _Header:
    data = files.read(0, footer.header_at, 1024)
    if len(data) < 1024 or not data.startswith(b"cxsparse"):
        raise ImageFormatError(f"{path}: the dynamic header of the VHD is missing: cut off, or damaged", path=str(path))
    _, _, table, _, entries, block, checksum, parent, _, _, name = _DYNAMIC.unpack_from(data)
    if checksum != _checksum(data, 36):
        noted.append(problem("vhd.header.checksum", "the checksum of the dynamic header is wrong"))
    if not 4096 <= block <= 256 << 20 or block & block - 1:
        raise ImageFormatError(f"{path}: blocks of {block} bytes are not possible", path=str(path))
    if table + entries * 4 > files.size(0) or entries > _MOST_BLOCKS:
        raise ImageFormatError(f"{path}: its block table does not lie in the file: cut off, or damaged", path=str(path))
    names: list[str] = []
    for index in range(8):
        code, _, length, _, at = _LOCATOR.unpack_from(data, 576 + index * 24)
        text = files.read(0, at, length) if code in (b"W2ru", b"W2ku", b"MacX") and length <= 4096 else b""
        names.append(text.decode("utf-8" if code == b"MacX" else "utf-16-le", "replace").rstrip("\0"))
    names.append(name.decode("utf-16-be", "replace").split("\0", 1)[0])
    return _Header(table, entries, block, parent, tuple(each for each in names if each))


def _open_parent(request: OpenRequest, header: _Header, absent: list[str]) -> EvidenceImage | None:
    names = list(header.names)
    try:
        parent = open_parent(request, names, "parent", "vhd")
    except MissingSegmentError:
        if not request.lenient:
            raise
        absent += names[-1:] or ["(no name)"]
        return None
    if isinstance(parent, VhdImage) and parent.identifier == header.parent:
        return parent
    parent.close()
    wanted = str(uuid.UUID(bytes=header.parent))
    if not request.lenient:
        found = Path(parent.identity.path).name
        raise MissingSegmentError(
            f"{request.path.name}: {found} is not its parent: that is the disk {wanted}",
            path=str(request.path),
            missing=names,
        )
    absent.append(f"the disk {wanted}")
    return None


def _facts(footer: _Footer, header: _Header | None) -> dict[str, Fact]:
    created = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=footer.created)
    version = f"{footer.creator_version >> 16}.{footer.creator_version & 0xFFFF}"
    values: dict[str, Fact] = {
        "kind": _KINDS[footer.kind],
        "unique_identifier": str(uuid.UUID(bytes=footer.identifier)),
        "created": rfc3339(created),
        "creator": f"{footer.creator.decode('ascii', 'replace').strip()} {version}",
        "creator_system": _SYSTEMS.get(footer.system, footer.system.decode("ascii", "replace").strip("\0 ")),
        "original_size": footer.original,
        "geometry": "{}/{}/{} (cylinders/heads/sectors)".format(*footer.geometry),
        "saved_state": footer.saved,
        "block_size": header.block if header else None,
        "parent_identifier": str(uuid.UUID(bytes=header.parent)) if header and footer.kind == _DIFFERENCING else "",
        "parent": list(dict.fromkeys(header.names)) if header and footer.kind == _DIFFERENCING else [],
    }
    return dict(stated(**values))
