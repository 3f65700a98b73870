"""A folder named instead of an image: the one image in it, whatever the order of its files."""

from __future__ import annotations

from pathlib import Path

from forensiq.errors import ImageFormatError
from forensiq.images.detect import sniff
from forensiq.images.ewf.discovery import header_number
from forensiq.images.ewf.segment import parse_segment_path
from forensiq.model.split_names import is_first_part, is_part

__all__ = ["image_in_folder"]

_MOST_FILES = 100_000
_BESIDE = frozenset({".json", ".txt", ".map", ".csv", ".log", ".md5", ".sha1", ".sha256", ".pdf", ".html"})
_BUNDLES = (
    (("Info.plist", "bands"), "a sparse bundle of Apple's (.sparsebundle)", "hdiutil convert makes a DMG of it"),
    (("DiskDescriptor.xml",), "a disk of Parallels (.hdd)", "qemu-img convert reads it (-f parallels)"),
)
"""Folders that are one image by themselves: what is in them, what they are, and a way out."""
_RAW = frozenset({".dd", ".raw", ".img"})


def image_in_folder(path: Path) -> Path:
    """Return a file of the only image in the folder ``path``; ``path`` itself where it is no folder.

    Segments count as one image by their common name, whichever of them are there: the first one that is found is
    returned. None, or more than one image, is an :class:`~forensiq.errors.ImageFormatError` that names them.
    """
    if not path.is_dir():
        return path
    _refuse_bundle(path)
    images: dict[str, Path] = {}
    try:
        files = sorted(each for each in path.iterdir() if each.is_file())
    except OSError as error:
        raise ImageFormatError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
    parts: list[Path] = [each for each in files if is_first_part(each.name)]
    for file in files[:_MOST_FILES]:
        if file.suffix.lower() in _BESIDE or file.stat().st_size == 0:
            continue
        name = _image_of(file, parts)
        if name is None:
            continue
        if name not in images or header_number(file) == 1:
            images[name] = file
    if len(images) == 1:
        return next(iter(images.values()))
    found = [each.name for each in images.values()]
    what = f"holds {len(found)} images" if found else "is a folder without an image"
    hint = f"name one of them: {', '.join(found[:5])}" if found else "name one file of the image"
    raise ImageFormatError(f"{path} {what}", hint=hint, path=str(path), images=found[:100])


def _refuse_bundle(path: Path) -> None:
    for marks, name, way in _BUNDLES:
        if all((path / mark).exists() for mark in marks):
            raise ImageFormatError(
                f"{path} is {name}: forensiq does not read that", hint=way, path=str(path), found=name
            )


def _image_of(file: Path, first_parts: list[Path]) -> str | None:
    """Return the name that all files of an image share; ``None`` where the file is of none."""
    for first in first_parts:
        if file == first or is_part(first.name, file.name):
            return f"parts {first.stem}"
    try:
        kind = sniff(file)
    except ImageFormatError:
        return None
    if kind == "e01":
        try:
            return f"e01 {parse_segment_path(file)[0].name.casefold()}"
        except ValueError:
            return f"e01 {file.stem.casefold()}"
    if kind is not None:
        return file.name
    return file.name if file.suffix.lower() in _RAW else None
