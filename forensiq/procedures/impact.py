"""What unreadable or damaged ranges cost: which files, metadata, free or unpartitioned space they fall in."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from forensiq.analysis.explorer import Explorer, FileSystemRef, Loss
from forensiq.analysis.opening import ImageRef, open_reference
from forensiq.errors import ImageFormatError, Interrupted, RecordFormatError, UsageError
from forensiq.images.beside import find_record
from forensiq.model.extent import Extent, merge, subtract
from forensiq.model.listing import Volume, VolumeKind
from forensiq.model.mapfile import parse_mapfile
from forensiq.model.media_map import MediaMap, ReadStatus

__all__ = ["AreaHit", "DamageSource", "FileHit", "ImpactRecord", "damage_of_image", "impact_of", "unread_extents"]

_NOT_READ = (ReadStatus.UNREADABLE, ReadStatus.SKIPPED, ReadStatus.NOT_TRIED)
_MOST_FILES = 200_000


class DamageSource(Struct, frozen=True):
    """Ranges of the medium (bytes) and where they are known from."""

    origin: str
    extents: tuple[Extent, ...]


class FileHit(Struct, frozen=True):
    """A stream that ranges fall in. ``kind``: ``content``, ``slack``, ``directory``, ``inode``,
    ``file_system_metadata``. ``share`` of the content (0 to 1); ``ranges`` have ``offset`` in the stream."""

    partition: int
    path: str
    inode: int
    stream: str | None
    allocated: bool
    kind: str
    bytes: int
    size: int | None
    share: float | None
    ranges: tuple[Mapping[str, int], ...]
    path_hex: str | None = None


class AreaHit(Struct, frozen=True):
    """A range in no allocated file. ``kind``: ``unallocated``, ``file_system_metadata``, ``allocated_without_file``,
    ``unpartitioned``, ``partition_table``, ``not_supported``, ``encrypted``, ``behind_file_system``, …"""

    kind: str
    partition: int | None
    offset: int
    length: int
    note: str | None = None


class ImpactRecord(Struct, frozen=True):
    """What ranges of a medium cost; ``bytes_by_kind`` counts each damaged byte of allocated files and areas.

    What was skipped by scope is no damage: ``partial_by_scope`` says that it is not there."""

    image: str
    sources: tuple[DamageSource, ...]
    damaged_bytes: int
    damaged_ranges: int
    files: tuple[FileHit, ...]
    areas: tuple[AreaHit, ...]
    bytes_by_kind: Mapping[str, int]
    files_hit: int
    losses: tuple[Loss, ...]
    summary: str
    partial_by_scope: str | None = None
    schema: str = "forensiq/impact/1"


def unread_extents(media_map: MediaMap) -> tuple[Extent, ...]:
    """Return what a map says did not come from the medium."""
    return media_map.extents(*_NOT_READ)


def damage_of_image(
    reference: ImageRef, *, map_file: Path | None = None, verification: Path | None = None
) -> tuple[DamageSource, ...]:
    """Return every range that is known not to be as it was on the medium.

    From ``map_file`` (else ``X.map`` beside ``X.E01`` or ``X.dd``), from the list of acquisition errors in the image,
    and from ``verification`` (the JSON of ``forensiq verify``).
    """
    sources: list[DamageSource] = []
    with open_reference(reference) as image:
        size = image.size
        if image.acquisition_errors:
            sources.append(DamageSource("acquisition errors stored in the image", merge(image.acquisition_errors)))
    path = Path(reference.path)
    beside = path.with_suffix(".map")
    chosen = map_file or (beside if beside.is_file() else None)
    if chosen is not None:
        try:
            text = chosen.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(f"{chosen}: {error.strerror}") from error
        media_map = _of_medium(parse_mapfile(text)[0], path, size)
        sources.append(DamageSource(f"map {chosen.name}", unread_extents(media_map)))
    if verification is not None:
        sources.append(DamageSource(f"verification {verification.name}", _verified_damage(verification, size)))
    return tuple(sources)


def _of_medium(media_map: MediaMap, path: Path, size: int) -> MediaMap:
    # Maps count from the start of the source; the image may be of a part of it, and only its record says of which.
    found = find_record(path)
    start = found.reference.range.offset if found is not None and found.reference is not None else 0
    if media_map.size > start + size:
        raise ImageFormatError(
            f"the map covers {media_map.size} bytes, the medium ends at {start + size}",
            map_size=media_map.size,
            size=start + size,
        )
    return media_map.part(Extent(start, size))


def _verified_damage(path: Path, size: int) -> tuple[Extent, ...]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        damage = value["damage"]
        extents = [Extent(int(each["offset"]), int(each["length"])) for each in damage]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RecordFormatError(f"{path} is not the JSON of 'forensiq verify'") from error
    return merge(extent.intersect(Extent(0, size)) for extent in extents if extent.offset < size)


def impact_of(
    reference: ImageRef, sources: Iterable[DamageSource], *, stop: threading.Event | None = None
) -> ImpactRecord:
    """Say what the ranges of ``sources`` fall in; raise :class:`~forensiq.errors.Interrupted` when ``stop`` is set.

    1. What no volume covers is unpartitioned or a partition table.
    2. Inside a file system that can be read, every stream's blocks are compared with the ranges.
    3. What no allocated file accounts for is metadata, free, or in use by nobody known.
    4. Inside other volumes only that can be said.
    """
    sources = tuple(sources)
    damaged = merge(extent for source in sources for extent in source.extents)
    files: list[FileHit] = []
    areas: list[AreaHit] = []
    if damaged:
        with Explorer(reference) as explorer:
            for volume in explorer.volumes().volumes:
                _refuse_to_go_on(stop)
                inside = _inside(damaged, volume)
                if not inside:
                    continue
                if volume.is_volume:
                    _volume(explorer, volume, inside, files, areas, stop)
                elif volume.kind in (VolumeKind.TABLE, VolumeKind.UNPARTITIONED):
                    kind = "partition_table" if volume.kind is VolumeKind.TABLE else "unpartitioned"
                    note = volume.type if kind == "partition_table" else None
                    areas += [AreaHit(kind, None, each.offset, each.length, note) for each in inside]
            losses = tuple(explorer.losses)
    else:
        losses = ()
    totals = _totals(files, areas)
    hit = {(each.partition, each.path, each.stream) for each in files if each.allocated and each.kind == "content"}
    length = sum(extent.length for extent in damaged)
    partial = _partial(reference)
    return ImpactRecord(
        reference.path,
        sources,
        length,
        len(damaged),
        tuple(files),
        tuple(areas),
        totals,
        len(hit),
        losses,
        _summary(length, len(hit), totals) + (f". {partial}" if partial else ""),
        partial,
    )


def _partial(reference: ImageRef) -> str | None:
    """Return the statement of an image that holds only part of its medium on purpose: that part is no damage."""
    found = find_record(Path(reference.path))
    scope = found.reference.scope if found is not None and found.reference is not None else None
    return scope.statement if scope is not None else None


def _refuse_to_go_on(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise Interrupted("stopped while it looked for the files that are affected")


def _inside(damaged: Iterable[Extent], volume: Volume) -> tuple[Extent, ...]:
    frame = Extent(volume.offset, volume.length)
    return tuple(part for part in (extent.intersect(frame) for extent in damaged) if part)


def _volume(
    explorer: Explorer,
    volume: Volume,
    inside: tuple[Extent, ...],
    files: list[FileHit],
    areas: list[AreaHit],
    stop: threading.Event | None,
) -> None:
    if volume.kind is VolumeKind.POOL_VOLUME:
        return
    state = explorer.state(volume)
    if not state.file_systems:
        kind = "encrypted" if state.reason and state.reason.startswith("encrypted") else "not_supported"
        areas += [AreaHit(kind, volume.index, each.offset, each.length, state.reason) for each in inside]
        return
    for fs in state.file_systems:
        _file_system(explorer, fs, inside, files, areas, stop)


def _file_system(
    explorer: Explorer,
    fs: FileSystemRef,
    inside: tuple[Extent, ...],
    files: list[FileHit],
    areas: list[AreaHit],
    stop: threading.Event | None,
) -> None:
    offset = fs.volume.offset
    ranges = [[each.offset - offset, each.end - offset] for each in inside]
    seen = False
    told: list[Extent] = []
    for batch in explorer.walk(fs, do="impact", recovery=True, ranges=ranges):
        _refuse_to_go_on(stop)
        for line in batch.splitlines():
            value: dict[str, Any] = json.loads(line)
            if "area" in value:
                seen = True
                area = value["area"]
                at = offset + int(area["offset"])
                told.append(Extent(at, int(area["length"])))
                areas.append(AreaHit(str(area["kind"]), fs.volume.index, at, int(area["length"])))
            elif len(files) < _MOST_FILES:
                hit = _hit(value, offset)
                files.append(hit)
                if hit.allocated:
                    told += [Extent(each["medium_offset"], each["length"]) for each in hit.ranges]
    if not seen:
        # The walk was given up on the way: what it did not account for is not determined.
        left = subtract(inside, told)
        areas += [AreaHit("not_determined", fs.volume.index, each.offset, each.length) for each in left]


def _hit(value: dict[str, Any], offset: int) -> FileHit:
    ranges = tuple(
        {
            "offset": int(each["offset"]),
            "length": int(each["length"]),
            "medium_offset": int(each["medium_offset"]) + offset,
        }
        for each in value["ranges"]
    )
    return FileHit(
        partition=int(value["partition"]),
        path=str(value["path"]),
        inode=int(value["inode"]),
        stream=value["stream"],
        allocated=bool(value["allocated"]),
        kind=str(value["kind"]),
        bytes=int(value["bytes"]),
        size=value["size"],
        share=value["share"],
        ranges=ranges,
        path_hex=value["path_hex"],
    )


def _totals(files: Iterable[FileHit], areas: Iterable[AreaHit]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for hit in files:
        if hit.allocated and hit.bytes:
            totals[hit.kind] = totals.get(hit.kind, 0) + hit.bytes
    for area in areas:
        totals[area.kind] = totals.get(area.kind, 0) + area.length
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


def _summary(damaged: int, files: int, totals: Mapping[str, int]) -> str:
    if not damaged:
        return "no unreadable or damaged range is known for this image"
    parts = ", ".join(f"{length:,} bytes {kind.replace('_', ' ')}" for kind, length in totals.items())
    count = "1 file has" if files == 1 else f"{files:,} files have"
    return f"{damaged:,} bytes unreadable or damaged: {count} missing content ({parts})"
