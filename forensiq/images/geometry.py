"""The cylinders, heads and sectors that disk images state for guests of the eighties. No byte depends on them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Geometry", "geometry_of", "vhd_geometry"]


class Geometry(NamedTuple):
    """An addressing of sectors of 512 bytes; it covers at most the medium."""

    cylinders: int
    heads: int
    sectors: int


def geometry_of(media_size: int) -> Geometry:
    """Return what an ATA drive would say: 16 heads, 63 sectors, at most 16383 cylinders."""
    return Geometry(max(1, min(16383, media_size // 512 // (16 * 63))), 16, 63)


def vhd_geometry(media_size: int) -> Geometry:
    """Return the geometry by the rule of the VHD specification (Microsoft, appendix "CHS Calculation")."""
    total = min(media_size // 512, 65535 * 16 * 255)
    if total >= 65535 * 16 * 63:
        sectors, heads = 255, 16
        return Geometry(total // sectors // heads, heads, sectors)
    sectors = 17
    tracks = total // sectors
    heads = max(4, (tracks + 1023) // 1024)
    if tracks >= heads * 1024 or heads > 16:
        sectors, heads = 31, 16
        tracks = total // sectors
    if tracks >= heads * 1024:
        sectors, heads = 63, 16
        tracks = total // sectors
    return Geometry(tracks // heads, heads, sectors)
