"""Sizes and offsets as they are typed: ``512``, ``4KiB``, ``650MB``, ``1.5GiB``, ``63s``."""

from __future__ import annotations

import re
from fractions import Fraction

from forensiq.errors import UsageError
from forensiq.model.quantity import MediaQuantity

__all__ = ["MAXIMUM", "parse_offset", "parse_size"]

MAXIMUM = 2**63 - 1
"""The largest size or offset, in bytes: what the kernel can address in a file or device."""

_UNITS = {"": 1, "B": 1} | {
    f"{letter}{suffix}": base ** (power + 1)
    for power, letter in enumerate("kMGTPE")
    for suffix, base in (("B", 1000), ("iB", 1024))
}
_BY_FOLDED_NAME = {name.casefold(): factor for name, factor in _UNITS.items() if name != "B"} | {"B": 1}
_NUMBER = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?|0x[0-9a-fA-F]+)\s*([A-Za-z]*)\s*", re.ASCII)


def parse_size(text: str) -> int:
    """Return the bytes that ``text`` names; :class:`~forensiq.errors.UsageError` where that is not clear.

    ``kB MB GB TB PB EB`` are powers of 1000, ``KiB MiB GiB TiB PiB EiB`` powers of 1024, no unit is bytes. ``4K`` means
    4000 to some tools and 4096 to others, and ``4b`` is 2048 to ``dd``: both are refused.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UsageError(f"not a size: {text!r}", hint="sizes look like 512, 4KiB, 650MB or 2GiB", value=text)
    number, unit = match.groups()
    factor = _BY_FOLDED_NAME.get(unit if unit in ("b", "B") else unit.casefold())
    if factor is None:
        raise UsageError(f"unknown unit {unit!r} in the size {text!r}", hint=_unit_hint(number, unit), value=text)
    exact = Fraction(int(number, 16)) if number.startswith("0x") else Fraction(number.replace("_", ""))
    size = exact * factor
    if size.denominator != 1:
        raise UsageError(f"{text!r} is not a whole number of bytes", value=text)
    if size > MAXIMUM:
        raise UsageError(f"{text!r} is larger than any medium can be", hint="the largest is 8 EiB - 1", value=text)
    return int(size)


def parse_offset(text: str) -> MediaQuantity:
    """Return the place or length that ``text`` names: bytes, or sectors with the suffix ``s`` (``63s``)."""
    sectors = text.strip()
    if sectors.endswith("s"):
        digits = sectors[:-1]
        if not (digits.isascii() and digits.isdecimal()) or int(digits) > MAXIMUM // 512:
            raise UsageError(f"not a number of sectors: {text!r}", hint="sectors look like 2048s", value=text)
        return MediaQuantity(int(digits), in_sectors=True)
    return MediaQuantity(parse_size(text))


def _unit_hint(number: str, unit: str) -> str:
    letter = unit[:1].upper()
    if unit == "b":
        return f"say {number}B for bytes"
    if len(unit) == 1 and letter in "KMGTPE":
        return f"say {number}{letter}iB (powers of 1024) or {number}{letter.replace('K', 'k')}B (powers of 1000)"
    return "units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB"
