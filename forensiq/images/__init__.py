"""How evidence is stored: the table of formats, and how an image is opened.

A format is found by content, or named. Nothing is ever taken for a raw image only because it is nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from forensiq.errors import ImageFormatError, UsageError
from forensiq.images.base import EvidenceImage
from forensiq.images.beside import FoundRecord, find_record
from forensiq.images.detect import detect_format, sniff
from forensiq.images.ewf.reader import open_e01
from forensiq.images.raw import RawImage
from forensiq.images.request import OpenRequest

__all__ = ["FORMATS", "FoundRecord", "find_record", "format_of", "open_image"]


def _by(module: str, name: str) -> Callable[[OpenRequest], EvidenceImage]:
    """Return what opens images with function ``name`` of a module, which is loaded when it is needed: with all readers
    a program would start a tenth of a second later."""

    def open_it(request: OpenRequest) -> EvidenceImage:
        opened: EvidenceImage = getattr(import_module(f"{__name__}.{module}"), name)(request)
        return opened

    return open_it


FORMATS: dict[str, Callable[[OpenRequest], EvidenceImage]] = {
    "e01": open_e01,
    "ex01": _by("ewf.libewf", "open_ex01"),
    "raw": lambda request: RawImage(
        request.path,
        sector_size=request.sector_size or 512,
        folders=request.folders,
        known=request.known,
        medium_size=request.medium_size,
    ),
    "qcow2": _by("qcow2.reader", "open_qcow2"),
    "vmdk": _by("vmdk.reader", "open_vmdk"),
    "vhd": _by("vhd.reader", "open_vhd"),
    "vhdx": _by("vhdx.reader", "open_vhdx"),
    "vdi": _by("vdi.reader", "open_vdi"),
    "dmg": _by("dmg.reader", "open_dmg"),
    "iso": _by("optical.iso", "open_iso"),
    "bincue": _by("optical.bincue", "open_bincue"),
    "aff4": _by("aff4.reader", "open_aff4"),
}
"""Format name → what opens it."""


def format_of(path: Path) -> str:
    """Return the format of the image at ``path``, as its content and the record beside it tell.

    Raises :class:`~forensiq.errors.ImageFormatError` where there is none.
    """
    record = find_record(path)
    return detect_format(path, record.reference.image_format if record and record.reference else None)


def open_image(
    path: Path,
    *,
    format: str | None = None,  # noqa: A002 the word of the command line
    segments_in: Sequence[Path] = (),
    lenient: bool = False,
    sector_size: int | None = None,
    medium_size: int | None = None,
) -> EvidenceImage:
    """Open the image that ``path`` (any file of it) belongs to.

    ``format`` is a name in :data:`FORMATS`; without it the content tells. ``segments_in`` are further folders where
    segments are looked for, besides the places that a record beside the image names. ``sector_size`` (bytes) is for
    formats that do not say it; without it the record does, else it is 512. ``medium_size`` (bytes) is for a
    raw medium that ends before its device does. Raises
    :class:`~forensiq.errors.ImageFormatError` for what is no image, or none that forensiq knows, and
    :class:`~forensiq.errors.MissingSegmentError` for an incomplete set; with ``lenient`` such a set opens as far as it
    can be read and says in its findings what is not there.
    """
    if format is not None and format not in FORMATS:
        raise UsageError(f"unknown image format {format!r}", hint=f"known are {', '.join(FORMATS)}", format=format)
    record = find_record(path)
    reference = record.reference if record else None
    name = format or detect_format(path, reference.image_format if reference else None)
    if name not in FORMATS:
        raise ImageFormatError(f"{path}: {name} images cannot be read", path=str(path), format=name)
    if sector_size is None and reference is not None:
        sector_size = reference.sector_size
    known = record.segment_paths() if record else ()
    return FORMATS[name](
        OpenRequest(path, tuple(segments_in), known, lenient, sector_size, medium_size, opener=_open_other)
    )


_WHOLE_FILE = 1 << 62


def _open_other(request: OpenRequest, name: str | None) -> EvidenceImage:
    """Open the parent of an image: one file of the format that is stated; of its content's, or raw, where none is."""
    name = name or sniff(request.path) or "raw"
    if name == "raw":
        return RawImage(request.path, sector_size=request.sector_size or 512, medium_size=_WHOLE_FILE)
    return FORMATS[name](request)
