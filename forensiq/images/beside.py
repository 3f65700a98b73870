"""The acquisition record that lies beside an image, if there is one."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from forensiq.errors import ForensiqError, RecordFormatError
from forensiq.images.ewf.files import open_read_only
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.reference import AcquisitionReference, parse_reference

__all__ = ["FoundRecord", "find_record"]

_MAX_RECORD = 64 << 20
_ENDING = ".record.json"


class FoundRecord(Struct, frozen=True):
    """A record file: what it says, or the finding that says why it cannot be used."""

    path: Path
    reference: AcquisitionReference | None
    finding: Finding | None

    def segment_paths(self) -> tuple[Path, ...]:
        """Return where the record says the segments are."""
        if self.reference is None:
            return ()
        return tuple(self.path.parent / segment.path for segment in self.reference.segments if _plain(segment.path))


def _plain(path: str) -> bool:
    return bool(path) and "\0" not in path and len(os.fsencode(path)) < 4096


def find_record(image: Path) -> FoundRecord | None:
    """Find ``STEM.record.json`` beside ``STEM.E01``, ``STEM.dd``, ``STEM.001`` …; ``None`` where there is none."""
    if not image.name:
        return None
    for path in dict.fromkeys([image.with_name(image.stem + _ENDING), image.with_name(image.name + _ENDING)]):
        # A name that is taken by something else is a finding too: that the record is gone must not go unseen.
        if os.path.lexists(path):
            return _load(path)
    return None


def _load(path: Path) -> FoundRecord:
    try:
        descriptor, size = open_read_only(path)
        try:
            if size > _MAX_RECORD:
                raise RecordFormatError(f"a record of {size:,} bytes is not possible")
            data = os.read(descriptor, size + 1)
        finally:
            os.close(descriptor)
        return FoundRecord(path, parse_reference(data), None)
    except (ForensiqError, OSError) as error:
        finding = Finding(
            Severity.ERROR,
            Cause.METADATA,
            "record.malformed",
            f"the acquisition record cannot be used: {error}",
            where=path.name,
        )
        return FoundRecord(path, None, finding)
