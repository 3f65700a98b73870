"""What it takes to open an image, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["OpenRequest"]


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """Any file of the image; further folders and paths where its segments may be; whether an incomplete one is to be
    opened as far as it can be read; the sector size and the size of the medium in bytes, for formats that do not say
    them."""

    path: Path
    folders: tuple[Path, ...] = ()
    known: tuple[Path, ...] = ()
    lenient: bool = False
    sector_size: int | None = None
    medium_size: int | None = None
