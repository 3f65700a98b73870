"""Walks the sections of one segment file.

Every descriptor is checked: its Adler-32, and that the next one stands exactly where this section ends (a chain that
skips bytes can hide a second image). Where a descriptor is damaged the walk goes on: at the one of its two statements
of "where next" under which a descriptor in order stands, else at the next descriptor in order anywhere behind. Such
sections are marked, because chunks may have been lost between.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.ewf.layout import DESCRIPTOR_SIZE, FILE_HEADER_SIZE, SectionDescriptor
from forensiq.images.ewf.report import FindingList
from forensiq.model.finding import Cause

__all__ = ["CLOSING", "KINDS", "Section", "walk_sections"]

KINDS = (
    "header",
    "header2",
    "xheader",
    "volume",
    "disk",
    "data",
    "sectors",
    "table",
    "table2",
    "error2",
    "session",
    "digest",
    "hash",
    "xhash",
    "ltypes",
    "ltree",
    "next",
    "done",
)
CLOSING = ("next", "done")
_STEP = 1 << 20
_FALSE_HITS = 100_000


class Section(Struct, frozen=True):
    """A section of segment file ``segment``; ``offset`` is that of its descriptor, ``end`` the first byte behind it.

    ``cut`` says that the file ends before the section does; ``resumed`` that the walk lost the chain before it;
    ``preview`` are the first bytes of the body (up to 24).
    """

    segment: int
    kind: str
    offset: int
    end: int
    cut: bool = False
    resumed: bool = False
    preview: bytes = b""

    @property
    def body(self) -> int:
        """File offset of the body."""
        return self.offset + DESCRIPTOR_SIZE

    @property
    def body_size(self) -> int:
        """Bytes of the body."""
        return max(0, self.end - self.body)


def walk_sections(files: SegmentFiles, segment: int, report: FindingList) -> Iterator[Section]:
    """Yield the sections of a segment file in order; findings go to ``report``. Ends at ``next``, ``done`` or where
    no descriptor can be found any more."""
    size = files.size(segment)
    offset: int | None = FILE_HEADER_SIZE
    resumed = False
    found: Section | None
    while offset is not None:
        data = files.read(segment, offset, DESCRIPTOR_SIZE + 24)
        if len(data) < DESCRIPTOR_SIZE:
            report.error(
                "ewf.segment.truncated",
                "the file ends where the next section should stand",
                cause=Cause.DATA,
                segment=segment,
                at=size,
            )
            return
        descriptor, checksum = SectionDescriptor.unpack(data)
        if checksum.ok:
            found, following = _placed(descriptor, segment, offset, size, report)
        else:
            found, following = _mended(files, descriptor, segment, offset, size, report)
        if found is not None:
            yield replace(found, resumed=resumed, preview=data[DESCRIPTOR_SIZE:])
        resumed = found is None
        offset = following


def _placed(
    descriptor: SectionDescriptor, segment: int, offset: int, size: int, report: FindingList
) -> tuple[Section, int | None]:
    """Place a section whose descriptor is in order as far as its checksum goes."""
    kind = descriptor.kind
    if kind in CLOSING:
        if descriptor.next not in (offset, offset + DESCRIPTOR_SIZE) or descriptor.size not in (0, DESCRIPTOR_SIZE):
            report.error(
                "ewf.section.chain",
                f"the {kind} section does not close the file properly",
                segment=segment,
                at=offset,
                expected=f"next {offset}, size 0 or {DESCRIPTOR_SIZE}",
                found=f"next {descriptor.next}, size {descriptor.size}",
            )
        return Section(segment, kind, offset, offset + DESCRIPTOR_SIZE), None
    end = offset + descriptor.size
    if descriptor.size < DESCRIPTOR_SIZE or descriptor.next != end:
        report.error(
            "ewf.section.chain",
            f"the {_shown(kind)} section does not end where the next one begins",
            segment=segment,
            at=offset,
            expected=end,
            found=descriptor.next,
        )
        end = end if descriptor.size >= DESCRIPTOR_SIZE else max(descriptor.next, offset + DESCRIPTOR_SIZE)
    if kind not in KINDS:
        report.error("ewf.section.type", f"unknown section type {_shown(kind)}", segment=segment, at=offset)
    following = descriptor.next if offset < descriptor.next <= size else end
    if end > size:
        report.error(
            "ewf.segment.truncated",
            f"the file ends inside its {_shown(kind)} section: {end - size:,} bytes are missing",
            cause=Cause.DATA,
            segment=segment,
            at=offset,
            expected=end,
            found=size,
        )
        return Section(segment, kind, offset, size, cut=True), None
    return Section(segment, kind, offset, end), following


def _mended(
    files: SegmentFiles, descriptor: SectionDescriptor, segment: int, offset: int, size: int, report: FindingList
) -> tuple[Section | None, int | None]:
    """Make the best of a damaged descriptor; ``None`` for the section where it says nothing."""
    kind = _nearest(descriptor.kind)
    report.error(
        "ewf.section.checksum",
        f"the checksum of a section descriptor is wrong ({'probably ' + kind if kind else 'its type is unreadable'})",
        segment=segment,
        at=offset,
    )
    for end in (descriptor.next, offset + descriptor.size):
        if offset + DESCRIPTOR_SIZE <= end <= size - DESCRIPTOR_SIZE and _in_order(files, segment, end):
            return (Section(segment, kind, offset, end) if kind else None), end
    if offset + DESCRIPTOR_SIZE == size and kind in CLOSING:
        return Section(segment, kind, offset, size), None
    found = _search(files, segment, offset + 1, size)
    if found is None:
        if kind in CLOSING:
            return Section(segment, kind, offset, offset + DESCRIPTOR_SIZE), None
        report.error(
            "ewf.section.lost",
            "no further section can be found in this file",
            cause=Cause.DATA,
            segment=segment,
            at=offset,
        )
        return None, None
    if kind in ("sectors", "header", "header2"):
        return Section(segment, kind, offset, found), found
    return None, found


def _in_order(files: SegmentFiles, segment: int, offset: int) -> bool:
    data = files.read(segment, offset, DESCRIPTOR_SIZE)
    if len(data) < DESCRIPTOR_SIZE:
        return False
    descriptor, checksum = SectionDescriptor.unpack(data)
    return checksum.ok and descriptor.kind in KINDS


def _search(files: SegmentFiles, segment: int, start: int, size: int) -> int | None:
    """Return the offset of the next descriptor in order, from ``start`` on."""
    patterns = [kind.encode().ljust(16, b"\0") for kind in KINDS]
    tried = 0
    for block in range(start, size, _STEP):
        data = files.read(segment, block, _STEP + 16)
        hits: list[int] = []
        for pattern in patterns:
            at = data.find(pattern)
            while at != -1:
                hits.append(at)
                at = data.find(pattern, at + 1)
        for at in sorted(hits):
            if _in_order(files, segment, block + at):
                return block + at
            tried += 1
        if tried > _FALSE_HITS:
            return None
    return None


def _nearest(kind: str) -> str:
    """Return the known type that differs from ``kind`` in at most two bits; empty text where there is none."""
    found = int.from_bytes(kind.encode("latin-1", "replace").ljust(16, b"\0")[:16], "big")
    distance, best = min(
        ((found ^ int.from_bytes(each.encode().ljust(16, b"\0"), "big")).bit_count(), each) for each in KINDS
    )
    return best if distance <= 2 else ""


def _shown(kind: str) -> str:
    return repr(kind) if kind not in KINDS else kind
