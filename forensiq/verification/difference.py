"""Where two images of a medium hold different bytes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from forensiq.errors import Interrupted
from forensiq.images.base import EvidenceImage
from forensiq.model.extent import Extent, merge, subtract
from forensiq.streams.progress import Progress

__all__ = ["MediumDifference", "difference_of"]

_PIECE = 2 << 20
_BLOCK = 32 << 10


class MediumDifference(Struct, frozen=True):
    """Extents in bytes of the medium, merged; ``differing`` in whole sectors.

    ``not_compared`` could not be given by one of the images; ``beyond`` is what only the larger one has.
    """

    differing: tuple[Extent, ...]
    not_compared: tuple[Extent, ...]
    beyond: Extent
    compared: int


def difference_of(
    first: EvidenceImage,
    second: EvidenceImage,
    *,
    leave_out: Sequence[Extent] = (),
    progress: Progress,
    stop: threading.Event | None = None,
) -> MediumDifference:
    """Compare all bytes that both images have, but for ``leave_out``. Both may be read by two threads at once."""
    shared = min(first.size, second.size)
    sector = max(first.sector_size, second.sector_size)
    wanted = subtract([Extent(0, shared)], leave_out)
    progress.begin("comparing", sum(each.length for each in wanted), ["compare"])
    differing: list[Extent] = []
    lost: list[Extent] = []
    ours, theirs = memoryview(bytearray(_PIECE)), memoryview(bytearray(_PIECE))
    with ThreadPoolExecutor(1, "second-image") as other:
        for piece in (part for each in wanted for part in each.pieces(_PIECE)):
            if stop is not None and stop.is_set():
                raise Interrupted("the comparison was stopped; the images are as they were")
            a, b = ours[: piece.length], theirs[: piece.length]
            reading = other.submit(second.read_checked, piece.offset, b)
            damage = [*first.read_checked(piece.offset, a)[1], *reading.result()[1]]
            lost += [part for each in damage if (part := each.media.intersect(piece))]
            if bytes(a) != bytes(b):  # memoryviews compare item by item, ten times slower
                differing += _sectors(a, b, piece.offset, sector)
            progress.add("compare", piece.length)
    silent = merge(lost)
    beyond = Extent.between(shared, max(first.size, second.size))
    return MediumDifference(subtract(differing, silent), silent, beyond, sum(each.length for each in wanted))


def _sectors(a: memoryview, b: memoryview, offset: int, sector: int) -> list[Extent]:
    found: list[Extent] = []
    for block in range(0, len(a), _BLOCK):
        mine, other = bytes(a[block : block + _BLOCK]), bytes(b[block : block + _BLOCK])
        if mine == other:
            continue
        for at in range(0, len(mine), sector):
            if mine[at : at + sector] != other[at : at + sector]:
                start = offset + block + at
                extent = Extent(start, len(mine[at : at + sector]))
                if found and found[-1].end == start:
                    extent = Extent.between(found.pop().offset, extent.end)
                found.append(extent)
    return found
