"""Refuses a destination that cannot hold what may come, before the first read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from forensiq.errors import DestinationError, DestinationUnsafeError
from forensiq.procedures.environment import nearest_folder

__all__ = ["refuse_too_small"]


def refuse_too_small(stems: Iterable[Path], *, size: int, allow_low_space: bool) -> None:
    """Refuse destinations with less free room than ``size`` bytes for each image; on one file system they add up.

    ``allow_low_space`` accepts too little room. Raises :class:`~forensiq.errors.DestinationUnsafeError`, or
    :class:`~forensiq.errors.DestinationError` where there is no folder to write to.
    """
    needed: dict[int, int] = {}
    for stem in stems:
        folder = nearest_folder(stem)
        above = _first_existing(stem.absolute().parent)
        if above != folder:
            raise DestinationError(f"{above} is a file, not a folder", path=str(above))
        place = folder.stat().st_dev
        needed[place] = needed.get(place, 0) + size
        room = os.statvfs(folder)
        free = room.f_bavail * room.f_frsize
        if free < needed[place] and not allow_low_space:
            raise DestinationUnsafeError(
                f"{folder} may be too small: {free:,} bytes are free, the image may need {needed[place]:,}",
                hint="name another disk for the rest with --spill DIR, or start all the same with --allow-low-space",
                path=str(stem),
                free=free,
                worst_case=needed[place],
            )


def _first_existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
