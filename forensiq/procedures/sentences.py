"""The sentences that a record says about itself; each is true of the facts it is made from, and says no more."""

from __future__ import annotations

from pathlib import Path

from forensiq.model.digest import DigestSet
from forensiq.model.image import ImageManifest
from forensiq.model.records import AcquiredRange, UnreadableRange
from forensiq.model.scope import ScopeFacts
from forensiq.model.source import SourceIdentity

__all__ = [
    "coverage_sentence",
    "range_sentence",
    "scope_coverage_sentence",
    "sittings_sentence",
    "spill_sentences",
    "summary_sentence",
    "trim_sentence",
]


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def summary_sentence(status: str, unreadable: tuple[UnreadableRange, ...], scope: ScopeFacts | None = None) -> str:
    """Return the first line that people read."""
    partial = f", PARTIAL BY SCOPE: {100 * scope.share:.1f} % of the medium was taken" if scope is not None else ""
    match status:
        case "complete":
            return f"Complete: every sector {'of the scope ' if scope is not None else ''}was read{partial}"
        case "complete_with_unreadable_sectors":
            sectors = sum(each.sectors for each in unreadable)
            return (
                f"Complete, but {_count(sectors, 'sector', 'sectors')} in {_count(len(unreadable), 'place', 'places')} "
                "could not be read; zeros stand in their place"
                f"{partial}"
            )
        case "interrupted":
            return "Interrupted: the image is not complete and can be resumed"
        case _:
            return "Failed: the image is not complete"


def coverage_sentence(
    digests: DigestSet, stored: int, unreadable: int, padding: int, part: AcquiredRange, place: str = "in the image"
) -> str:
    """Say what the digests are of: ``stored`` bytes, of which ``unreadable`` are fill and ``padding`` were added."""
    if not digests:
        return "no digest was computed"
    names = " and ".join(algorithm.spelled for algorithm in digests)
    medium = "the medium" if part.whole else "the acquired part of the medium"
    words = [f"{names} {_cover(digests)} the {stored:,} bytes of {medium} as they are stored {place}, in order"]
    if unreadable:
        words.append(f"the {unreadable:,} zero bytes that stand for unreadable sectors are included")
    if padding:
        words.append(f"the {padding:,} zero bytes that were added to fill the last sector are included")
    if place == "in the image":
        words.append("the case fields of the container are not covered")
    return "; ".join(words)


def _cover(digests: DigestSet) -> str:
    return "covers" if len(digests) == 1 else "cover"


def scope_coverage_sentence(digests: DigestSet, scope: ScopeFacts, unreadable: int) -> str:
    """Say what the digests of an acquisition with a scope are of: ``unreadable`` bytes of it are fill."""
    if not digests:
        return "no digest was computed"
    names = " and ".join(algorithm.spelled for algorithm in digests)
    words = [
        f"{names} {_cover(digests)} the {scope.taken_bytes:,} bytes that were taken, in the order of the medium",
        f"the {scope.skipped_bytes:,} bytes that were skipped by scope are not covered: the map says which they are",
    ]
    if unreadable:
        words.append(f"the {unreadable:,} zero bytes that stand for unreadable sectors are included")
    words.append("the case fields of the container are not covered")
    return "; ".join(words)


def range_sentence(part: AcquiredRange, source_size: int) -> str:
    """Say which part of the source was acquired."""
    if part.whole:
        return f"the whole source, {source_size:,} bytes"
    what = f"partition {part.partition}" if part.partition is not None else "a range"
    return (
        f"only {what} of the source: {part.length:,} bytes from byte {part.offset:,} on, of {source_size:,}; "
        "nothing is said about the rest"
    )


def trim_sentence(identity: SourceIdentity) -> str | None:
    """Say what TRIM means for a second read; ``None`` where the source is known not to support it."""
    if identity.trim is False or identity.kind.value != "block_device":
        return None
    known = "reports that it supports TRIM" if identity.trim else "does not say whether it supports TRIM"
    return (
        f"The source {known}. A solid-state drive may erase freed blocks by itself while it has power: "
        "a second read may differ from this one, and that alone is no sign of tampering."
    )


def sittings_sentence(sittings: int, identity: SourceIdentity, samples: int, *, clone: bool) -> str | None:
    """Say what it means that an image was made in several sittings, and how the source was known again by ``samples``;
    ``None`` for one sitting."""
    if sittings < 2:
        return None
    known = [name for name, value in (("model", identity.model), ("serial number", identity.serial)) if value]
    known = ["size", *known, _count(samples, "sample", "samples")]
    words = (
        f"Made in {sittings} sittings: what an earlier one had stored was read back from there for the digests, not "
        f"from the source. That the source was the same was checked by {', '.join(known[:-1])} and {known[-1]}: "
        "a check, not a proof"
    )
    return f"{words}." if clone else f"{words}; forensiq verify --against SOURCE compares every sector."


def spill_sentences(manifest: ImageManifest | None) -> tuple[str, ...]:
    """Say where the segments are that are not beside the first one: the destination was full."""
    elsewhere: dict[str, list[int]] = {}
    for segment in manifest.segments if manifest is not None else ():
        path = Path(segment.path)
        if path.is_absolute():
            elsewhere.setdefault(str(path.parent), []).append(segment.number)
    return tuple(
        f"{_count(len(numbers), 'segment', 'segments')} from number {numbers[0]:,} on: in {folder}, "
        "because the destination was full"
        for folder, numbers in elsewhere.items()
    )
