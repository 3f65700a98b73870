"""Finds all segment files of a set from any one of them, and puts them in order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct, field

from forensiq.errors import ImageFormatError
from forensiq.images.ewf.files import open_read_only
from forensiq.images.ewf.layout import FILE_HEADER_SIZE, FileHeader
from forensiq.images.ewf.segment import parse_segment_path, segment_extension, segment_number
from forensiq.model.finding import Cause, Finding, Severity

__all__ = ["SegmentSet", "find_segments", "header_number"]


class SegmentSet(Struct, frozen=True):
    """The files of an image by segment number, the numbers that are missing before the last one, and their names.

    ``expected`` are the names that missing segments should have; ``next_name`` the name of the one behind the last.
    """

    paths: dict[int, Path]
    missing: tuple[int, ...]
    expected: tuple[str, ...]
    next_name: str
    findings: tuple[Finding, ...] = field(default=())


def find_segments(path: Path, folders: Sequence[Path] = (), known: Sequence[Path] = ()) -> SegmentSet:
    """Find the segments that belong to ``path`` by name: in its folder, in ``folders``, and at the ``known`` paths.

    The letter case of the extension does not matter, but a name with the same case as ``path`` is preferred. Where the
    number in a file header contradicts the name, the set is put in order by the headers, and a finding says so.
    """
    try:
        stem, _, lowercase = _parse(path)
    except ValueError:
        return SegmentSet({1: path}, (), (), path.name)
    smart = path.suffix[1:2] in ("s", "S")
    named: dict[int, Path] = {}
    findings: list[Finding] = []
    for candidate in _candidates(path, stem, folders, known):
        number = _parse(candidate)[1]
        if candidate != path and candidate.suffix[2:].isalpha() and header_number(candidate) is None:
            continue  # X.log and X.map have the names of segments, too
        held = named.get(number)
        if (
            held is None
            or candidate == path
            or (held != candidate and held != path and _rank(candidate, path) < _rank(held, path))
        ):
            named[number] = candidate
    paths, renamed = _by_header(named)
    findings.extend(renamed)
    last = max(paths)
    missing = tuple(number for number in range(1, last) if number not in paths)
    names = tuple(_name(stem, number, smart=smart, lowercase=lowercase) for number in missing)
    following = _name(stem, last + 1, smart=smart, lowercase=lowercase)
    return SegmentSet(dict(sorted(paths.items())), missing, names, following, tuple(findings))


def _parse(path: Path) -> tuple[Path, int, bool]:
    """As :func:`parse_segment_path`, and for the names of SMART files: ``.s01`` … ``.s99``, ``.saa`` …"""
    extension = path.suffix[1:]
    if extension[:1] in ("s", "S") and extension[1:].isdecimal() and len(extension) == 3:
        return path.with_suffix(""), int(extension[1:]), extension.islower()
    return parse_segment_path(path)


def _name(stem: Path, number: int, *, smart: bool, lowercase: bool) -> str:
    try:
        extension = segment_extension(number, lowercase=lowercase)
    except ValueError:
        return f"segment {number}"
    if smart:
        extension = chr(ord(extension[0]) + ord("S") - ord("E")) + extension[1:]
    return f"{stem.name}.{extension}"


def _candidates(path: Path, stem: Path, folders: Sequence[Path], known: Iterable[Path]) -> list[Path]:
    found = [path]
    smart = path.suffix[1:2] in ("s", "S")
    for folder in dict.fromkeys([path.parent, *folders]):
        try:
            names = sorted(entry.name for entry in folder.iterdir())
        except OSError as error:
            raise ImageFormatError(
                f"the folder {folder} cannot be read: {error.strerror}", path=str(folder), errno=error.errno or 0
            ) from error
        found += [folder / name for name in names if _belongs(name, stem.name, smart=smart)]
    found += [each for each in known if _belongs(each.name, stem.name, smart=smart) and each.is_file()]
    return list(dict.fromkeys(found))


def _belongs(name: str, stem: str, *, smart: bool) -> bool:
    base, _, extension = name.rpartition(".")
    if base.casefold() != stem.casefold() or len(extension) != 3:
        return False
    if smart:
        return extension[0] in "sS" and extension[1:].isdecimal()
    try:
        segment_number(extension)
    except ValueError:
        return False
    return True


def _rank(candidate: Path, path: Path) -> tuple[bool, bool, bool]:
    """Order candidates for one number: same folder first, then the same letter case of stem and extension."""
    return (
        candidate.parent != path.parent,
        candidate.stem != path.stem,
        candidate.suffix[1:2].islower() != path.suffix[1:2].islower(),
    )


def _by_header(named: dict[int, Path]) -> tuple[dict[int, Path], list[Finding]]:
    claims = {number: header_number(file) for number, file in named.items()}
    paths = {number: file for number, file in named.items() if claims[number] in (number, None)}
    findings = []
    last = max(named)
    for number, file in named.items():
        claim = claims[number]
        if claim in (number, None):
            continue
        takes = claim if claim is not None and 1 <= claim <= last and claim not in paths else number
        takes = takes if takes not in paths else number
        paths[takes] = file
        swapped = takes != number
        findings.append(
            Finding(
                Severity.ERROR,
                Cause.METADATA,
                "ewf.segment.number",
                f"{file.name} says that it is segment {claim}: it "
                + ("is read as that (renamed or swapped)" if swapped else "is read as its name says"),
                where=file.name,
                expected=str(number),
                found=str(claim),
                segment=file.name,
                file_offset=9,
            )
        )
    return paths, findings


def header_number(path: Path) -> int | None:
    """Return the segment number in a file header; ``None`` where there is no file header in order."""
    descriptor, _ = open_read_only(path)
    try:
        return FileHeader.unpack(os.pread(descriptor, FILE_HEADER_SIZE, 0)).segment
    except (ImageFormatError, OSError):
        return None
    finally:
        os.close(descriptor)
