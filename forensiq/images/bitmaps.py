"""Bitmaps of sectors in differencing disks: which of them are the disk's own, as runs."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["runs"]


def runs(bitmap: bytes, start: int, length: int, unit: int, *, high_first: bool) -> Iterator[tuple[bool, int]]:
    """Yield (bit, bytes) for ``length`` bytes from byte ``start`` on, where each bit stands for ``unit`` bytes.

    ``high_first``: the first bit of a byte is its highest (VHD), else its lowest (VHDX). ``bitmap`` covers the range.
    """
    first, last = start // unit, (start + length - 1) // unit
    part = bitmap[first // 8 : last // 8 + 1]
    text = "".join(f"{byte:08b}" if high_first else f"{byte:08b}"[::-1] for byte in part)
    text = text[first % 8 : first % 8 + last - first + 1]
    at, end = start, start + length
    index = 0
    while index < len(text):
        bit = text[index]
        stop = text.find("0" if bit == "1" else "1", index)
        stop = len(text) if stop < 0 else stop
        behind = min((first + stop) * unit, end)
        yield bit == "1", behind - at
        at, index = behind, stop
