"""Compares what was read with what is stated: digests, segment files, case fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from forensiq.images.base import EvidenceImage
from forensiq.images.containers import CONTAINERS
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.image import ImageMetadata, Segment
from forensiq.model.records import DigestComparison
from forensiq.model.reference import AcquisitionReference

__all__ = ["DigestResult", "compare_digests", "compare_medium", "compare_metadata", "compare_segments"]

_BLANKS = re.compile(r"[\s\0]+")
_LONG = 2999
_FIELDS = ("case_number", "evidence_number", "examiner", "description", "notes", "model", "serial")


class DigestResult(Struct, frozen=True):
    """One comparison for each algorithm; ``tail_used`` says that a stored digest covers the odd bytes behind."""

    comparisons: Mapping[str, DigestComparison]
    findings: tuple[Finding, ...]
    tail_used: bool


def compare_digests(computed: DigestSet, with_tail: DigestSet, stored: DigestSet, record: DigestSet) -> DigestResult:
    """Compare the digests of the medium with those in the image and in the record.

    ``with_tail`` are the digests of the medium and the odd bytes behind it: where the medium alone does not agree with
    a stored digest but that does, the stored digest covers these bytes, and that is what is compared.
    """
    comparisons: dict[str, DigestComparison] = {}
    findings: list[Finding] = []
    tail_used = False
    for algorithm in HashAlgorithm:
        ours, kept, noted = computed.get(algorithm), stored.get(algorithm), record.get(algorithm)
        if ours is None and kept is None and noted is None:
            continue
        if kept is not None and noted is not None and kept != noted:
            findings.append(
                Finding(
                    Severity.ERROR,
                    Cause.DIGEST,
                    "record.digest",
                    f"the image and the record state different {algorithm.value} digests",
                    expected=noted,
                    found=kept,
                )
            )
        longer = with_tail.get(algorithm)
        if longer is not None and ours != kept and longer == kept and noted in (None, longer):
            ours, tail_used = longer, True
        references = [each for each in (kept, noted) if each is not None]
        match = None if ours is None or not references else all(each == ours for each in references)
        comparisons[algorithm.value] = DigestComparison(ours, kept, noted, match)
    return DigestResult(comparisons, tuple(findings), tail_used)


def _cannot_state(image_format: str, sector_size: int) -> bool:
    """Say whether a format has no place for this sector size, so that only the record tells it."""
    kind = CONTAINERS.get(image_format)
    return kind is not None and sector_size not in kind.sector_sizes


def compare_medium(image: EvidenceImage, reference: AcquisitionReference) -> list[Finding]:
    """Compare size, sector size and completeness with the record."""
    found = []
    for code, name, expected, actual in (
        ("record.size", "the size of the medium", reference.media_size, image.size),
        ("record.sector_size", "the sector size", reference.sector_size, image.sector_size),
    ):
        if code == "record.sector_size" and _cannot_state(image.format, expected):
            continue
        if expected != actual:
            found.append(
                Finding(
                    Severity.ERROR,
                    Cause.METADATA,
                    code,
                    f"{name} is not what the record says",
                    expected=str(expected),
                    found=str(actual),
                )
            )
    if not reference.complete:
        found.append(
            Finding(
                Severity.WARNING,
                Cause.METADATA,
                "record.incomplete",
                f"the record says that the acquisition did not end with a whole image: {reference.status}",
            )
        )
    return found


def compare_segments(segments: Sequence[Segment], reference: AcquisitionReference) -> list[Finding]:
    """Compare each segment file (with its SHA-256, where it was computed) with the record, by number.

    A raw image is nothing but media data: there a file that differs is a digest that differs, not damaged metadata.
    """
    cause = Cause.DIGEST if reference.image_format == "raw" else Cause.METADATA
    here = {segment.number: segment for segment in segments}
    found = []
    for noted in reference.segments:
        segment = here.pop(noted.number, None)
        if segment is None:
            found.append(
                Finding(
                    Severity.ERROR,
                    Cause.MISSING_SEGMENT,
                    "record.segment.missing",
                    f"segment {noted.number} of the record is not there",
                    expected=noted.path,
                    segment=noted.path,
                    media=noted.media,
                )
            )
        elif segment.size != noted.size:
            found.append(_differs(cause, segment, "size", f"{noted.size} bytes", f"{segment.size} bytes"))
        elif noted.sha256 is not None and segment.sha256 is not None and noted.sha256 != segment.sha256:
            found.append(_differs(cause, segment, "SHA-256", noted.sha256, segment.sha256))
    found += [_differs(cause, segment, "presence", "no such segment", segment.path) for segment in here.values()]
    return found


def _differs(cause: Cause, segment: Segment, what: str, expected: str, actual: str) -> Finding:
    return Finding(
        Severity.ERROR,
        cause,
        "record.segment.differs",
        f"the file of segment {segment.number} is not what was written: its {what} differs from the record",
        expected=expected,
        found=actual,
        segment=segment.path,
        media=segment.media,
    )


def compare_metadata(image: ImageMetadata, record: ImageMetadata, image_format: str) -> list[Finding]:
    """Compare the case fields of an E01 with those of its record; other formats hold none."""
    if image_format != "e01":
        return []
    found = []
    for name in _FIELDS:
        stored, noted = _flat(getattr(image, name)), _flat(getattr(record, name))
        if stored != noted:
            found.append(
                Finding(
                    Severity.ERROR,
                    Cause.METADATA,
                    "record.metadata",
                    f"the {name.replace('_', ' ')} in the image is not that of the record",
                    where=name,
                    expected=noted,
                    found=stored,
                )
            )
    return found


def _flat(text: str) -> str:
    """Return ``text`` as an E01 header can hold it: no line breaks or tabs, at most 2999 characters."""
    return _BLANKS.sub(" ", text[:_LONG]).strip()
