"""Text for people: names from evidence made harmless, and numbers with their units.

Everything that comes from evidence (file names, labels, serial numbers, case fields) goes through :func:`visible` once,
here at the renderer, and nowhere else.
"""

from __future__ import annotations

import unicodedata

__all__ = [
    "count",
    "duration",
    "exact_size",
    "number",
    "of_total",
    "printable",
    "rate",
    "rough_duration",
    "size",
    "visible",
]

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SIZE_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")
_RATE_UNITS = ("B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s")


def visible(name: str) -> str:
    r"""Return ``name`` with everything escaped that a terminal could obey or that could mislead a reader.

    Control, format (bidirectional overrides, zero-width), surrogate, private and unassigned characters and line
    separators become ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``; a backslash is doubled: the result has one reading.
    """
    return "".join("\\\\" if character == "\\" else _escaped(character) for character in name)


def printable(sentence: str) -> str:
    """Return ``sentence`` (a message of ours that may quote evidence) safe to print; its line breaks stay."""
    return "".join(character if character == "\n" else _escaped(character) for character in sentence)


def _escaped(character: str) -> str:
    if character.isascii() and character.isprintable():
        return character
    if unicodedata.category(character) not in _UNSAFE:
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def number(value: int) -> str:
    """Return ``1234567`` as ``1,234,567``."""
    return f"{value:,}"


def count(value: int, noun: str, plural: str | None = None) -> str:
    """Return ``1 sector``, ``16 sectors``."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def size(value: int) -> str:
    """Return bytes in decimal units, as drives are sold: ``500.1 GB``; below 1000 ``512 bytes``."""
    if value < 1000:
        return count(value, "byte")
    scaled = float(value)
    for unit in _SIZE_UNITS:
        scaled /= 1000
        if round(scaled, 1) < 1000 or unit == _SIZE_UNITS[-1]:
            return f"{scaled:.1f} {unit}"
    raise AssertionError(value)


def exact_size(value: int) -> str:
    """Return ``500,107,862,016 bytes (500.1 GB)``."""
    return count(value, "byte") if value < 1000 else f"{count(value, 'byte')} ({size(value)})"


def rate(bytes_per_second: float) -> str:
    """Return a rate in binary units: ``462 MiB/s``, ``1.2 GiB/s``."""
    scaled = bytes_per_second
    for unit in _RATE_UNITS:
        if round(scaled) < 1000 or unit == _RATE_UNITS[-1]:
            return f"{scaled:.1f} {unit}" if 0 < scaled < 10 else f"{scaled:.0f} {unit}"
        scaled /= 1024
    raise AssertionError(bytes_per_second)


def duration(seconds: float) -> str:
    """Return ``0.4 s``, ``41 s``, ``17 min 41 s``, ``3 h 05 min 09 s``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours:,} h {minutes:02d} min {left:02d} s"
    return f"{minutes} min {left:02d} s" if minutes else f"{left} s"


def rough_duration(seconds: float) -> str:
    """Return a duration as an estimate deserves: ``12 s``, ``7 min``, ``3 h 20 min``, ``4 days 2 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min"
    days, left = divmod(hours, 24)
    return f"{days} days {left} h"


def of_total(done: int, total: int) -> str:
    """Return ``305.1 of 500.1 GB``: both in the unit of the total."""
    if total < 1000:
        return f"{done} of {count(total, 'byte')}"
    shown, unit = size(total).split(" ")
    factor = 1000 ** (_SIZE_UNITS.index(unit) + 1)
    return f"{done / factor:.1f} of {shown} {unit}"
