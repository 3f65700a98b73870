"""Tables of numbers as they stand in a file."""

from __future__ import annotations

import sys
from array import array

__all__ = ["big_endian", "little_endian"]


def big_endian(values: array[int]) -> bytes:
    """Return ``values`` with the most significant byte first."""
    return values.tobytes() if sys.byteorder == "big" else _swapped(values)


def little_endian(values: array[int]) -> bytes:
    """Return ``values`` with the least significant byte first."""
    return values.tobytes() if sys.byteorder == "little" else _swapped(values)


def _swapped(values: array[int]) -> bytes:
    other = values[:]
    other.byteswap()
    return other.tobytes()
