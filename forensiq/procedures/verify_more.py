"""What a verification may do besides reading the image: compare it with the drive, and ask another reader."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from forensiq.images.base import EvidenceImage
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.reference import AcquisitionReference
from forensiq.procedures.evidence import open_evidence
from forensiq.streams.progress import Progress
from forensiq.verification.against import compare_with_source
from forensiq.verification.content import ContentResult
from forensiq.verification.opinion import second_opinion

__all__ = ["against_drive", "ask_libewf"]

_LISTED = 1000


def against_drive(
    image: EvidenceImage,
    drive: Path,
    reference: AcquisitionReference | None,
    progress: Progress,
    stop: threading.Event | None,
    skipped: Sequence[Extent] = (),
) -> tuple[int, list[Finding]]:
    """Compare with the drive (or file) it was made from; return how many bytes differ, and what was found.

    The drive is held read-only while it is read, as in an acquisition. ``skipped`` was not taken, on purpose: nothing
    is compared there.
    """
    filled: Sequence[Extent] = image.acquisition_errors if reference is None else reference.unreadable
    with open_evidence(str(drive)) as evidence:
        source = evidence.source
        serial = source.identity.serial
        result = compare_with_source(
            image,
            source,
            source_offset=0 if reference is None else reference.range.offset,
            padding=0 if reference is None else reference.padding_bytes,
            filled=filled,
            skipped=skipped,
            progress=progress,
            stop=stop,
        )
    sector = image.sector_size
    found = [
        _range(Severity.ERROR, Cause.DIGEST, "source.differs", "image and drive differ", extent, sector)
        for extent in result.differing[:_LISTED]
    ]
    if len(result.differing) > _LISTED:
        more = len(result.differing) - _LISTED
        found.append(Finding(Severity.ERROR, Cause.DIGEST, "source.differs.more", f"{more:,} more ranges differ"))
    for code, message, extents in (
        ("source.was_unreadable", "could not be read when the image was made, and can be read now", result.expected),
        ("source.unreadable", "cannot be read from the drive: not compared", result.unreadable),
        ("source.image_unreadable", "cannot be read from the image: not compared", result.unreachable),
    ):
        found += [_range(Severity.WARNING, Cause.NOTE, code, message, each, sector) for each in extents[:_LISTED]]
    if result.size_note:
        severity = Severity.WARNING if reference is not None and not reference.range.whole else Severity.ERROR
        found.append(Finding(severity, Cause.DIGEST, "source.size", result.size_note))
    if reference is not None and reference.source_serial and serial and serial != reference.source_serial:
        found.append(
            Finding(
                Severity.WARNING,
                Cause.NOTE,
                "source.serial",
                "the drive has another serial number than the one that was acquired",
                expected=reference.source_serial,
                found=serial,
            )
        )
    differing = sum(extent.length for extent in result.differing)
    return differing, found


def _range(severity: Severity, cause: Cause, code: str, message: str, extent: Extent, sector: int) -> Finding:
    first, last = extent.offset // sector, (extent.end - 1) // sector
    return Finding(severity, cause, code, message, where=f"LBA {first:,} to {last:,}", media=extent)


def ask_libewf(
    image: EvidenceImage, paths: Sequence[Path], content: ContentResult, progress: Progress
) -> tuple[dict[str, str] | None, list[Finding]]:
    """Read an E01 through libewf, too; other formats have no second reader."""
    if image.format != "e01":
        note = f"there is no second reader for {image.format} images"
        return None, [Finding(Severity.INFO, Cause.NOTE, "second_opinion.none", note)]
    answer = dict(second_opinion(paths, content.digests, image.size, progress=progress))
    if answer.get("agrees") == "yes":
        return answer, []
    message = "libewf does not read the same medium"
    if content.damage:
        message += "; it gives damaged chunks as zeros, so that is to be expected here"
    return answer, [
        Finding(Severity.WARNING, Cause.NOTE, "second_opinion.differs", message, found=answer.get("reported"))
    ]
