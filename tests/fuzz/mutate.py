"""Mutations that know where structures are: a changed byte in free space tells nothing.

A mutant keeps what would end the parsing at once (signatures) most of the time, and changes numbers at their natural
alignment to the values at which parsers fail: 0, 1, the extremes of their width, the size of the medium, a neighbour
±1, another structure of the same kind. NTFS records keep their update sequence, so that a change is really parsed.
"""

from __future__ import annotations

import random
import struct

__all__ = ["hot_places", "mutated"]

_MAGICS = (
    b"FILE", b"INDX", b"RSTR", b"XFSB", b"XAGF", b"XAGI", b"IN", b"XDB3", b"XDD3", b"XD2B", b"XD2D", b"NXSB", b"APSB",
    b"H+", b"HX", b"CD001", b"EFI PART", b"\x53\xef", b"\x0a\xf3", b"_BHRfS_M", b"EXFAT", b"\x19\x01\x54\x19", b"SI",
)  # fmt: skip
_SECTOR = 512


def hot_places(data: bytes | bytearray) -> list[int]:
    """Return the offsets of sectors that hold structures: those with a signature, and those that are mostly small."""
    places = []
    for at in range(0, len(data), _SECTOR):
        sector = data[at : at + _SECTOR]
        if not any(sector):
            continue
        signed = any(
            sector.startswith(magic) or sector[32:36] == magic or magic in sector[:12] or sector[56:58] == magic
            for magic in _MAGICS
        )
        if signed:
            places += [at] * 8
        elif sector.count(0) > 128:
            places += [at] * 2
        else:
            places.append(at)
    return places


def mutated(original: bytes, source: random.Random, places: list[int]) -> bytes:
    """Return a mutant of ``original``; the same ``source`` gives the same mutant."""
    data = bytearray(original)
    for _ in range(source.choice((1, 1, 2, 3, 5, 8, 13))):
        _change(data, source, places)
    if source.randrange(20) == 0:
        del data[source.randrange(1024, len(data)) :]
    return bytes(data)


def _change(data: bytearray, source: random.Random, places: list[int]) -> None:
    base = source.choice(places)
    width = source.choice((1, 2, 2, 4, 4, 4, 8))
    at = base + source.randrange(0, _SECTOR // width) * width
    if at + width > len(data):
        return
    if _is_update_sequence(data, base, at):
        return
    kind = source.randrange(10)
    if kind < 6:
        order = source.choice("<<>")
        letter = {1: "B", 2: "H", 4: "I", 8: "Q"}[width]
        (old,) = struct.unpack_from(order + letter, data, at)
        most = (1 << (8 * width)) - 1
        new = source.choice(
            (0, 1, 2, most, most - 1, most >> 1, (most >> 1) + 1, old + 1, old - 1, old * 2,
             old ^ 1 << source.randrange(8 * width), len(data), len(data) // _SECTOR, at, at // _SECTOR,
             source.randrange(most + 1))
        )  # fmt: skip
        struct.pack_into(order + letter, data, at, new & most)
    elif kind < 8:
        # A structure in the place of another one of its kind: loops, and links to the wrong thing.
        other = source.choice(places)
        length = source.choice((8, 16, 32, 64, 128, _SECTOR))
        inside = source.randrange(0, _SECTOR - length + 1, 8)
        piece = data[other + inside : other + inside + length]
        data[base + inside : base + inside + len(piece)] = piece
    elif kind == 8:
        other = source.choice(places) + source.randrange(0, _SECTOR // width) * width
        if other + width <= len(data):
            data[at : at + width], data[other : other + width] = data[other : other + width], data[at : at + width]
    else:
        data[at] ^= 1 << source.randrange(8)


def _is_update_sequence(data: bytearray, base: int, at: int) -> bool:
    """Whether ``at`` is one of the places that NTFS checks: the last two bytes of each sector of a record."""
    return bytes(data[base : base + 4]) in (b"FILE", b"INDX") and at - base >= _SECTOR - 2
