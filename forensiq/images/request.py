"""What it takes to open an image, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from forensiq.errors import ImageFormatError
from forensiq.images.base import EvidenceImage

__all__ = ["OpenRequest"]


def _nothing(request: OpenRequest, format_: str | None) -> EvidenceImage:
    raise ImageFormatError(f"{request.path} cannot be opened from here", path=str(request.path), format=format_)


class OpenRequest(Struct, frozen=True):
    """Any file of the image; further folders and paths where its segments may be; whether an incomplete one is to be
    opened as far as it can be read; the sector size and the size of the medium in bytes, for formats that do not say
    them.

    ``chain`` holds the files (device and inode) of the images that this one is a parent of; ``opener`` opens another
    image, of the named format or of the one that its content tells.
    """

    path: Path
    folders: tuple[Path, ...] = ()
    known: tuple[Path, ...] = ()
    lenient: bool = False
    sector_size: int | None = None
    medium_size: int | None = None
    chain: tuple[tuple[int, int], ...] = ()
    opener: Callable[[OpenRequest, str | None], EvidenceImage] = _nothing

    def open_other(self, path: Path, format_: str | None, chain: tuple[tuple[int, int], ...]) -> EvidenceImage:
        """Open a parent of this image."""
        return self.opener(replace(self, path=path, known=(), medium_size=None, chain=chain), format_)
