"""Tell which bytes of a medium are in use: tables, boot areas, metadata, allocated blocks, and what is free."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from forensiq.analysis.client import RequestFailed, WorkerDied
from forensiq.analysis.explorer import Explorer, FileSystemRef
from forensiq.analysis.opening import ImageRef
from forensiq.errors import Interrupted
from forensiq.model.allocation import Allocation, AllocationClass, ClassifiedExtent, VolumeAllocation, classify
from forensiq.model.extent import Extent, merge, subtract
from forensiq.model.listing import Volume, VolumeKind, VolumeSystem
from forensiq.streams.frames import FrameKind

__all__ = ["EDGE_BEFORE", "EDGE_BEHIND", "allocation_in", "allocation_of"]

EDGE_BEFORE = 16 << 20
"""Bytes at the start of the medium of which what lies in no partition is a boot area: boot loaders live there."""
EDGE_BEHIND = 1 << 20
"""Bytes at the end of the medium and of each volume that count as boot area: RAID members keep their data there."""

_Found = tuple[Extent, AllocationClass]


class _Answer(Struct, frozen=True):
    found: tuple[_Found, ...]
    size: int
    notes: tuple[str, ...]


def allocation_of(reference: ImageRef, *, stop: threading.Event | None = None) -> Allocation:
    """Return what every byte of an image or a drive is for; only structures are read, by the process that may crash.

    1. Tables and volumes are listed; a volume whose file system cannot be read, or whose free space cannot be told,
       is :attr:`~forensiq.model.allocation.AllocationClass.NOT_READABLE` as a whole, and its ``reason`` says why.
    2. Of each other volume the boot area, the metadata and the blocks in use are found; the rest of it is free.
    3. What lies in no volume is unpartitioned, but for the boot area near the start and the end of the medium.

    Where volumes overlap, a byte is free only if all of them call it free. ``reference`` names a block device as
    format ``raw``, with its sector size. Raises what opening the image raises, and
    :class:`~forensiq.errors.Interrupted` when ``stop`` is set.
    """
    with Explorer(reference) as explorer:
        return allocation_in(explorer, explorer.volumes(), stop=stop)


def allocation_in(
    explorer: Explorer, system: VolumeSystem, *, as_recognised: bool = False, stop: threading.Event | None = None
) -> Allocation:
    """As :func:`allocation_of`, of a medium that is open and whose volumes are known.

    ``as_recognised`` opens file systems with few reads, see :meth:`~forensiq.analysis.explorer.Explorer.state`.
    """
    found: list[_Found] = []
    volumes: list[VolumeAllocation] = []
    for volume in system.volumes:
        if stop is not None and stop.is_set():
            raise Interrupted("stopped while it looked for the space in use")
        place = _inside(volume, system.size)
        if not place:
            continue
        if volume.kind is VolumeKind.TABLE:
            found.append((place, AllocationClass.TABLE))
        elif volume.kind in (VolumeKind.PARTITION, VolumeKind.WHOLE_MEDIUM):
            parts, row = _volume(explorer, volume, place, as_recognised=as_recognised)
            found += parts
            volumes.append(row)
    covered = merge([extent for extent, _ in found])
    edges = (Extent(0, min(EDGE_BEFORE, system.size)), Extent.between(max(0, system.size - EDGE_BEHIND), system.size))
    found += [(extent, AllocationClass.BOOT) for extent in subtract(edges, covered)]
    # A table of a kind that is not known may begin the medium all the same.
    found.append((Extent(0, min(system.sector_size, system.size)), AllocationClass.TABLE))
    extents = classify(system.size, found)
    return Allocation(system.size, system.sector_size, extents, tuple(volumes))


def _inside(volume: Volume, size: int) -> Extent:
    return Extent.between(min(volume.offset, size), min(volume.end, size))


def _volume(
    explorer: Explorer, volume: Volume, place: Extent, *, as_recognised: bool
) -> tuple[list[_Found], VolumeAllocation]:
    state = explorer.state(volume, as_recognised=as_recognised)
    reason = state.reason
    answers: list[_Answer] = []
    for fs in state.file_systems:
        answer = _ask(explorer, fs, place)
        if isinstance(answer, str):
            reason = f"{_name(volume)}: {answer}"
            break
        answers.append(answer)
    if reason is not None or not answers:
        parts = [(place, AllocationClass.NOT_READABLE)]
        row = _row(volume, place, None, reason or "its file system cannot be read", parts)
        return parts, row
    parts = [each for answer in answers for each in answer.found]
    # What the table gives a file system and the file system does not use may hold the data of a RAID at its end.
    tail = Extent.between(max(place.offset, place.end - EDGE_BEHIND), place.end)
    end = place.offset + min(answer.size for answer in answers)
    parts.append((tail.intersect(Extent.between(end, max(end, place.end))), AllocationClass.BOOT))
    parts.append((place, AllocationClass.FREE))
    notes = tuple(note for answer in answers for note in answer.notes)
    return parts, _row(volume, place, _name(volume), None, parts, notes)


def _name(volume: Volume) -> str:
    return " and ".join(content.name for content in volume.contents) or "file system"


def _ask(explorer: Explorer, fs: FileSystemRef, place: Extent) -> _Answer | str:
    """Return the answer of the worker, its ranges in bytes of the medium inside the volume; or why there is none."""
    if fs.pool_block is not None:
        return "free space of a container of volumes is not told apart"
    found: list[_Found] = []
    facts: Mapping[str, Any] = {}
    try:
        for kind, payload in explorer.worker.ask("allocation", length=place.length, **fs.request()):
            if kind is FrameKind.LINES:
                found += _parse(payload, place)
            elif kind is FrameKind.VALUE:
                facts = json.loads(payload)
    except RequestFailed as error:
        return error.message
    except WorkerDied as error:
        explorer.drop_worker()
        return error.message
    if facts.get("reason") is not None or "size" not in facts:
        return str(facts.get("reason") or "no answer")
    return _Answer(tuple(found), max(0, int(facts["size"])), tuple(str(each) for each in facts["notes"]))


def _parse(payload: bytes, place: Extent) -> list[_Found]:
    found: list[_Found] = []
    for line in payload.splitlines():
        kind, low, high = json.loads(line)
        start, end = (min(place.end, place.offset + max(0, int(each))) for each in (low, high))
        if start < end:
            found.append((Extent.between(start, end), AllocationClass(kind)))
    return found


def _row(
    volume: Volume,
    place: Extent,
    file_system: str | None,
    reason: str | None,
    parts: list[_Found],
    notes: tuple[str, ...] = (),
) -> VolumeAllocation:
    totals: dict[str, int] = {}
    own: tuple[ClassifiedExtent, ...] = classify(
        place.length, [(extent.shifted(-place.offset), kind) for extent, kind in parts if extent]
    )
    for each in own:
        totals[each.kind.value] = totals.get(each.kind.value, 0) + each.extent.length
    return VolumeAllocation(volume.index, place.offset, place.length, file_system, reason, totals, notes)
