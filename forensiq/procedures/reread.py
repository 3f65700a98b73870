"""A second look at the source after an acquisition: what reads differently is unstable, and that is in the record.

The image is complete before this begins, and stays so: whatever ends the second look is a finding, never an error.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from forensiq.acquisition.result import PipelineResult
from forensiq.acquisition.second_look import SecondLook, look_again
from forensiq.errors import ForensiqError
from forensiq.images import open_image
from forensiq.images.base import EvidenceImage
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.image import ImageManifest
from forensiq.procedures.acquire_job import AcquisitionJob
from forensiq.procedures.evidence import Evidence
from forensiq.streams.progress import Progress

__all__ = ["second_look"]

_LISTED = 1000


def second_look(
    job: AcquisitionJob, result: PipelineResult, evidence: Evidence, progress: Progress, stop: threading.Event
) -> tuple[Finding, ...]:
    """Read everything that was read once more and compare it with the image; return what came back differently."""
    index, manifest = next((n, each.manifest) for n, each in enumerate(result.writers) if each.manifest is not None)
    look = SecondLook()
    ended: str | None = None
    try:
        with _opened(manifest, job.files[index].stem.parent) as image:
            look_again(
                evidence.source, job.plan.extent.offset, image, result.media_map, look, progress=progress, stop=stop
            )
    except (ForensiqError, KeyboardInterrupt) as error:
        ended = str(error) or "it was stopped"
    return tuple(_findings(look, ended, job.plan.extent.offset))


def _opened(manifest: ImageManifest, folder: Path) -> EvidenceImage:
    """Open what was just written, whose record is not there yet to tell where its segments are."""
    paths = [folder / each.path for each in manifest.segments]
    kind = {"clone": "raw"}.get(manifest.format, manifest.format)
    return open_image(
        paths[0],
        format=kind,
        segments_in=sorted({each.parent for each in paths} - {paths[0].parent}),
        sector_size=manifest.sector_size if kind == "raw" else None,
        medium_size=manifest.media_size if manifest.format == "clone" else None,
    )


def _findings(look: SecondLook, ended: str | None, base: int) -> Iterator[Finding]:
    yield from _listed("source.unstable", "reads differently the second time", look.unstable, base)
    yield from _listed("source.lost", "could be read once, and not again", look.lost, base)
    words = f"{look.compared:,} bytes of the source were read a second time and compared with the image"
    if ended is None:
        yield Finding(Severity.INFO, Cause.NOTE, "source.reread", words)
    else:
        words = f"the second look at the source did not come to its end: {ended}. Until then {words}"
        yield Finding(Severity.WARNING, Cause.NOTE, "source.reread.incomplete", words)


def _listed(code: str, words: str, extents: Sequence[Extent], base: int) -> Iterator[Finding]:
    for each in extents[:_LISTED]:
        where = f"bytes {base + each.offset:,} to {base + each.end - 1:,} of the source"
        message = f"{each.length:,} bytes: the source {words}"
        yield Finding(Severity.WARNING, Cause.NOTE, code, message, where=where, media=each)
    rest = extents[_LISTED:]
    if rest:
        total = sum(each.length for each in rest)
        message = f"{len(rest):,} more ranges, {total:,} bytes: the source {words}"
        yield Finding(Severity.WARNING, Cause.NOTE, f"{code}.more", message)
