"""Names of segment files: ``.E01`` … ``.E99``, ``.EAA`` … ``.EZZ``, ``.FAA`` … ``.ZZZ``.

Source: J. Metz, *Expert Witness Compression Format (EWF)*, "Segment file(s)"; the row was also written by ewfacquire
over E99 → EAA.
"""

from __future__ import annotations

from pathlib import Path

from forensiq.errors import UsageError

__all__ = [
    "MAX_SEGMENTS",
    "check_segment_count",
    "parse_segment_path",
    "segment_extension",
    "segment_number",
    "segment_path",
]

_LETTERS = 26
_NUMBERED = 99
MAX_SEGMENTS = _NUMBERED + 22 * _LETTERS * _LETTERS
"""The last name is ``.ZZZ``: 14971 segments."""


def segment_extension(number: int, *, lowercase: bool = False) -> str:
    """Return the extension of segment ``number`` (from 1) without its dot; ``ValueError`` beyond the last."""
    if not 1 <= number <= MAX_SEGMENTS:
        raise ValueError(f"segment {number} has no name: they run from 1 to {MAX_SEGMENTS}")
    if number <= _NUMBERED:
        text = f"E{number:02d}"
    else:
        rest, third = divmod(number - _NUMBERED - 1, _LETTERS)
        first, second = divmod(rest, _LETTERS)
        text = "".join(chr(base + step) for base, step in ((ord("E"), first), (ord("A"), second), (ord("A"), third)))
    return text.lower() if lowercase else text


def segment_number(extension: str) -> int:
    """Return the number of the segment with this extension (without dot, any case); ``ValueError`` if it is none."""
    text = extension.upper()
    if len(text) == 3 and text.isascii() and "E" <= text[0] <= "Z":
        if text[0] == "E" and text[1:].isdecimal() and text != "E00":
            return int(text[1:])
        if text[1:].isalpha():
            first, second, third = (ord(letter) - base for letter, base in zip(text, b"EAA", strict=True))
            return _NUMBERED + 1 + (first * _LETTERS + second) * _LETTERS + third
    raise ValueError(f"not the extension of an EWF segment: {extension!r}")


def segment_path(stem: Path, number: int, *, lowercase: bool = False) -> Path:
    """Return the path of segment ``number`` beside ``stem``, whose own dots stay."""
    return stem.with_name(f"{stem.name}.{segment_extension(number, lowercase=lowercase)}")


def parse_segment_path(path: Path) -> tuple[Path, int, bool]:
    """Return stem, number and whether the extension is lower case; ``ValueError`` if the name is not a segment's."""
    name, dot, extension = path.name.rpartition(".")
    if not dot or not name:
        raise ValueError(f"not the name of an EWF segment: {path.name!r}")
    return path.with_name(name), segment_number(extension), extension.islower()


def check_segment_count(count: int, segment_size: int) -> None:
    """Refuse, as a ``UsageError``, an image that may need more segments than there are names."""
    if count > MAX_SEGMENTS:
        raise UsageError(
            f"up to {count} segments may be needed, but there are names for {MAX_SEGMENTS} only",
            hint="choose a larger segment size",
            segments=count,
            limit=MAX_SEGMENTS,
            segment_size=segment_size,
        )
