"""Opens the files of a set and reads everything in them but tables and chunks.

Steps, in this order:

1. the file header of each segment: signature, constants, segment number;
2. the chain of section descriptors of each segment, to its end; bytes behind the end;
3. volume, disk and data sections: one is chosen, and all are compared: a segment of another image is left out;
4. case fields, digests, unreadable ranges;
5. the tables' heads: which chunks are where, and which are missing.

Each step goes on after a finding. Only where nothing says how large the medium is, reading ends with an error.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from forensiq.errors import ImageDamageError, ImageFormatError
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.ewf.groups import ChunkGroup, Gap, Placement, collect_groups, place_groups
from forensiq.images.ewf.layout import FILE_HEADER_SIZE, FileHeader, Volume
from forensiq.images.ewf.medium import VolumeCopy, choose_volume, read_volume, same_medium
from forensiq.images.ewf.report import FindingList
from forensiq.images.ewf.sections import CLOSING, Section, walk_sections
from forensiq.images.ewf.statements import Statements, read_statements
from forensiq.model.finding import Cause, Severity

__all__ = ["ScannedImage", "scan_files"]

_MAX_SECTIONS = 1_000_000
_BULK = frozenset({"sectors", "table", "table2"})
_VOLUMES = frozenset({"volume", "disk", "data"})


class ScannedImage(Struct, frozen=True):
    """What a set of files says, but for its tables and chunks.

    ``missing`` holds segment numbers, ``foreign`` indexes of files of another image; ``ended`` says whether the last
    segment there is closes the image (``done``), ``continues`` whether it names a further one (``next``).
    """

    volume: Volume
    statements: Statements
    placement: Placement
    missing: tuple[int, ...]
    foreign: tuple[int, ...]
    ended: bool
    continues: bool
    short_volume: bool


class _SegmentScan(Struct):
    items: list[ChunkGroup | Gap] = field(default_factory=list)
    volumes: list[VolumeCopy] = field(default_factory=list)
    texts: list[Section] = field(default_factory=list)
    last: Section | None = None


def scan_files(files: SegmentFiles, numbers: Sequence[int], report: FindingList) -> ScannedImage:
    """Scan the files, whose segment numbers are ``numbers`` (ascending)."""
    scans = []
    total = 0
    for index in range(len(files.paths)):
        scan, count = _scan_segment(files, index, numbers[index], report)
        scans.append(scan)
        total += count
        if total > _MAX_SECTIONS:
            raise ImageFormatError(f"the image has more than {_MAX_SECTIONS:,} sections: it is malformed")
    copies = [copy for scan in scans for copy in scan.volumes]
    volume = choose_volume(copies, report)
    foreign = _compare_volumes(volume, copies, report)
    items, missing = _sequence(scans, numbers, foreign, report)
    placement = place_groups(items, volume.chunks)
    _report_counts(placement, volume, report)
    closing = scans[-1].last
    texts = [section for index, scan in enumerate(scans) if index not in foreign for section in scan.texts]
    return ScannedImage(
        volume,
        read_statements(files, texts, volume, report),
        placement,
        missing,
        foreign,
        ended=closing is not None and closing.kind == "done",
        continues=closing is not None and closing.kind == "next",
        short_volume=any(copy.section.body_size < 1000 for copy in copies),
    )


def _scan_segment(files: SegmentFiles, index: int, number: int, report: FindingList) -> tuple[_SegmentScan, int]:
    scan = _SegmentScan()
    count = 0
    try:
        _check_header(files, index, report)
        bulk: list[Section] = []
        for section in walk_sections(files, index, report):
            count += 1
            if count > _MAX_SECTIONS:
                break
            scan.last = section
            if section.kind in _VOLUMES:
                copy = read_volume(files, section, report)
                scan.volumes += [copy] if copy else []
            elif section.kind not in _BULK and section.kind not in CLOSING:
                scan.texts.append(section)
            if section.kind in _BULK or section.resumed:
                bulk.append(section)
        scan.items = collect_groups(files, index, bulk, report)
    except ImageDamageError as error:
        report.error("ewf.file.unreadable", str(error), cause=Cause.DATA, segment=index)
        scan.items.append(Gap(index, f"segment {number} cannot be read", "file.unreadable", sure=True))
    _check_end(files, index, scan, report)
    return scan, count


def _check_header(files: SegmentFiles, index: int, report: FindingList) -> None:
    try:
        header = FileHeader.unpack(files.read(index, 0, FILE_HEADER_SIZE))
    except ImageFormatError as error:
        report.error("ewf.file_header", str(error), segment=index, at=0)
        return
    if header.logical:
        raise ImageFormatError(
            f"{files.paths[index].name} is logical evidence (L01): a collection of files, not the image of a medium"
        )


def _check_end(files: SegmentFiles, index: int, scan: _SegmentScan, report: FindingList) -> None:
    last, final = scan.last, index == len(files.paths) - 1
    if last is None or last.kind not in CLOSING:
        report.error(
            "ewf.segment.unfinished",
            "the file is not closed: it is unfinished or was cut off",
            cause=Cause.DATA,
            segment=index,
            at=files.size(index),
        )
        scan.items.append(Gap(index, "the file is unfinished or was cut off", "segment.truncated", sure=True))
        return
    behind = files.size(index) - last.end
    if behind > 0:
        report.error(
            "ewf.segment.trailing",
            f"{behind:,} bytes stand behind the end of the segment",
            cause=Cause.TRAILING_BYTES,
            segment=index,
            at=last.end,
            expected=last.end,
            found=files.size(index),
        )
    if last.kind == "done" and not final:
        report.error("ewf.segment.surplus", "the image ends in this segment, but there are further ones", segment=index)


def _compare_volumes(volume: Volume, copies: Sequence[VolumeCopy], report: FindingList) -> tuple[int, ...]:
    foreign: dict[int, None] = {}
    for copy in copies:
        if not copy.sound or copy.volume == volume:
            continue
        if same_medium(volume, copy.volume):
            report.error(
                "ewf.volume.differs",
                f"the {copy.section.kind} section does not agree with the one that is used",
                segment=copy.section.segment,
                at=copy.section.body,
            )
            continue
        foreign[copy.section.segment] = None
        report.error(
            "ewf.segment.foreign",
            "this segment belongs to another image: its identifier or medium differs; it is left out",
            cause=Cause.MISSING_SEGMENT,
            segment=copy.section.segment,
            at=copy.section.body,
            expected=_described(volume),
            found=_described(copy.volume),
        )
    return tuple(foreign)


def _described(volume: Volume) -> str:
    return f"{volume.set_identifier.hex()}, {volume.sectors} sectors of {volume.bytes_per_sector} bytes"


def _sequence(
    scans: Sequence[_SegmentScan], numbers: Sequence[int], foreign: Sequence[int], report: FindingList
) -> tuple[list[ChunkGroup | Gap], tuple[int, ...]]:
    """Join the segments, with a gap for each run of segments that are not there."""
    items: list[ChunkGroup | Gap] = []
    missing: list[int] = []
    expected = 1
    for index, (number, scan) in enumerate(zip(numbers, scans, strict=True)):
        if number > expected:
            absent = list(range(expected, number))
            missing += absent
            items.append(Gap(None, f"{_segments(absent)} missing", "segment.missing", sure=True))
        if index in foreign:
            items.append(Gap(index, f"segment {number} belongs to another image", "segment.foreign", sure=True))
        else:
            items += scan.items
        expected = number + 1
    last = scans[-1].last
    if last is not None and last.kind == "next":
        missing.append(expected)
        items.append(Gap(None, f"segment {expected} (and perhaps more) is missing", "segment.missing", sure=True))
    if missing:
        report.error(
            "ewf.segment.missing",
            f"{_segments(missing)} missing",
            cause=Cause.MISSING_SEGMENT,
            expected=f"segments 1 to {max(*numbers, *missing)}",
            found=f"{len(numbers)} segments",
        )
    return items, tuple(missing)


def _segments(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"segment {numbers[0]} is"
    shown = ", ".join(str(number) for number in numbers[:8]) + (" …" if len(numbers) > 8 else "")
    return f"segments {shown} are"


def _report_counts(placement: Placement, volume: Volume, report: FindingList) -> None:
    needed = -(-volume.sectors // volume.sectors_per_chunk)
    if volume.chunks != needed:
        report.add(
            Severity.WARNING,
            Cause.METADATA,
            "ewf.volume.chunks",
            "the number of chunks does not fit the number of sectors",
            expected=needed,
            found=volume.chunks,
        )
    if placement.surplus:
        report.error(
            "ewf.table.surplus",
            f"the tables hold {placement.surplus} chunks more than the medium has",
            expected=volume.chunks,
            found=volume.chunks + placement.surplus,
        )
