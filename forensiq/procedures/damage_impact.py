"""The files that unreadable or damaged sectors fall in, as a record holds them: bounded, and never in the way.

Whoever acquires or verifies has a result already. An analysis that fails, or that is stopped, is a finding beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from forensiq.errors import ForensiqError
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.records import AcquisitionRecord, AffectedFile, ImpactFacts
from forensiq.procedures.acquire_files import image_path
from forensiq.procedures.impact import DamageSource, FileHit, ImpactRecord, impact_of
from forensiq.procedures.partitions import image_reference
from forensiq.streams.progress import Progress

__all__ = ["MOST_FILES", "impact_of_damage", "with_impact"]

MOST_FILES = 100
_KINDS = ("content", "inode", "directory")


def impact_of_damage(
    image: Path,
    damaged: Sequence[Extent],
    *,
    image_format: str | None = None,
    segments_in: Sequence[Path] = (),
    sector_size: int | None = None,
    stop: threading.Event | None = None,
) -> ImpactFacts | Finding:
    """Return what ``damaged`` (bytes of the medium in ``image``) falls in, or the finding why that is not known."""
    reference = image_reference(
        image,
        image_format=image_format,
        segments_in=segments_in,
        sector_size=sector_size if image_format == "raw" else None,
    )
    try:
        return _facts(impact_of(reference, [DamageSource("this record", tuple(damaged))], stop=stop))
    except (ForensiqError, OSError, KeyboardInterrupt) as error:
        words = str(error) or "it was stopped"
        return Finding(
            Severity.WARNING,
            Cause.NOTE,
            "impact.not_determined",
            f"not known which files the unreadable or damaged sectors fall in: {words} (forensiq impact tries again)",
        )


def with_impact(record: AcquisitionRecord, progress: Progress, stop: threading.Event) -> AcquisitionRecord:
    """Return the record of a finished acquisition with what its unreadable sectors fall in; as it is without any.

    A clone is left as it is: it has no image, and what is on its target is the business of whoever uses it.
    """
    if record.image is None or record.clone is not None or not record.unreadable:
        return record
    first = image_path(record.image)
    folders = {(first.parent / each.path).parent for each in record.image.segments}
    size = record.range.length
    whole = Extent(0, size)
    places = [Extent(each.offset - record.range.offset, each.length).intersect(whole) for each in record.unreadable]
    progress.begin("looking for the files that are affected", 0, ())
    found = impact_of_damage(
        first,
        places,
        image_format=record.image.format,
        segments_in=sorted(folders - {first.parent}),
        sector_size=record.image.sector_size,
        stop=stop,
    )
    if isinstance(found, Finding):
        return replace(record, findings=(*record.findings, found))
    return replace(record, impact=found)


def _facts(record: ImpactRecord) -> ImpactFacts:
    hits = [each for each in record.files if each.allocated and each.kind in _KINDS]
    hits.sort(key=lambda each: (_KINDS.index(each.kind), -(each.share or 0), each.partition, each.path))
    return ImpactFacts(
        summary=record.summary,
        damaged_bytes=record.damaged_bytes,
        bytes_by_kind=record.bytes_by_kind,
        files_hit=record.files_hit,
        files=tuple(_file(each) for each in hits[:MOST_FILES]),
        files_not_listed=max(0, len(hits) - MOST_FILES),
        not_read=len(record.losses),
    )


def _file(hit: FileHit) -> AffectedFile:
    return AffectedFile(
        partition=hit.partition,
        path=hit.path,
        inode=hit.inode,
        stream=hit.stream,
        kind=hit.kind,
        bytes=hit.bytes,
        size=hit.size,
        share=hit.share,
        path_hex=hit.path_hex,
    )
