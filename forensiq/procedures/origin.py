"""Where an image comes from that was made from an image: what carries over, and whether it is still the same medium."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from forensiq.images.base import EvidenceImage
from forensiq.images.beside import find_record
from forensiq.images.ewf.reader import EwfImage
from forensiq.images.mapped import MappedImage
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.model.extent import Extent, merge
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.image import ImageMetadata
from forensiq.verification.content import check_content

__all__ = ["Origin", "compare_with_origin", "digests_with_tail", "origin_of"]


class Origin(Struct, frozen=True):
    """The image that is copied: what it and its record say of the medium. Extents in bytes of its stored medium.

    ``tail`` are odd bytes that it stores behind the last whole sector of its medium; a copy does not hold them.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    metadata: ImageMetadata = field(default_factory=ImageMetadata)
    stored: DigestSet = field(default_factory=DigestSet)
    recorded: DigestSet = field(default_factory=DigestSet)
    unreadable: tuple[Extent, ...] = ()
    unknown: tuple[Extent, ...] = ()
    tail: bytes = b""
    findings: tuple[Finding, ...] = ()
    name: str = "copied image"

    @property
    def algorithms(self) -> frozenset[HashAlgorithm]:
        """The algorithms that there is something to compare with."""
        return frozenset(self.stored) | frozenset(self.recorded)


def origin_of(image: EvidenceImage | None) -> Origin:
    """Return what ``image`` and the record beside it say; nothing for a source that is no image."""
    if image is None:
        return Origin()
    first = Path(image.segments[0].path)
    first = first if first.is_absolute() else Path(image.identity.path).parent / first
    found = find_record(first)
    reference = found.reference if found is not None else None
    medium = Extent(0, image.size)
    known = [*image.acquisition_errors, *(reference.unreadable if reference is not None else ())]
    metadata = image.metadata
    if reference is not None and not any((metadata.case_number, metadata.evidence_number, metadata.examiner)):
        metadata = reference.metadata
    facts = {"image": str(first), "format": image.format, "segments": str(len(image.segments))}
    facts |= {f"stored_{name}": text for name, text in image.stored_digests.to_json().items()}
    recorded = reference.digests if reference is not None else DigestSet()
    facts |= {f"recorded_{name}": text for name, text in recorded.to_json().items()}
    if reference is not None:
        facts["source_path"] = reference.source_path
        facts["source_serial"] = reference.source_serial or "not recorded"
    facts["statement"] = (
        "The container was changed; the media bytes are those of the image that is named here, "
        "or of the part of it that this record says."
    )
    return Origin(
        facts=facts,
        metadata=metadata,
        stored=image.stored_digests,
        recorded=recorded,
        tail=image.tail if isinstance(image, EwfImage) else b"",
        unreadable=merge(part for each in known if (part := each.intersect(medium))),
        unknown=tuple(image.unknown_regions) if isinstance(image, MappedImage) else (),
        findings=(found.finding,) if found is not None and found.finding is not None else (),
    )


def digests_with_tail(image: EvidenceImage | None, origin: Origin) -> DigestSet:
    """Return digests of the copied medium and its odd tail, by reading it again; none where there is no tail."""
    if image is None or not origin.tail:
        return DigestSet()
    return check_content(image, origin.stored, tail=origin.tail).tail_digests


def compare_with_origin(origin: Origin, computed: DigestSet, with_tail: DigestSet) -> tuple[Finding, ...]:
    """Compare the digests of the copied medium with those that the copied image and its record hold.

    ``with_tail`` (see :func:`digests_with_tail`) are of the medium and its odd tail, which stored digests may cover.
    """
    return tuple(
        _not_copied(origin, algorithm, known)
        if known is origin.stored and with_tail.get(algorithm) == known[algorithm]
        else Finding(
            Severity.ERROR,
            Cause.DIGEST,
            "convert.digest",
            f"the {algorithm.value} of the media bytes is not the one that the {where} of the {origin.name} holds",
            expected=known[algorithm],
            found=computed[algorithm],
        )
        for where, known in (("container", origin.stored), ("record", origin.recorded))
        for algorithm in known
        if algorithm in computed and computed[algorithm] != known[algorithm]
    )


def _not_copied(origin: Origin, algorithm: HashAlgorithm, known: DigestSet) -> Finding:
    count = len(origin.tail)
    return Finding(
        Severity.WARNING,
        Cause.NOTE,
        "convert.odd_tail",
        f"the copied image stores {count} odd byte{'s' if count > 1 else ''} behind the last whole sector, which its "
        f"stated size does not count and this copy does not hold; its {algorithm.value} covers them, and agrees",
        expected=known[algorithm],
        found=origin.tail.hex(),
    )
