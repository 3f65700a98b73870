"""Reads in order while the drive is healthy, and rescues the rest at the first sign of trouble.

The image needs its bytes in order; a failing drive must not be read in order. So at the first error, or the first area
that answers slowly, everything from there on is rescued into a store, by the passes of
:mod:`~forensiq.acquisition.rescue`, in a thread of its own. The pipeline gets the rest of the medium from the store, as
far as it is final: from the last pass on, which goes forward.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from msgspec import Struct

from forensiq.acquisition.reader import LinearReader, ReadJournal
from forensiq.acquisition.rescue import Rescue, RescueSettings
from forensiq.acquisition.rescue_thread import BackgroundRescue
from forensiq.clock import monotonic
from forensiq.errors import DestinationError, SourceLostError
from forensiq.images.base import RescueTarget
from forensiq.model.extent import Extent, merge
from forensiq.model.mapfile import MapfileState
from forensiq.model.media_map import NOT_TRIED, READ, SKIPPED_BY_SCOPE, MediaMap, RangeStatus, ReadStatus
from forensiq.model.source import SourceKind
from forensiq.sources.base import Source
from forensiq.streams.progress import Progress

__all__ = ["EarlierRescue", "RescueReader", "RescueSetup"]

_PIECE = 1 << 20  # a failed read of a smaller piece is followed by fewer reads of the same place
_SLOW_S = 2.0
_SLOW_SHARE = 20


class EarlierRescue(Struct, frozen=True):
    """What another rescue of the same medium got (GNU ddrescue's image and map); it is read, never changed.

    Byte 0 of ``media_map``, and byte ``base`` of ``image``, is byte 0 of the medium.
    """

    image: Source
    media_map: MediaMap
    base: int = 0


class RescueSetup(Struct, frozen=True):
    """What a rescue needs besides source and plan.

    ``target`` takes the bytes; ``save`` makes the map that belongs to it durable; ``known`` is that map from an earlier
    sitting, ``hung`` where the drive stopped answering in one that was no rescue yet. ``at_once`` rescues from the
    first byte on, whatever the state of the drive: with an order of work, or a drive known to fail.
    """

    target: RescueTarget
    save: Callable[[MediaMap, MapfileState], None]
    settings: RescueSettings
    stop: threading.Event
    known: MediaMap | None = None
    hung: Sequence[tuple[Extent, RangeStatus]] = ()
    earlier: EarlierRescue | None = None
    at_once: bool = False


class RescueReader:
    """A :class:`~forensiq.acquisition.reader.ReadStrategy` for one reading thread."""

    def __init__(
        self, source: Source, extent: Extent, journal: ReadJournal, progress: Progress, setup: RescueSetup
    ) -> None:
        """``extent`` is the part of the source that is the medium."""
        self._source = source
        self._extent = extent
        self._journal = journal
        self._progress = progress
        self._setup = setup
        self._start: int | None = None
        self._work: BackgroundRescue | None = None
        self._in_order: LinearReader | None = None
        self._at_once = setup.at_once or setup.known is not None or setup.earlier is not None or bool(setup.hung)
        self._rate = 0.0
        # The kernel reads ahead of buffered reads, and page by page around an error: reads that only hurt the drive.
        self._direct = source.identity.kind is SourceKind.BLOCK_DEVICE
        self._from_earlier: tuple[Extent, ...] = ()

    def read(self, extent: Extent, buffer: memoryview) -> None:
        """See :meth:`forensiq.acquisition.reader.ReadStrategy.read`."""
        done = 0
        if self._start is None and self._in_order is None:
            done = 0 if self._at_once else self._stream(extent, buffer)
            if done == extent.length:
                return
            if not self._begin(extent.offset + done):
                self._in_order = LinearReader(self._source, self._extent, self._setup.settings.retries, self._journal)
        rest, view = extent.split_at(extent.offset + done)[1], buffer[done:]
        if self._in_order is not None:
            self._in_order.read(rest, view)
        elif self._work is not None:
            self._work.wait(rest.end)
            self._serve(rest, view)

    def end(self) -> None:
        """See :meth:`forensiq.acquisition.reader.ReadStrategy.end`: whoever waits for the rescue ends, too."""
        if self._work is not None:
            self._work.request_end()

    def close(self) -> None:
        """See :meth:`forensiq.acquisition.reader.ReadStrategy.close`: the rescue ends after the read under way."""
        if self._work is not None:
            self._work.close()

    def _stream(self, extent: Extent, buffer: memoryview) -> int:
        """Read in order; return how many bytes were read before the first trouble."""
        for piece in extent.pieces(_PIECE):
            if self._at_once or not self._read_in_order(piece, buffer[piece.offset - extent.offset :][: piece.length]):
                return piece.offset - extent.offset
        return extent.length

    def _read_in_order(self, piece: Extent, buffer: memoryview) -> bool:
        started = monotonic()
        try:
            error = self._journal.attempt(self._source, self._extent.offset + piece.offset, buffer, direct=self._direct)
        except SourceLostError as lost:
            self._journal.mark_hung(piece, lost)
            raise
        if error is not None:
            return False
        self._journal.mark(piece, READ)
        seconds = monotonic() - started
        rate = piece.length / max(seconds, 1e-6)
        if seconds > _SLOW_S and self._rate > 0 and rate < self._rate / _SLOW_SHARE:
            self._at_once = True  # what was read is good; what comes next is rescued
        else:
            self._rate = rate if not self._rate else self._rate * 0.95 + rate * 0.05
        return True

    def _begin(self, start: int) -> bool:
        """Rescue everything from byte ``start`` on; say whether there was room for it."""
        setup, medium = self._setup, self._journal.media_map.size
        domain = Extent.between(start, medium)
        for part, state in setup.hung:
            if gap := part.intersect(domain):
                self._journal.mark(gap, state)
        room = setup.target.room()
        if room is not None and setup.known is None and room < domain.length:
            self._journal.strategy = f"in order: {room} bytes are too little for the rescue of {domain.length} bytes"
            return False
        setup.target.begin_rescue(start)
        self._refuse_short_target(domain)
        self._start = start
        self._work = BackgroundRescue(lambda settled: self._rescue(domain, settled), domain.end, setup.stop)
        self._work.start()
        return True

    def _rescue(self, domain: Extent, settled: Callable[[int], None]) -> None:
        setup, work = self._setup, self._work
        assert work is not None
        self._journal.strategy = f"rescue from byte {domain.offset} on"
        self._take_over(domain)
        rescue = Rescue(
            self._source,
            self._extent.offset,
            setup.target,
            self._journal,
            self._progress,
            setup.settings,
            stopped=work.is_stopped,
            save=self._save,
            read_stored=lambda offset, buffer: self._serve(Extent(offset, len(buffer)), buffer),
            # What another rescue got is written into a target in place by whoever reads: not while this one writes.
            settled=settled if setup.earlier is None else None,
        )
        try:
            rescue.run(domain)
        finally:
            if setup.settings.order is not None:
                self._journal.strategy += f"; {setup.settings.order.statement}"

    def _refuse_short_target(self, domain: Extent) -> None:
        known, there = self._setup.known, self._setup.target.stored_size()
        data = known.ranges(ReadStatus.READ, ReadStatus.READ_AFTER_RETRY, within=domain) if known is not None else ()
        claimed = max((part.end for part, _ in data), default=0)
        if claimed > there:
            raise DestinationError(
                f"what was rescued before is not there any more: its map tells of data up to byte {claimed:,}, and the "
                f"file beside it ends at byte {there:,}; bring that file back, or remove the .rescue.map to read again",
                claimed=claimed,
                size=there,
            )

    def _take_over(self, domain: Extent) -> None:
        """Enter into the map what earlier sittings and other programs know of ``domain``."""
        known, earlier = self._setup.known, self._setup.earlier
        if known is not None:
            for part, state in known.ranges(within=domain):
                for gap, ours in list(self._journal.media_map.ranges(within=part)):
                    if ours != SKIPPED_BY_SCOPE:
                        self._journal.mark(gap, state)
        if earlier is None:
            return
        taken: list[Extent] = []
        for part, state in earlier.media_map.ranges(within=domain):
            for gap, ours in list(self._journal.media_map.ranges(within=part)):
                if state.is_data and not ours.is_data:
                    taken.append(gap)
                if not ours.is_data and (state.is_data or ours == NOT_TRIED):
                    self._journal.mark(gap, state)
        self._from_earlier = merge(taken)

    def _save(self, state: MapfileState) -> None:
        """Make the target durable, then the map of what is in it."""
        target = self._setup.target
        target.sync_stored()
        kept = self._journal.media_map.copy()
        kept.mark(Extent.between(target.in_order_end, self._start or 0), NOT_TRIED)
        for part in self._from_earlier:
            kept.mark(part, NOT_TRIED)
        self._setup.save(kept, state)

    def _serve(self, extent: Extent, buffer: memoryview) -> None:
        self._setup.target.read_stored(extent.offset, buffer)
        if self._setup.earlier is None:
            return
        for part in self._from_earlier:
            common = part.intersect(extent)
            view = buffer[common.offset - extent.offset : common.end - extent.offset] if common else buffer[:0]
            at = self._setup.earlier.base + common.offset
            if len(view) and self._setup.earlier.image.read_into(at, view) < len(view):
                raise SourceLostError("the image of the earlier rescue is shorter than its map", offset=common.offset)
            if common and self._setup.target.in_place:
                self._setup.target.store_at(common.offset, view)
