"""Reads VMware disks (VMDK): flat, split, sparse, stream-optimised, ESX redo logs, and snapshots over their parents.

A descriptor lists extents; each is a run of sectors in a flat or a sparse file. Any file of the disk may be named: the
descriptor is looked for beside an extent. Flat and sparse data have no checksums; grains of a stream-optimised disk are
zlib streams with their own, and each says of which sector it is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

from forensiq.errors import Fact, ImageFormatError, MissingSegmentError
from forensiq.images.base import EvidenceImage
from forensiq.images.ewf.cache import BoundedCache
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.mapped import MappedImage, check_size, missing_file, problem, remark, stated
from forensiq.images.parents import find_named, open_parent
from forensiq.images.request import OpenRequest
from forensiq.images.spans import Lost, Plain, Span, Zeros
from forensiq.images.vmdk.descriptor import MARK, MAX_DESCRIPTOR, NO_PARENT, Descriptor, ExtentLine, parse_descriptor
from forensiq.images.vmdk.sparse import SECTOR, SparseExtent, TableCache, read_sparse_header
from forensiq.model.finding import Finding

__all__ = ["VmdkImage", "open_vmdk"]

_FLAT = frozenset({"FLAT", "VMFS", "VMFSTHIN"})
_SPARSE = frozenset({"SPARSE", "VMFSSPARSE"})
_SHOWN_EXTENTS = 64
_TABLES_KEPT = 8 << 20
_MOST_TABLES = 8 << 20
"""Of all extents together: 62 TiB in grains of 64 KiB are 2 million tables of 512 entries."""


class _Extent(Struct, frozen=True):
    """A run of the medium; bytes. ``file`` is ``None`` for zeros and for a file that is not there."""

    start: int
    length: int
    line: ExtentLine
    file: int | None
    sparse: SparseExtent | None


class VmdkImage(MappedImage):
    """A VMware disk, opened read-only; see :class:`~forensiq.images.mapped.MappedImage`."""

    format = "vmdk"

    def __init__(
        self, files: SegmentFiles, descriptor: Descriptor, places: list[int | None], parent: EvidenceImage | None
    ) -> None:
        """``places`` has for each extent the number of its file, ``None`` where it has none or it is not there."""
        self.cid = descriptor.cid
        self._extents: list[_Extent] = []
        backed = descriptor.parent_cid != NO_PARENT
        position = 0
        tables: TableCache = BoundedCache(_TABLES_KEPT)
        opened: dict[int, SparseExtent] = {}
        count = 0
        for line, file in zip(descriptor.extents, places, strict=True):
            sparse = None
            if line.kind in _SPARSE and file is not None:
                sparse = opened.get(file)
                if sparse is None:
                    sparse = opened[file] = SparseExtent(files, file, tables, backed=backed)
                    count += sparse.header.tables
                if count > _MOST_TABLES:
                    raise ImageFormatError(
                        f"{files.paths[0]}: a VMDK of so many grain tables is not possible", path=str(files.paths[0])
                    )
            self._extents.append(_Extent(position, line.sectors * SECTOR, line, file, sparse))
            position += line.sectors * SECTOR
        super().__init__(files, check_size(files.paths[0], position), parent)
        self._starts = [each.start for each in self._extents]
        headers = [each.sparse.header for each in self._extents if each.sparse is not None]
        if headers and headers[0].compressed:
            self.compression = "deflate"
            self.chunk_size = min(max(each.grain for each in headers), 2 << 20)

    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """See :meth:`~forensiq.images.mapped.MappedImage.spans`."""
        end = offset + length
        while offset < end:
            extent = self._extents[bisect_right(self._starts, offset) - 1]
            inside = offset - extent.start
            count = min(end - offset, extent.length - inside)
            if extent.sparse is not None:
                yield from extent.sparse.spans(inside, count)
            elif extent.file is not None:
                yield Plain(count, extent.file, extent.line.offset * SECTOR + inside)
            elif extent.line.kind == "ZERO":
                yield Zeros(count)
            else:
                yield Lost(count, "extent.missing", f"the file with this extent is not there: {extent.line.file}")
            offset += count

    def check_container(self) -> Iterator[Finding]:
        """Check the tables of every sparse extent, and that flat ones are as long as the descriptor says."""
        for sparse in {each.file: each.sparse for each in self._extents if each.sparse is not None}.values():
            yield from sparse.check()
        for each in self._extents:
            if each.sparse is None and each.file is not None:
                needed = each.line.offset * SECTOR + each.length
                if self.files.size(each.file) < needed:
                    yield problem(
                        "vmdk.flat.size",
                        "the file of an extent is shorter than the descriptor says",
                        segment=self.files.paths[each.file].name,
                        expected=str(needed),
                        found=str(self.files.size(each.file)),
                    )
        yield from self._shared()

    def _shared(self) -> Iterator[Finding]:
        """Yield where extents have bytes of a file in common."""
        stored = sorted(
            (each.file, 0 if each.sparse else each.line.offset * SECTOR, each.length)
            for each in self._extents
            if each.file is not None and each.length
        )
        for (file, at, length), (other, behind, _) in pairwise(stored):
            if file == other and at + length > behind:
                name = self.files.paths[file].name
                yield problem("vmdk.overlap", "two extents of the disk are in the same place of a file", segment=name)


def open_vmdk(request: OpenRequest) -> VmdkImage:
    """Open the disk that ``request.path`` (descriptor or extent) belongs to, with its extents and its parent."""
    path, descriptor, embedded = _find_descriptor(request.path)
    paths = {path: 0}
    places: list[int | None] = []
    absent: list[str] = []
    for line in descriptor.extents:
        if line.kind not in _FLAT | _SPARSE | {"ZERO"}:
            raise ImageFormatError(
                f"{path.name}: an extent of the kind {line.kind} is nothing that forensiq reads",
                path=str(path),
                kind=line.kind,
            )
        places.append(None if line.kind == "ZERO" else _place(line, request, path, embedded, paths, absent))
    if absent and not request.lenient:
        raise MissingSegmentError(
            f"{path.name}: {len(absent)} of the files of the disk are not there: {', '.join(absent[:5])}",
            hint="put them beside the image, or name their folder with --segments-in DIR",
            path=str(path),
            missing=absent,
        )
    gone: list[str] = []
    files = SegmentFiles(tuple(paths))
    parent: EvidenceImage | None = None
    try:
        if descriptor.parent_cid != NO_PARENT:
            parent = _open_parent(request, path, descriptor, gone)
        image = VmdkImage(files, descriptor, places, parent)
    except ImageFormatError:
        files.close()
        if parent is not None:
            parent.close()
        raise
    _describe(image, descriptor, absent, gone)
    return image


def _place(
    line: ExtentLine, request: OpenRequest, path: Path, embedded: bool, paths: dict[Path, int], absent: list[str]
) -> int | None:
    if embedded and len(paths) == 1 and line.kind == "SPARSE" and _names_itself(line.file, path, request):
        return 0
    found = find_named(line.file, path, request.folders)
    if found is None:
        absent.append(line.file)
        return None
    return paths.setdefault(found, len(paths))


def _names_itself(name: str, path: Path, request: OpenRequest) -> bool:
    """Say whether an embedded descriptor means its own file: by its name, or because it was renamed since."""
    found = find_named(name, path, request.folders)
    return found is None or found.samefile(path)


def _find_descriptor(path: Path) -> tuple[Path, Descriptor, bool]:
    """Return the file with the descriptor, what it says, and whether it is inside a sparse file."""
    files = SegmentFiles([path])
    try:
        head = files.read(0, 0, 4)
        if head == b"KDMV":
            header = read_sparse_header(files, 0)
            if header.descriptor and header.descriptor_size:
                data = files.read(0, header.descriptor, min(header.descriptor_size, MAX_DESCRIPTOR))
                if data.lstrip().startswith(MARK):
                    return path, parse_descriptor(data, path.name), True
        elif files.size(0) <= MAX_DESCRIPTOR:
            data = files.read(0, 0, MAX_DESCRIPTOR)
            if data.lstrip().startswith(MARK):
                return path, parse_descriptor(data, path.name), False
    finally:
        files.close()
    found = _descriptor_beside(path)
    if found is None:
        raise ImageFormatError(
            f"{path.name} is one extent of a VMDK, and the descriptor of the disk is not beside it",
            hint="name the descriptor (the small .vmdk file)",
            path=str(path),
        )
    return found[0], found[1], False


def _descriptor_beside(extent: Path) -> tuple[Path, Descriptor] | None:
    for path in sorted(extent.parent.glob("*.vmdk")):
        if path == extent or not path.is_file() or path.stat().st_size > MAX_DESCRIPTOR:
            continue
        data = path.read_bytes()
        if not data.lstrip().startswith(MARK):
            continue
        descriptor = parse_descriptor(data, path.name)
        if any(find_named(line.file, path) == extent for line in descriptor.extents):
            return path, descriptor
    return None


def _open_parent(request: OpenRequest, path: Path, descriptor: Descriptor, gone: list[str]) -> EvidenceImage | None:
    hint = descriptor.entries.get("parentfilenamehint", "")
    try:
        parent = open_parent(request, [hint], "parent")
    except MissingSegmentError:
        if not request.lenient:
            raise
        gone.append(hint)
        return None
    cid = parent.cid if isinstance(parent, VmdkImage) else None
    if cid == descriptor.parent_cid:
        return parent
    parent.close()
    message = (
        f"{path.name}: {Path(parent.identity.path).name} is not its parent as it was: content identifier "
        f"{cid or 'none'} where {descriptor.parent_cid} is named"
    )
    if not request.lenient:
        raise MissingSegmentError(
            message, hint="the parent was changed, or is another disk", path=str(path), missing=[hint]
        )
    gone.append(f"{hint} with the content identifier {descriptor.parent_cid}")
    return None


def _describe(image: VmdkImage, descriptor: Descriptor, absent: list[str], gone: list[str]) -> None:
    entries = descriptor.entries
    headers = [each.sparse.header for each in image._extents if each.sparse is not None]
    geometry = [entries.get(f"ddb.geometry.{key}", "") for key in ("cylinders", "heads", "sectors")]
    values: dict[str, Fact] = {
        "create_type": descriptor.create_type,
        "content_identifier": descriptor.cid,
        "parent_content_identifier": "" if descriptor.parent_cid == NO_PARENT else descriptor.parent_cid,
        "parent": entries.get("parentfilenamehint", ""),
        "uuid": entries.get("ddb.uuid") or entries.get("ddb.uuid.image", ""),
        "adapter": entries.get("ddb.adaptertype", ""),
        "hardware_version": entries.get("ddb.virtualhwversion", ""),
        "tools_version": entries.get("ddb.toolsversion", ""),
        "geometry": "/".join(geometry) + " (cylinders/heads/sectors)" if all(geometry) else "",
        "grain_size": headers[0].grain if headers else None,
        "not_closed_in_order": any(each.unclean for each in headers) if headers else None,
        "extents": [
            f"{each.sectors} sectors, {each.kind}{f', {each.file}' if each.file else ''}"
            for each in descriptor.extents[:_SHOWN_EXTENTS]
        ],
        "extents_not_shown": max(0, len(descriptor.extents) - _SHOWN_EXTENTS) or None,
    }
    image.container.update(stated(**values))
    name = image.files.paths[0].name
    image.absent += absent + gone
    image.noted += [missing_file(name, "extent", each) for each in absent]
    image.noted += [missing_file(name, "parent", each) for each in gone]
    if any(each.unclean for each in headers):
        image.noted.append(remark("vmdk.unclean", "the file says that it was not closed in order", warning=True))
