"""Zeros where a file system says that there is data: an image may match its digests and be empty (decision 0101).

1. Nothing is asked where little of the medium holds one value over and over.
2. What the file systems call in use is compared with it; the shares are a finding, whatever they are.
3. Where much of what is in use is so, files are counted: a few large ones (disks of virtual machines, swap, databases)
   are ordinary; many of which half or more is one value are not.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import islice

from msgspec.structs import replace

from forensiq.acquisition.uniform import UniformMap
from forensiq.analysis.explorer import Explorer
from forensiq.analysis.opening import ImageRef
from forensiq.errors import ForensiqError, Interrupted
from forensiq.model.allocation import AllocationClass
from forensiq.model.extent import Extent, subtract
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.records import AcquisitionRecord
from forensiq.procedures.acquire_files import image_path
from forensiq.procedures.allocation import allocation_in
from forensiq.procedures.impact import DamageSource, impact_of
from forensiq.procedures.partitions import image_reference

__all__ = ["with_plausibility"]

_LEAST_SHARE = 0.1  # of the medium
_SUSPICIOUS = 0.25  # of what is in use
_FILE = 512 << 10
_EDGES = 128 << 10  # the map is of groups of 64 KiB: the edges of a file may not be in it
_PART = 2  # half of a file: allocators interleave files, so a stretch of zeros seldom covers whole ones
_FILES = 20
_LEAST = _FILES * _FILE  # bytes: less is never suspicious
_MOST_RUNS = 50_000


def with_plausibility(record: AcquisitionRecord, uniform: UniformMap, stop: threading.Event) -> AcquisitionRecord:
    """Return the record of a finished acquisition with what its zeros mean; as it is for few, and for a clone."""
    total = uniform.total()
    if record.image is None or record.clone is not None or total < max(_LEAST, record.range.length * _LEAST_SHARE):
        return record
    first = image_path(record.image)
    folders = {(first.parent / each.path).parent for each in record.image.segments}
    reference = image_reference(
        first,
        image_format=record.image.format,
        segments_in=sorted(folders - {first.parent}),
        sector_size=record.image.sector_size if record.image.format == "raw" else None,
    )
    base = record.range.offset
    missing = [Extent(each.offset - base, each.length) for each in record.unreadable if each.offset >= base]
    try:
        found = _finding(reference, uniform, missing, stop)
    except (ForensiqError, OSError, KeyboardInterrupt) as error:
        if isinstance(error, Interrupted):
            return record
        words = str(error) or "it was stopped"
        found = _note(f"not known whether the zeros of the medium are in files: {words}", Severity.INFO)
    return replace(record, findings=(*record.findings, found)) if found is not None else record


def _finding(
    reference: ImageRef, uniform: UniformMap, missing: Sequence[Extent], stop: threading.Event
) -> Finding | None:
    with Explorer(reference) as explorer:
        allocation = allocation_in(explorer, explorer.volumes(), as_recognised=True, stop=stop)
    in_use = subtract(allocation.of(AllocationClass.ALLOCATED), missing)
    used = sum(each.length for each in in_use)
    if not used:
        return None
    same = uniform.within(in_use)
    words = (
        f"of {used:,} bytes that file systems say are in use, {same:,} ({same / used:.0%}) are zeros or one other value"
    )
    if same < _SUSPICIOUS * used:
        return _note(words, Severity.INFO)
    damaged = tuple(subtract(islice(uniform.extents(), _MOST_RUNS), missing))
    hits = impact_of(reference, [DamageSource("one value over and over", damaged)], stop=stop).files
    files = sum(
        each.allocated and each.kind == "content" and _FILE <= (each.size or 0) <= _PART * (each.bytes + _EDGES)
        for each in hits
    )
    if files < _FILES:
        return _note(f"{words}; {files} files of 512 KiB and more are half so, or more", Severity.INFO)
    return _note(
        f"{words}, and so is half or more of each of {files:,} files of 512 KiB and more: a drive or bridge that "
        "answers with zeros instead of an error gives such an image. Read the source again, another way, before "
        "relying on it",
        Severity.WARNING,
    )


def _note(words: str, severity: Severity) -> Finding:
    return Finding(severity, Cause.NOTE, "plausibility.zeros", words)
