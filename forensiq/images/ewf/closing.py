"""What stands behind the last chunk of an E01: unreadable sectors and digests."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from forensiq.images.ewf import header, layout
from forensiq.images.ewf.config import EwfConfig, volume_of
from forensiq.model.digest import HashAlgorithm
from forensiq.model.extent import Extent, merge
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.image import ClosingFacts

__all__ = ["closing_sections", "error_ranges"]


def closing_sections(config: EwfConfig, facts: ClosingFacts, *, one_segment: bool) -> list[tuple[str, bytes]]:
    """Return type and body of the sections between the last table and ``done``.

    ``data`` stands here only where there is one segment; others begin with it. ``digest`` needs MD5 and SHA-1,
    ``hash`` needs MD5: a digest that was not computed is left out, never written as zeros.
    """
    sections: list[tuple[str, bytes]] = []
    if one_segment:
        sections.append(("data", volume_of(config).pack()))
    ranges, _ = error_ranges(facts.unreadable, config.sector_size)
    if ranges:
        sections.append(("error2", layout.ErrorTable(ranges).pack()))
    md5 = facts.digests.get(HashAlgorithm.MD5)
    sha1 = facts.digests.get(HashAlgorithm.SHA1)
    if md5 and sha1:
        sections.append(("digest", layout.DigestBody(bytes.fromhex(md5), bytes.fromhex(sha1)).pack()))
    if md5:
        sections.append(("hash", layout.HashBody(bytes.fromhex(md5)).pack()))
    if config.xhash:
        sections.append(("xhash", zlib.compress(header.build_xhash(facts.digests), 6)))
    return sections


def error_ranges(unreadable: Iterable[Extent], sector_size: int) -> tuple[list[tuple[int, int]], tuple[Finding, ...]]:
    """Return the ranges for ``error2`` as (first sector, sectors), sorted and merged, and what had to be left out.

    The section counts sectors with 32 bits. What lies beyond is not wrapped into a wrong sector, but left out with a
    finding; the record and the map have all of it.
    """
    limit = Extent(0, (layout.MAX_ERROR_SECTOR + 1) * sector_size)
    ranges: list[tuple[int, int]] = []
    lost = 0
    for extent in merge(extent.aligned_out(sector_size) for extent in unreadable):
        inside = extent.intersect(limit)
        lost += (extent.length - inside.length) // sector_size
        # A count has 32 bits too: 2**32 sectors in one piece are two entries.
        pieces = inside.pieces(layout.MAX_ERROR_SECTOR * sector_size)
        ranges.extend((piece.offset // sector_size, piece.length // sector_size) for piece in pieces)
    if not lost:
        return ranges, ()
    finding = Finding(
        severity=Severity.WARNING,
        cause=Cause.NOTE,
        code="ewf.error2.limit",
        message=(
            f"{lost} unreadable sectors lie beyond sector {layout.MAX_ERROR_SECTOR}, the last that an E01 can name; "
            "they are filled in the image and listed in the record and the map, but not in the image's own list"
        ),
        expected=str(layout.MAX_ERROR_SECTOR),
        found=str(lost),
    )
    return ranges, (finding,)
