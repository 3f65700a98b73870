"""How evidence is stored: the table of formats, and how an image is opened.

A format is found by content, or named. Nothing is ever taken for a raw image only because it is nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from forensiq.errors import ImageFormatError, UsageError
from forensiq.images.base import EvidenceImage
from forensiq.images.detect import detect_format
from forensiq.images.ewf.reader import open_e01

__all__ = ["FORMATS", "open_image"]

Opener = Callable[[Path, Sequence[Path], Sequence[Path], bool], EvidenceImage]

FORMATS: dict[str, Opener] = {
    "e01": open_e01,
}
"""Format name → what opens it: (path, further folders, further segment paths, lenient)."""


def open_image(
    path: Path,
    *,
    format: str | None = None,  # noqa: A002 the word of the command line
    segments_in: Sequence[Path] = (),
    known_segments: Sequence[Path] = (),
    lenient: bool = False,
) -> EvidenceImage:
    """Open the image that ``path`` (any file of it) belongs to.

    ``format`` is a name in :data:`FORMATS`; without it the content tells. ``segments_in`` are further folders and
    ``known_segments`` further paths where segments are looked for. Raises
    :class:`~forensiq.errors.ImageFormatError` for what is no image, or none that forensiq knows, and
    :class:`~forensiq.errors.MissingSegmentError` for an incomplete set; with ``lenient`` such a set opens as far as it
    can be read and says in its findings what is not there.
    """
    if format is not None and format not in FORMATS:
        raise UsageError(f"unknown image format {format!r}", hint=f"known are {', '.join(FORMATS)}", format=format)
    name = format or detect_format(path)
    opener = FORMATS.get(name)
    if opener is None:
        raise ImageFormatError(f"{path}: {name} images cannot be read", path=str(path), format=name)
    return opener(path, segments_in, known_segments, lenient)
