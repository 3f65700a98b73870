"""A second look at the source: which sectors read differently from what was stored.

A drive that gives other bytes on the second read is not one whose image is wrong: it is unstable, and where it is
unstable belongs in the record. Reads go past the page cache, so that the drive answers and not the memory.
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterator

from msgspec import Struct, field

from forensiq.acquisition.reader import ReadJournal
from forensiq.errors import Interrupted, SourceLostError
from forensiq.model.extent import Extent, merge
from forensiq.model.media_map import MediaMap
from forensiq.sources.base import Source
from forensiq.streams.progress import Progress

__all__ = ["SecondLook", "look_again"]

_PIECE = 1 << 20


class SecondLook(Struct):
    """What a second reading has found so far; extents in bytes of the stored medium, in whole sectors, in order.

    ``compared`` counts bytes that could be compared; ``unstable`` read differently; ``lost`` was read the first time
    and could not be read again. What was unreadable the first time is not looked at.
    """

    compared: int = 0
    unstable: list[Extent] = field(default_factory=list)
    lost: list[Extent] = field(default_factory=list)


def look_again(
    source: Source,
    base: int,
    stored: Source,
    media_map: MediaMap,
    found: SecondLook,
    *,
    progress: Progress,
    stop: threading.Event,
) -> None:
    """Read everything that ``media_map`` says is data once more, compare it with ``stored``, add to ``found``.

    Byte ``base`` of ``source`` is byte 0 of the medium. Raises :class:`Interrupted` on a stop request and
    :class:`SourceLostError` when the source is gone; errors of ``stored`` are the caller's. What was found until then
    is in ``found``. Stage of ``progress``: ``compare``.
    """
    look = _Look(source, base, stored, found)
    data = [extent for extent, state in media_map if state.is_data]
    progress.begin("reading again", sum(extent.length for extent in data), ["compare"])
    for extent in merge(data):
        for piece in _aligned_pieces(extent):
            if stop.is_set():
                raise Interrupted("stopped during the second look")
            progress.position = piece.offset
            look.compare(piece)
            progress.add("compare", piece.length)


def _aligned_pieces(extent: Extent) -> Iterator[Extent]:
    head, rest = extent.split_at(-(-extent.offset // _PIECE) * _PIECE)
    if head:
        yield head
    yield from rest.pieces(_PIECE)


class _Look:
    def __init__(self, source: Source, base: int, stored: Source, found: SecondLook) -> None:
        self._source = source
        self._base = base
        self._stored = stored
        self._sector = source.sector_size
        self._first = bytearray(_PIECE)
        self._memory = memoryview(mmap.mmap(-1, _PIECE))  # aligned, for O_DIRECT
        self._found = found
        self._journal = ReadJournal(MediaMap(source.size), Progress(0))

    def compare(self, piece: Extent) -> None:
        if len(self._first) != piece.length:
            self._first = bytearray(piece.length)
        again = self._memory[: piece.length]
        _read_all(self._stored, piece.offset, memoryview(self._first))
        # The journal tells a drive that is gone from one with bad sectors.
        if self._journal.attempt(self._source, self._base + piece.offset, again, direct=True) is not None:
            self._narrow(piece)
            return
        self._found.compared += piece.length
        # One memcmp; two views would be compared byte by byte.
        if not self._first.startswith(again):
            first = memoryview(self._first)
            for sector in piece.pieces(self._sector):
                if bytes(_part(first, sector, piece)) != bytes(_part(again, sector, piece)):
                    _append(self._found.unstable, sector)

    def _narrow(self, piece: Extent) -> None:
        if piece.length <= self._sector:
            _append(self._found.lost, piece)
            return
        for sector in list(piece.pieces(self._sector)):
            self.compare(sector)


def _append(extents: list[Extent], extent: Extent) -> None:
    if extents and extents[-1].end == extent.offset:
        extent = Extent.between(extents.pop().offset, extent.end)
    extents.append(extent)


def _part(data: memoryview, sector: Extent, piece: Extent) -> memoryview:
    return data[sector.offset - piece.offset : sector.end - piece.offset]


def _read_all(source: Source, offset: int, buffer: memoryview) -> None:
    if source.read_into(offset, buffer) < len(buffer):
        raise SourceLostError("the stored copy is shorter than the medium", offset=offset)
