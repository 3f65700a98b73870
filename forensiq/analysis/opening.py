"""Which image to look into, as it travels to a worker process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from forensiq.images import format_of, open_image
from forensiq.images.base import EvidenceImage
from forensiq.images.raw import RawImage

__all__ = ["ImageRef", "ServedMedium", "open_reference"]


class ServedMedium(Struct, frozen=True):
    """A medium that a worker does not open: every read of it is done by the parent. Sizes in bytes.

    ``read(offset, length)`` returns the bytes, ``None`` where they cannot be read. What it raises ends the question.
    """

    size: int
    sector_size: int
    read: Callable[[int, int], bytes | None]


_LENIENT = frozenset({"e01", "ex01"})


class ImageRef(Struct, frozen=True):
    """An image by path. ``sector_size`` (bytes) overrides what it says of itself, for raw images of 4Kn drives.

    With ``served`` the path is a name only, and nothing is opened.
    """

    path: str
    format: str | None = None
    segments_in: tuple[str, ...] = ()
    sector_size: int | None = None
    served: ServedMedium | None = None


def open_reference(reference: ImageRef) -> EvidenceImage:
    """Open the image. Of an E01 what can be read is looked into, and the rest is said to be missing; a virtual disk
    without its parent is refused, because nothing in it stands alone."""
    path = Path(reference.path)
    name = reference.format or format_of(path)
    folders = [Path(each) for each in reference.segments_in]
    if name == "raw":
        return RawImage(path, sector_size=reference.sector_size or 512, folders=folders)
    return open_image(path, format=name, segments_in=folders, lenient=name in _LENIENT)
