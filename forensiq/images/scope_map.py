"""The ranges of a scope, from the map beside an image: the record binds the map by its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from forensiq.errors import ImageFormatError
from forensiq.images.base import EvidenceImage
from forensiq.images.beside import find_record
from forensiq.model.extent import Extent
from forensiq.model.mapfile import parse_mapfile
from forensiq.model.media_map import ReadStatus
from forensiq.model.reference import AcquisitionReference
from forensiq.model.scope import ChosenScope, MediumScope, ScopeFacts

__all__ = ["first_file", "inherited_scope", "scope_of_map", "scope_of_reference"]

_MOST = 1 << 30
_TAKEN = tuple(each for each in ReadStatus if each is not ReadStatus.SKIPPED_BY_SCOPE)


def scope_of_map(path: Path, facts: ScopeFacts, part: Extent, *, sha256: str | None = None) -> ChosenScope:
    """Return the scope that ``facts`` are about, its ranges from the map at ``path``, which counts from the source.

    ``part`` is the part of the source that is stored. A map that is missing, has another digest than ``sha256``, or
    tells of another number of bytes is an :class:`~forensiq.errors.ImageFormatError`: then it is not known what of the
    image is data.
    """
    try:
        if path.stat().st_size > _MOST:
            raise ImageFormatError(f"{path.name} is too large to be a map", path=str(path))
        data = path.read_bytes()
    except OSError as error:
        raise ImageFormatError(
            f"{path.name}, the map that says what was taken, cannot be read: {error.strerror}", path=str(path)
        ) from error
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise ImageFormatError(f"{path.name} is not the map that the record knows: its SHA-256 differs", path=str(path))
    media_map = parse_mapfile(data.decode("utf-8", "replace"))[0].part(part)
    ranges = MediumScope(media_map.extents(*_TAKEN))
    if ranges.length != facts.taken_bytes:
        raise ImageFormatError(
            f"{path.name} says that {ranges.length:,} bytes were taken, the record {facts.taken_bytes:,}",
            path=str(path),
        )
    return ChosenScope(ranges, facts)


def scope_of_reference(reference: AcquisitionReference, folder: Path) -> ChosenScope | None:
    """Return the scope that a record tells of, its ranges from the map in ``folder``; ``None`` where all was taken."""
    facts = reference.scope
    if facts is None:
        return None
    known = reference.map
    if known is None or known.path is None:
        raise ImageFormatError("the record tells of a scope and names no map that says what was taken")
    part = Extent(reference.range.offset, reference.range.length)
    return scope_of_map(folder / Path(known.path).name, facts, part, sha256=known.sha256)


def first_file(image: EvidenceImage) -> Path:
    """Return the path of the first file of an image."""
    first = Path(image.segments[0].path)
    return first if first.is_absolute() else Path(image.identity.path).parent / first


def inherited_scope(image: EvidenceImage | None, part: Extent | None = None) -> ChosenScope | None:
    """Return the scope that an image was acquired with; ``part`` is what is copied of it: only all can be."""
    if image is None:
        return None
    first = first_file(image)
    found = find_record(first)
    if found is None or found.reference is None:
        return None
    chosen = scope_of_reference(found.reference, found.path.parent)
    if chosen is not None and part is not None and part.length < found.reference.range.length:
        raise ImageFormatError("an image that is partial by scope can only be copied as a whole")
    return chosen
