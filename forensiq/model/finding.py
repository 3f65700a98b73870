"""What a check observed."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from forensiq.model.extent import Extent

__all__ = ["Cause", "Damage", "Finding", "Severity"]


class Severity(Enum):
    """How much a finding weighs."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Cause(Enum):
    """What kind of thing is wrong, so that a metadata fault is never read as damaged data."""

    DATA = "data"
    METADATA = "metadata"
    MISSING_SEGMENT = "missing_segment"
    TRAILING_BYTES = "trailing_bytes"
    DIGEST = "digest"
    NOTE = "note"


class Finding(Struct, frozen=True):
    """One thing that a check observed.

    ``code`` is a stable word for scripts (``ewf.section.checksum``); ``where`` says where for people; ``expected`` and
    ``found`` are text. ``segment`` is the name of a segment file, ``file_offset`` is in bytes inside it, ``media`` the
    bytes of the medium that are concerned, where any are.
    """

    severity: Severity
    cause: Cause
    code: str
    message: str
    where: str | None = None
    expected: str | None = None
    found: str | None = None
    segment: str | None = None
    file_offset: int | None = None
    media: Extent | None = None


class Damage(Struct, frozen=True):
    """A range of the medium that an image cannot give as it was acquired.

    ``media`` is in bytes of the stored medium; ``segment`` names the file it lies in; ``code`` is a stable word
    (``chunk.checksum``, ``chunk.inflate``, ``segment.missing`` …) and ``reason`` a sentence.
    """

    media: Extent
    segment: str | None
    code: str
    reason: str
