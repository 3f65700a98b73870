"""An image and a drive, byte by byte."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from msgspec import Struct

from forensiq.errors import Interrupted, SourceReadError
from forensiq.images.base import EvidenceImage
from forensiq.model.extent import Extent, merge, subtract
from forensiq.sources.base import Source
from forensiq.streams.progress import Progress

__all__ = ["AgainstResult", "compare_with_source"]

_PIECE = 4 << 20


class AgainstResult(Struct, frozen=True):
    """Where image and drive differ, in whole sectors of the image; extents in bytes of the stored medium.

    ``expected`` are differences in ranges that could not be read when the image was made: there the image holds fill.
    ``unreadable`` could not be read from the drive now, and ``unreachable`` not from the image: nothing is said of
    them. ``size_note`` says how the sizes differ, where they do.
    """

    differing: tuple[Extent, ...]
    expected: tuple[Extent, ...]
    unreadable: tuple[Extent, ...]
    unreachable: tuple[Extent, ...]
    compared: int
    size_note: str = ""


def compare_with_source(
    image: EvidenceImage,
    source: Source,
    *,
    source_offset: int = 0,
    padding: int = 0,
    filled: Sequence[Extent] = (),
    skipped: Sequence[Extent] = (),
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> AgainstResult:
    """Compare every byte of ``image`` with ``source`` from ``source_offset`` on.

    ``padding`` bytes at the end of the image were never on the drive; ``filled`` could not be read when it was made;
    ``skipped`` was not taken, and is neither read nor compared.
    """
    stored = image.size - padding
    there = max(0, source.size - source_offset)
    length = min(stored, there)
    if progress is not None:
        progress.begin("comparing with the drive", length, ["compare"])
    ours, theirs = memoryview(bytearray(_PIECE)), memoryview(bytearray(_PIECE))
    differing: list[Extent] = []
    unreadable: list[Extent] = []
    unreachable: list[Extent] = []
    taken = subtract([Extent(0, length)], skipped)
    for piece in (part for each in taken for part in each.pieces(_PIECE)):
        if stop is not None and stop.is_set():
            raise Interrupted("the comparison was stopped; image and drive are as they were")
        mine, other = ours[: piece.length], theirs[: piece.length]
        _, damage = image.read_checked(piece.offset, mine)
        unreachable += [each.media for each in damage]
        unreadable += _read_source(source, source_offset, piece, other)
        if bytes(mine) != bytes(other):  # memoryviews compare item by item, ten times slower
            differing += _differing_sectors(mine, other, piece.offset, image.sector_size)
        if progress is not None:
            progress.add("compare", piece.length)
    silent = merge([*unreadable, *unreachable])
    known = subtract(differing, silent)
    unexpected = subtract(known, filled)
    return AgainstResult(
        unexpected,
        subtract(known, unexpected),
        merge(unreadable),
        merge(unreachable),
        length,
        _size_note(stored, there),
    )


def _size_note(stored: int, there: int) -> str:
    if stored == there:
        return ""
    more, word = abs(there - stored), "more" if there > stored else "less"
    return f"the drive has {more:,} bytes {word} than the image"


def _read_source(source: Source, start: int, piece: Extent, buffer: memoryview) -> list[Extent]:
    """Fill ``buffer``; return what could not be read, found sector by sector."""
    try:
        source.read_into(start + piece.offset, buffer)
    except SourceReadError:
        if piece.length <= source.sector_size:
            buffer[:] = bytes(len(buffer))
            return [piece]
        step = max(source.sector_size, (piece.length // 16) // source.sector_size * source.sector_size)
        lost: list[Extent] = []
        for part in piece.pieces(step):
            lost += _read_source(source, start, part, buffer[part.offset - piece.offset :][: part.length])
        return lost
    return []


def _differing_sectors(mine: memoryview, other: memoryview, offset: int, sector: int) -> list[Extent]:
    found = []
    for block in range(0, len(mine), 64 * sector):
        end = min(block + 64 * sector, len(mine))
        if bytes(mine[block:end]) == bytes(other[block:end]):
            continue
        for at in range(block, end, sector):
            stop = min(at + sector, end)
            if mine[at:stop] != other[at:stop]:
                found.append(Extent.between(offset + at, offset + stop))
    return list(merge(found))
