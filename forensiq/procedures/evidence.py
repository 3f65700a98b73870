"""Opens whatever evidence is read from: a drive, a file, a split image, or an image of any format that we know."""

from __future__ import annotations

import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from forensiq.errors import ImageFormatError, UsageError
from forensiq.images import format_of, open_image
from forensiq.images.base import EvidenceImage
from forensiq.images.beside import find_record
from forensiq.images.folder import image_in_folder
from forensiq.procedures.origin import Origin
from forensiq.procedures.protection import FileWatch, Protection, guard_device
from forensiq.sources import open_source
from forensiq.sources.base import Source
from forensiq.sources.file import observe_path

__all__ = ["Evidence", "open_evidence"]


class Evidence(Struct, frozen=True):
    """An open source, the protection around it, the image that it is, where it is one, and what a stream was.

    ``segments_in`` are the further folders in which files of the image were looked for.
    """

    source: Source
    protection: Protection
    image: EvidenceImage | None = None
    origin: Origin | None = None
    segments_in: tuple[Path, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.source.close()
        self.protection.end()


def open_evidence(
    path: str,
    *,
    segments_in: tuple[Path, ...] = (),
    allow_writable: bool = False,
    external_blocker: str | None = None,
    restore_flag: bool = False,
) -> Evidence:
    """Open ``path`` read-only, protected first where it is a drive; ``segments_in`` are further folders for an image.

    A container (E01 …) is opened as the medium that it holds: copying it is a conversion. A file that is no container
    is evidence as it is, byte by byte.
    """
    where = _named(Path(path))
    if _is_block_device(where):
        guard = guard_device(
            path, allow_writable=allow_writable, external_blocker=external_blocker, restore=restore_flag
        )
        opened = False
        try:
            source = open_source(where)
            opened = True
        finally:
            if not opened:
                guard.end()
        return Evidence(source, guard)
    if _is_image(where):
        watch = FileWatch(lambda: observe_path(where), external_blocker)
        image = open_image(where, segments_in=segments_in)
        return Evidence(image, watch, image, segments_in=segments_in)
    source = open_source(where)
    return Evidence(source, FileWatch(lambda: observe_path(where), external_blocker))


def _named(path: Path) -> Path:
    """Return the image in a folder; a folder without one is named wrongly."""
    try:
        return image_in_folder(path)
    except ImageFormatError as error:
        raise UsageError(error.message, hint=error.hint, **error.facts) from error


def _is_block_device(path: Path) -> bool:
    try:
        return stat.S_ISBLK(path.stat().st_mode)
    except OSError:
        return False


def _is_image(path: Path) -> bool:
    # A raw file that forensiq acquired is an image (its record says so); any other raw file is evidence as it is.
    try:
        return format_of(path) != "raw" or find_record(path) is not None
    except ImageFormatError:
        return False
