"""Refuses a destination that cannot hold what may come, before the first read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from forensiq.devices.mounts import mount_over, mounts_of_self
from forensiq.devices.system import System
from forensiq.errors import DestinationError, DestinationUnsafeError
from forensiq.procedures.environment import nearest_folder

__all__ = ["refuse_too_small"]

_LARGEST_FILE = {"vfat": (1 << 32) - 1, "msdos": (1 << 32) - 1}
"""Bytes. FAT stores the size of a file in 32 bits; a file system that is not here has no limit that matters."""


def refuse_too_small(stems: Iterable[Path], *, size: int, files: int, allow_low_space: bool) -> None:
    """Refuse destinations with less free room than ``size`` bytes for each image, which are stored in ``files`` files.

    Images on one file system need room together. ``allow_low_space`` accepts too little room, but no file that is too
    large for its file system. Raises :class:`~forensiq.errors.DestinationUnsafeError`, or
    :class:`~forensiq.errors.DestinationError` where there is no folder to write to.
    """
    needed: dict[int, int] = {}
    for stem in stems:
        folder = nearest_folder(stem)
        above = _first_existing(stem.absolute().parent)
        if above != folder:
            raise DestinationError(f"{above} is a file, not a folder", path=str(above))
        mount = mount_over(str(folder.resolve()), mounts_of_self(System()))
        limit = _LARGEST_FILE.get(mount.filesystem if mount else "")
        if limit is not None and files == 1 and size > limit:
            raise DestinationUnsafeError(
                f"{folder} is a FAT file system: no file there can be larger than 4 GiB, and this image may be",
                hint="use --segment-size 2GiB, or another destination",
                path=str(stem),
                worst_case=size,
            )
        place = folder.stat().st_dev
        needed[place] = needed.get(place, 0) + size
        room = os.statvfs(folder)
        free = room.f_bavail * room.f_frsize
        if free < needed[place] and not allow_low_space:
            raise DestinationUnsafeError(
                f"{folder} may be too small: {free:,} bytes are free, the image may need {needed[place]:,}",
                hint="--allow-low-space goes on all the same (a full destination can be resumed elsewhere)",
                path=str(stem),
                free=free,
                worst_case=needed[place],
            )


def _first_existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
