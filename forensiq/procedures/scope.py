"""Which ranges of a source are taken where not all of it is wanted, and the statement about it.

1. Find out what every byte is for (:mod:`~forensiq.procedures.allocation`).
2. ``allocated``: tables, boot areas, metadata, blocks in use, and volumes that cannot be read, as a whole.
   ``partition``: tables, boot areas outside of partitions, and the partitions that were named.
   ``paths``: tables, boot areas outside of partitions; of each file system with a path of the list its boot area, its
   metadata and its folders; and all blocks of the files that were named, and of those in folders that were named.
3. Whole sectors; what is left is skipped, and said.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from forensiq.analysis.explorer import Explorer
from forensiq.analysis.opening import ImageRef
from forensiq.errors import Interrupted, UsageError
from forensiq.model.allocation import Allocation, AllocationClass, VolumeAllocation
from forensiq.model.extent import Extent, subtract
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.listing import Volume
from forensiq.model.scope import ChosenScope, MediumScope, ScopeFacts, ScopeVolume
from forensiq.procedures.allocation import allocation_of
from forensiq.procedures.evidence import Evidence
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.scope_choice import ScopeChoice

__all__ = ["choose_scope", "scope_findings"]

_TAKEN = (
    AllocationClass.TABLE,
    AllocationClass.BOOT,
    AllocationClass.METADATA,
    AllocationClass.ALLOCATED,
    AllocationClass.NOT_READABLE,
)
_OF_PATHS = (AllocationClass.BOOT, AllocationClass.METADATA)


def choose_scope(choice: ScopeChoice, evidence: Evidence, stop: threading.Event | None = None) -> ChosenScope:
    """Return what of the open source ``choice`` means; nothing but structures of it is read.

    A partition or a path that is not there is a :class:`~forensiq.errors.UsageError`.
    """
    source = evidence.source
    reference = image_reference(
        Path(source.identity.path),
        image_format=evidence.image.format if evidence.image is not None else "raw",
        segments_in=evidence.segments_in,
        sector_size=source.sector_size,
    )
    allocation = allocation_of(reference, stop=stop)
    whole = Extent(0, source.size)
    outside = subtract([whole], [Extent(each.offset, each.length) for each in allocation.volumes])
    frame = [part for each in allocation.of(AllocationClass.TABLE) for part in _inside(each, [whole])]
    frame += [part for each in allocation.of(AllocationClass.BOOT) for part in _inside(each, outside)]
    notes: dict[int | None, tuple[str, ...]] = {}
    if choice.kind == "allocated":
        wanted = list(allocation.of(*_TAKEN))
    elif choice.kind == "partition":
        wanted = frame + [_partition(allocation, number) for number in choice.partitions]
    else:
        found, notes = _paths(reference, allocation, choice.paths, stop)
        wanted = frame + found
    sector = source.sector_size
    ranges = MediumScope(each.aligned_out(sector).intersect(whole) for each in wanted)
    return ChosenScope(ranges, _facts(choice, allocation, ranges, notes))


def _inside(extent: Extent, frames: Iterable[Extent]) -> list[Extent]:
    return [part for frame in frames if (part := extent.intersect(frame))]


def _partition(allocation: Allocation, number: int) -> Extent:
    for each in allocation.volumes:
        if each.partition == number:
            return Extent(each.offset, each.length)
    known = [str(each.partition) for each in allocation.volumes if each.partition is not None]
    raise UsageError(
        f"the source has no partition {number}",
        hint=f"there are {', '.join(known)}" if known else "no partition table was found on it",
        partition=number,
        known=known,
    )


def _paths(
    reference: ImageRef, allocation: Allocation, paths: Sequence[str], stop: threading.Event | None
) -> tuple[list[Extent], dict[int | None, tuple[str, ...]]]:
    wanted: list[Extent] = []
    seen: set[str] = set()
    notes: dict[int | None, tuple[str, ...]] = {}
    with Explorer(reference) as explorer:
        for volume in explorer.volumes().volumes:
            if not volume.is_volume:
                continue
            if stop is not None and stop.is_set():
                raise Interrupted("stopped while it looked for the paths")
            found, hits = _of_volume(explorer, volume, paths)
            if not hits:
                continue
            seen |= hits
            place = Extent(volume.offset, volume.length)
            wanted += [part for each in found if (part := each.intersect(place))]
            wanted += [part for each in allocation.of(*_OF_PATHS) if (part := each.intersect(place))]
        losses = [f"{loss.where}: {loss.message}" for loss in explorer.losses]
    missing = [path for path in paths if path not in seen]
    if missing:
        raise UsageError(
            f"{len(missing)} of {len(paths)} paths are not on the source, the first: {missing[0]}",
            hint="'forensiq ls -r' shows what is; nothing was taken",
            missing=missing[:100],
        )
    if losses:
        notes[None] = tuple(losses[:20])
    return wanted, notes


def _of_volume(explorer: Explorer, volume: Volume, paths: Sequence[str]) -> tuple[list[Extent], set[str]]:
    found: list[Extent] = []
    hits: set[str] = set()
    for fs in explorer.state(volume).file_systems:
        if fs.pool_block is not None:
            continue
        for batch in explorer.walk(fs, do="runs", recovery=False, paths=list(paths)):
            for line in batch.splitlines():
                value = json.loads(line)
                hits |= {str(each) for each in value["hits"]}
                found += [
                    Extent.between(volume.offset + max(0, int(low)), volume.offset + int(high))
                    for low, high in value["runs"]
                ]
    return found, hits


def _facts(
    choice: ScopeChoice, allocation: Allocation, ranges: MediumScope, notes: dict[int | None, tuple[str, ...]]
) -> ScopeFacts:
    taken = ranges.length
    classes = {
        kind.value: sum(ranges.taken(each.extent) for each in allocation.extents if each.kind is kind)
        for kind in AllocationClass
    }
    volumes = tuple(_volume(each, ranges) for each in allocation.volumes)
    if None in notes:
        volumes = (*volumes, ScopeVolume(None, 0, allocation.size, None, taken, notes=notes[None]))
    skipped = ranges.skipped(allocation.size)
    left = allocation.size - taken
    return ScopeFacts(
        request=choice.text,
        statement=_statement(choice, taken, left),
        taken_bytes=taken,
        skipped_bytes=left,
        skipped_ranges=len(skipped),
        share=round(taken / allocation.size, 6) if allocation.size else 1.0,
        bytes_by_class={name: length for name, length in classes.items() if length},
        volumes=volumes,
        paths=choice.paths,
    )


def _volume(each: VolumeAllocation, ranges: MediumScope) -> ScopeVolume:
    taken = ranges.taken(Extent(each.offset, each.length))
    return ScopeVolume(each.partition, each.offset, each.length, each.file_system, taken, each.reason, each.notes)


def _statement(choice: ScopeChoice, taken: int, left: int) -> str:
    what = {
        "allocated": "partition tables, boot areas, metadata and the blocks that file systems call in use; volumes "
        "without a file system that can be read, as a whole",
        "partition": f"partition tables, boot areas and partition {', '.join(map(str, choice.partitions))}",
        "paths": f"partition tables, boot areas, metadata and folders of the file systems concerned, and the blocks of "
        f"{len(choice.paths):,} listed {'path' if len(choice.paths) == 1 else 'paths'}",
    }[choice.kind]
    share = 100 * taken / (taken + left) if taken + left else 100.0
    return (
        f"PARTIAL BY SCOPE ({choice.kind}): {taken:,} of {taken + left:,} bytes ({share:.1f} %) were taken: {what}. "
        f"The other {left:,} bytes were not read, on purpose: nothing is known of them, and zeros that stand in their "
        "place in the image are no data of the source."
    )


def scope_findings(facts: ScopeFacts) -> tuple[Finding, ...]:
    """Return what a record says of a scope besides its statement: what must be known to rely on it."""
    found = [Finding(Severity.WARNING, Cause.NOTE, "scope.partial", facts.statement)]
    for each in facts.volumes:
        where = f"partition {each.partition}" if each.partition is not None else None
        if each.reason is not None and each.taken_bytes == each.length:
            message = f"taken as a whole, {each.length:,} bytes: {each.reason}"
            found.append(Finding(Severity.INFO, Cause.NOTE, "scope.whole", message, where=where))
        found += [Finding(Severity.WARNING, Cause.NOTE, "scope.note", note, where=where) for note in each.notes]
    return tuple(found)
