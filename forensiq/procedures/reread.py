"""A second look at the source after an acquisition: what reads differently is unstable, and that is in the record."""

from __future__ import annotations

import threading

from forensiq.acquisition.result import PipelineResult
from forensiq.acquisition.second_look import look_again
from forensiq.images import open_image
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.procedures.acquire_job import AcquisitionJob
from forensiq.procedures.evidence import Evidence
from forensiq.streams.progress import Progress

__all__ = ["second_look"]


def second_look(
    job: AcquisitionJob, result: PipelineResult, evidence: Evidence, progress: Progress, stop: threading.Event
) -> tuple[Finding, ...]:
    """Read everything that was read once more and compare it with the image; return what came back differently."""
    index, manifest = next((n, each.manifest) for n, each in enumerate(result.writers) if each.manifest is not None)
    first = job.files[index].stem.parent / manifest.segments[0].path
    with open_image(first, format=manifest.format) as image:
        look = look_again(
            evidence.source, job.plan.extent.offset, image, result.media_map, progress=progress, stop=stop
        )
    base = job.plan.extent.offset
    found = [_finding("source.unstable", "reads differently the second time", each, base) for each in look.unstable]
    found += [_finding("source.lost", "could be read once, and not again", each, base) for each in look.lost]
    found.append(
        Finding(
            Severity.INFO,
            Cause.NOTE,
            "source.reread",
            f"{look.compared:,} bytes of the source were read a second time and compared with the image",
        )
    )
    return tuple(found)


def _finding(code: str, words: str, extent: Extent, base: int) -> Finding:
    where = f"bytes {base + extent.offset:,} to {base + extent.end - 1:,} of the source"
    return Finding(
        Severity.WARNING, Cause.NOTE, code, f"{extent.length:,} bytes: the source {words}", where=where, media=extent
    )
