"""What is known about an image as a set of files."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.finding import Finding

__all__ = ["ClosingFacts", "ImageManifest", "ImageMetadata", "Segment"]


class ImageMetadata(Struct, frozen=True):
    """Case fields of an image (EWF's header values), in any language; empty text means "not given".

    ``acquired`` and ``system_time`` are RFC 3339; ``other`` holds further values under the container's own names.
    """

    case_number: str = ""
    evidence_number: str = ""
    examiner: str = ""
    description: str = ""
    notes: str = ""
    model: str = ""
    serial: str = ""
    acquired: str | None = None
    system_time: str | None = None
    software: str = ""
    operating_system: str = ""
    other: Mapping[str, str] = field(default_factory=dict)


class Segment(Struct, frozen=True):
    """One file of an image.

    ``path`` is relative to the folder of the first segment, or absolute elsewhere; ``size`` in bytes; ``sha256`` of the
    whole file, where it was computed; ``media`` the bytes of the medium that it holds.
    """

    number: int
    path: str
    size: int
    sha256: str | None = None
    media: Extent | None = None


class ClosingFacts(Struct, frozen=True):
    """What a writer needs to finish an image: digests of the stored bytes, and what could not be read of them.

    Extents are in bytes of the stored medium.
    """

    digests: DigestSet
    unreadable: tuple[Extent, ...] = ()


class ImageManifest(Struct, frozen=True):
    """A finished image. Sizes in bytes; ``findings`` tell what could not be stored in it."""

    format: str
    segments: tuple[Segment, ...]
    media_size: int
    sector_size: int
    chunk_size: int | None = None
    compression: str | None = None
    set_identifier: str | None = None
    findings: tuple[Finding, ...] = ()
