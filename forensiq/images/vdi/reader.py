"""Reads VirtualBox disks (VDI): dynamic, fixed, and differencing over a parent.

====== ===== ==========================================================
offset bytes field (little-endian)
====== ===== ==========================================================
64     4     ``7f 10 da be``
68     4     version: 0x00010001
76     4     1 dynamic, 2 fixed, 3 undo, 4 differencing
84     256   comment
340    4     where the block table is
344    4     where the blocks are
368    8     size of the medium in bytes
376    4     block size, 380: extra bytes before each block
384    4     number of blocks, 388: of those stored
392    16    identifier, 408: of its last state
424    16    identifier of the parent, 440: of the parent's last state
====== ===== ==========================================================

Source: ``VDICore.h`` of VirtualBox. The name of a parent is not in the file: it is found by its identifier among the
``.vdi`` files beside the image. The format has no checksums.
"""

from __future__ import annotations

import struct
import sys
import uuid
from array import array
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from forensiq.errors import Fact, ImageFormatError, MissingSegmentError
from forensiq.images.base import EvidenceImage
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.mapped import MappedImage, check_size, missing_file, not_looked_for, problem, stated
from forensiq.images.parents import open_parent
from forensiq.images.places import AlignedPlaces
from forensiq.images.request import OpenRequest
from forensiq.images.spans import FromParent, Lost, Plain, Span, Zeros
from forensiq.model.finding import Finding

__all__ = ["VdiImage", "open_vdi"]

_HEADER = struct.Struct("<IIII I 256s II 4I I Q II II 16s 16s 16s 16s")
_MAGIC, _VERSION = 0xBEDA107F, 0x0001_0001
_KINDS = {1: "dynamic", 2: "fixed", 3: "undo", 4: "differencing"}
_FREE, _ZERO = 0xFFFF_FFFF, 0xFFFF_FFFE
_MOST_BLOCKS = 1 << 26
_MOST_FINDINGS = 100


class _Header(Struct, frozen=True):
    kind: int
    comment: bytes
    table_at: int
    data_at: int
    size: int
    block: int
    extra: int
    blocks: int
    stored: int
    identifier: bytes
    state: bytes
    parent: bytes
    parent_state: bytes

    @property
    def backed(self) -> bool:
        return self.kind in (3, 4) or any(self.parent)


def _read_header(path: Path, files: SegmentFiles) -> _Header:
    data = files.read(0, 64, _HEADER.size)
    if len(data) < _HEADER.size:
        raise ImageFormatError(f"{path}: the header of the VDI is cut off", path=str(path))
    magic, version, _, kind, _, comment, table_at, data_at, *rest = _HEADER.unpack(data)
    size, block, extra, blocks, stored, identifier, state, parent, parent_state = rest[5:]
    if magic != _MAGIC or version != _VERSION or kind not in _KINDS:
        raise ImageFormatError(
            f"{path}: a VDI of version {version >> 16}.{version & 0xFFFF}, kind {kind}: forensiq does not know it",
            path=str(path),
        )
    check_size(path, size)
    if not 4096 <= block <= 256 << 20 or block & block - 1 or extra > 1 << 20:
        raise ImageFormatError(f"{path}: blocks of {block} bytes are not possible", path=str(path))
    if blocks > _MOST_BLOCKS or blocks * block < size or table_at + blocks * 4 > files.size(0):
        raise ImageFormatError(f"{path}: its block table does not lie in the file: cut off, or damaged", path=str(path))
    return _Header(
        kind, comment, table_at, data_at, size, block, extra, blocks, stored, identifier, state, parent, parent_state
    )


class VdiImage(MappedImage):
    """A VDI file, opened read-only; see :class:`~forensiq.images.mapped.MappedImage`."""

    format = "vdi"

    def __init__(self, files: SegmentFiles, header: _Header, parent: EvidenceImage | None) -> None:
        super().__init__(files, header.size, parent)
        self.header = header
        self._table = array("I")
        self._table.frombytes(files.read(0, header.table_at, header.blocks * 4))
        if sys.byteorder == "big":
            self._table.byteswap()
        self._room = max(0, files.size(0) - header.data_at) // (header.block + header.extra) + 1

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """See :meth:`~forensiq.images.mapped.MappedImage.spans`."""
        header = self.header
        end = offset + length
        while offset < end:
            number, inside = divmod(offset, header.block)
            count = min(end - offset, header.block - inside)
            entry = self._table[number]
            if entry == _FREE:
                yield FromParent(count) if header.backed else Zeros(count)
            elif entry == _ZERO:
                yield Zeros(count)
            elif entry >= self._room:
                yield Lost(count, "vdi.table", f"block {number} is said to be behind the end of the file", 0)
            else:
                at = header.data_at + entry * (header.block + header.extra) + header.extra + inside
                yield Plain(count, 0, at)
            offset += count

    def check_container(self) -> Iterator[Finding]:
        """Check that every block lies in the file and none is used twice."""
        used = AlignedPlaces(self._room)
        if not used.checked:
            yield not_looked_for("blocks")
        told = stored = 0
        for number, entry in enumerate(self._table):
            if entry in (_FREE, _ZERO):
                continue
            if entry >= self._room:
                yield problem("vdi.range", f"block {number} lies behind the end of the file")
            elif not used.take(entry):
                yield problem("vdi.overlap", f"block {number} is where another one is")
            else:
                stored += 1
                continue
            told += 1
            if told == _MOST_FINDINGS:
                return
        if stored != self.header.stored:
            yield problem(
                "vdi.count",
                "the number of stored blocks is not the one that the header states",
                expected=str(self.header.stored),
                found=str(stored),
            )


def open_vdi(request: OpenRequest) -> VdiImage:
    """Open a VDI file and its parents; see :class:`~forensiq.images.request.OpenRequest`."""
    path = request.path
    files = SegmentFiles([path])
    parent: EvidenceImage | None = None
    absent: list[str] = []
    try:
        header = _read_header(path, files)
        if header.backed:
            parent = _open_parent(request, header, absent)
        image = VdiImage(files, header, parent)
    except ImageFormatError:
        files.close()
        if parent is not None:
            parent.close()
        raise
    image.absent += absent
    image.noted += [missing_file(path.name, "parent", each) for each in absent]
    image.container.update(_facts(header))
    return image


def _open_parent(request: OpenRequest, header: _Header, absent: list[str]) -> EvidenceImage | None:
    wanted = f"the disk {uuid.UUID(bytes_le=header.parent)}"
    found = _find_by_identifier(request, header.parent)
    if found is None:
        reason, name = "its parent is not there", wanted
    elif found[1].state != header.parent_state:
        reason, name = f"its parent {found[0].name} was changed after this disk was begun", f"{wanted} as it was"
    else:
        return open_parent(request, [found[0].name], "parent", "vdi")
    if not request.lenient:
        raise MissingSegmentError(
            f"{request.path.name}: {reason}: {wanted}",
            hint="put it beside the image, or name its folder with --segments-in DIR",
            path=str(request.path),
            missing=[name],
        )
    absent.append(name)
    return None


def _find_by_identifier(request: OpenRequest, identifier: bytes) -> tuple[Path, _Header] | None:
    for folder in dict.fromkeys((request.path.parent, *request.folders)):
        for path in sorted(folder.glob("*.vdi")):
            if not path.is_file() or path.samefile(request.path):
                continue
            files = SegmentFiles([path])
            try:
                header = _read_header(path, files)
            except ImageFormatError:
                continue
            finally:
                files.close()
            if header.identifier == identifier:
                return path, header
    return None


def _facts(header: _Header) -> dict[str, Fact]:
    def name(identifier: bytes) -> str:
        return str(uuid.UUID(bytes_le=identifier)) if any(identifier) else ""

    values: dict[str, Fact] = {
        "kind": _KINDS[header.kind],
        "identifier": name(header.identifier),
        "state_identifier": name(header.state),
        "parent_identifier": name(header.parent),
        "parent_state_identifier": name(header.parent_state),
        "block_size": header.block,
        "blocks_stored": header.stored,
        "comment": header.comment.split(b"\0", 1)[0].decode("utf-8", "surrogateescape"),
    }
    return dict(stated(**values))
