"""Gets as much as possible out of a failing drive: what reads well first, what hurts last.

The order of work is that of GNU ddrescue (its manual, chapter "Algorithm"):

1. *Copying*: large reads. Behind an error, and behind an area that answers slowly, a growing distance is skipped; a
   second pass comes from the other end and finds where the bad area ends; a third one reads what is left between,
   without skipping. What failed is one cluster, marked ``untrimmed``.
2. *Trimming*: from both ends of each failed range, sector by sector, up to the first bad sector. What lies between is
   ``unscraped``.
3. *Scraping*: the rest, sector by sector.
4. *Retrying*: each bad sector as often as asked, in alternating directions, forward in the end.
5. What a read hung at in an earlier sitting: last, because it may end this one, too. What hangs a second time is given
   up in the sitting after that: it counts as unreadable (``ETIMEDOUT``), so that the image comes to its end.

So no sector is tried more than twice before the retries, and every good area has been read before the first bad one is
worked on.

With an order of work (:class:`OrderOfWork`) the first pass takes its stages one after the other, then all the rest;
trimming and scraping follow it too. Whoever finds the order out reads through :meth:`Rescue.fetch`, so that nothing is
read twice.

The last pass goes forward: what lies before it is final, and is announced, so that it can be stored meanwhile.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Protocol

from msgspec import Struct

from forensiq.acquisition.reader import GIVEN_UP, HUNG, HUNG_AGAIN, ReadJournal
from forensiq.clock import monotonic
from forensiq.errors import Interrupted, SourceLostError, SourceReadError
from forensiq.images.base import RescueTarget
from forensiq.model.extent import Extent, merge
from forensiq.model.mapfile import MapfileState
from forensiq.model.media_map import NOT_TRIED, READ, READ_AFTER_RETRY, RangeStatus, ReadStatus
from forensiq.sources.base import Source
from forensiq.streams.progress import Progress

__all__ = [
    "SLOW",
    "UNSCRAPED",
    "UNTRIMMED",
    "Fetch",
    "OrderOfWork",
    "Rescue",
    "RescueSettings",
    "Stage",
]

UNTRIMMED = RangeStatus(ReadStatus.SKIPPED, detail="untrimmed")
UNSCRAPED = RangeStatus(ReadStatus.SKIPPED, detail="unscraped")
SLOW = RangeStatus(ReadStatus.SKIPPED, detail="slow")

_MOST_SKIP = 1 << 30  # bytes; also a hundredth of the domain, but on small media
_LEAST_MOST = 32  # clusters
_SLOW_S = 0.25  # seconds: a read that takes less is never slow, whatever the others take
_SLOW_SHARE = 10
_SETTLING_S = 0.2
_MOST_ALONE = 8 << 10  # bytes: more than this is not tried sector by sector before everything else is read

Fetch = Callable[[int, int], bytes | None]
"""Takes offset and length in bytes of the medium; returns the bytes, ``None`` where they cannot be had now."""


class Stage(Struct, frozen=True):
    """Places of the medium that come before the rest, in order. ``at_any_cost``: what is skipped in them is read before
    the next stage, not at the end."""

    extents: tuple[Extent, ...]
    at_any_cost: bool = False


class OrderOfWork(Protocol):
    """Finds out, reading through the rescue, what is to come first; goes on when a stage has been copied."""

    @property
    def statement(self) -> str:
        """What came of it, in words for the record."""
        ...

    def __call__(self, fetch: Fetch) -> Generator[Stage, None, None]:
        """Yield the stages."""
        ...


class RescueSettings(Struct, frozen=True):
    """How a rescue works. Sizes in bytes.

    ``order`` finds out what is copied first. ``checkpoint_s`` is how often, in seconds, the state is saved.
    ``retried`` is how many of the ``retries`` an earlier sitting has made.
    """

    retries: int = 1
    retried: int = 0
    cluster: int = 64 << 10
    order: OrderOfWork | None = None
    checkpoint_s: float = 30.0


class Rescue:
    """One rescue of a domain of the medium into a target.

    ``base`` is the byte of the source that is byte 0 of the medium. ``save(state)`` makes what was reached
    durable; it is called every now and then, and always before :meth:`run` ends or raises. ``read_stored`` gives what
    was rescued before, the target's by default. ``stopped`` says whether to end. ``settled(position)`` is called when
    nothing before that byte will change any more, and what could not be read there has been cleared in the target.
    """

    def __init__(
        self,
        source: Source,
        base: int,
        target: RescueTarget,
        journal: ReadJournal,
        progress: Progress,
        settings: RescueSettings,
        *,
        stopped: Callable[[], bool],
        save: Callable[[MapfileState], None],
        read_stored: Callable[[int, memoryview], None] | None = None,
        settled: Callable[[int], None] | None = None,
    ) -> None:
        self._source = source
        self._base = base
        self._target = target
        self._journal = journal
        self._progress = progress
        self._settings = settings
        self._stopped = stopped
        self._save = save
        self._settled = settled or (lambda _: None)
        self._read_stored = read_stored or target.read_stored
        self._domain = Extent(0, 0)
        self._sector = source.sector_size
        self._cluster = max(self._sector, settings.cluster // self._sector * self._sector)
        self._buffer = memoryview(mmap.mmap(-1, self._cluster))  # aligned, for O_DIRECT
        self._rate = 0.0
        self._state = MapfileState(0, "?", 1)
        self._next_save = monotonic() + settings.checkpoint_s
        self._final = 0
        self._next_settling = 0.0

    def run(self, domain: Extent) -> None:
        """Rescue ``domain``: afterwards each byte of it is data or unreadable.

        Raises :class:`Interrupted` on a stop request and :class:`SourceLostError` when the drive is gone; the state is
        saved then, and another run goes on from it.
        """
        retries = range(self._settings.retried, self._settings.retries)
        self._final = domain.offset
        try:
            with self._progress.nested("rescue: copying", domain.length, "rescue"):
                self._progress.add("rescue", sum(part.length for part, each in self._within(domain) if each.is_data))
                stages = self._stages(domain)
                self._copy([domain], 1, forward=True, skipping=True)
                self._copy([domain], 2, forward=False, skipping=True)
                self._copy([domain], 3, forward=True, skipping=False, also=(SLOW,))
                self._work_on([*stages, domain], last=not retries)
                for number in retries:
                    self._progress.phase = f"rescue: retrying, {number + 1} of {retries.stop}"
                    self._retry(domain, number + 1, forward=(retries.stop - number) % 2 == 1)
                self._read_what_hung(domain)
            self._finalise(domain.end)
            self._state = MapfileState(domain.end, "+", max(self._settings.retried, self._settings.retries))
        finally:
            self._save(self._state)

    # --- phases

    def _stages(self, domain: Extent) -> list[Extent]:
        """Copy what comes first; return it."""
        self._domain = domain
        if self._settings.order is None:
            return []
        done: list[Extent] = []
        with closing(self._settings.order(self.fetch)) as stages:
            self._progress.phase = "rescue: reading the file system"
            for stage in stages:
                self._progress.phase = "rescue: copying what the file system uses"
                whole = merge(each.aligned_out(self._cluster) for each in stage.extents)
                places = [part for each in whole if (part := each.intersect(domain))]
                self._copy(places, 1, forward=True, skipping=True)
                if stage.at_any_cost:
                    self._copy(places, 3, forward=True, skipping=False, also=(SLOW,))
                done += places
                self._progress.phase = "rescue: reading the file system"
        self._progress.phase = "rescue: copying"
        return done

    def _work_on(self, places: Sequence[Extent], *, last: bool) -> None:
        self._progress.phase = "rescue: trimming"
        for each in places:
            self._trim(each)
        self._progress.phase = "rescue: scraping"
        for each in places:
            self._scrape(each, last=last and each is places[-1])

    def _read_what_hung(self, domain: Extent) -> None:
        for part in self._with_status(domain, HUNG_AGAIN):
            self._journal.mark(part, GIVEN_UP)
        if self._with_status(domain, HUNG):
            self._progress.phase = "rescue: reading where the drive hung before"
            self._copy([domain], 4, forward=True, skipping=False, also=(HUNG,))
            self._work_on([domain], last=True)

    def _copy(
        self,
        places: Sequence[Extent],
        number: int,
        *,
        forward: bool,
        skipping: bool,
        also: tuple[RangeStatus, ...] = (),
    ) -> None:
        """Read what was not tried of ``places`` (sorted; backwards a single one), and what is in ``also``."""
        length = sum(each.length for each in places)
        most = min(_MOST_SKIP, max(_LEAST_MOST * self._cluster, length // 100 // self._cluster * self._cluster))
        skip, passed = self._cluster, 0
        for place in places:
            rest = Extent.between(max(place.offset, passed), place.end)
            skip, reached = self._copy_place(rest, number, also, skip, most if skipping else 0, forward=forward)
            passed = max(passed, reached)

    def _copy_place(
        self, rest: Extent, number: int, also: tuple[RangeStatus, ...], skip: int, most: int, *, forward: bool
    ) -> tuple[int, int]:
        """Copy one place; ``most`` of 0 skips nothing. Return the next skip, and up to where the last one reaches."""
        passed = 0
        while piece := self._next_piece(rest, also, forward=forward):
            self._state = MapfileState(piece.offset, "?", number)
            started = monotonic()
            error = self._try(piece, READ)
            slow = error is None and self._is_slow(piece.length, monotonic() - started)
            rest = Extent.between(piece.end, rest.end) if forward else Extent.between(rest.offset, piece.offset)
            if error is not None:
                single = piece.length <= self._sector
                self._journal.mark(piece, RangeStatus(ReadStatus.UNREADABLE, error.errno) if single else UNTRIMMED)
            if (error is not None or slow) and most:
                passed = rest.offset + skip
                left, right = rest.split_at(rest.offset + skip if forward else max(rest.offset, rest.end - skip))
                skipped, rest = (left, right) if forward else (right, left)
                if slow:
                    self._mark_slow(skipped)
                skip = min(2 * skip, most)
            elif error is None:
                skip = self._cluster
        return skip, passed

    def _next_piece(self, rest: Extent, also: tuple[RangeStatus, ...], *, forward: bool) -> Extent | None:
        """Return what is to be read next of ``rest``: a cluster, on the grid, or what is left of one."""
        size = self._cluster
        media_map = self._journal.media_map
        find = media_map.ranges if forward else media_map.ranges_backward
        for gap, state in find(ReadStatus.NOT_TRIED, ReadStatus.SKIPPED, within=rest):
            if state == NOT_TRIED or state in also:
                if forward:
                    return gap.intersect(Extent.between(gap.offset, gap.offset // size * size + size))
                return gap.intersect(Extent.between((gap.end - 1) // size * size, gap.end))
        return None

    def _trim(self, domain: Extent) -> None:
        for block in self._with_status(domain, UNTRIMMED):
            rest = block
            for forward in (True, False):
                for sector in _sectors(rest, self._sector, forward=forward):
                    self._state = MapfileState(sector.offset, "*", 1)
                    rest = (
                        Extent.between(sector.end, rest.end) if forward else Extent.between(rest.offset, sector.offset)
                    )
                    if not self._settle(sector, READ):
                        break
            self._journal.mark(rest, UNSCRAPED)

    def _scrape(self, domain: Extent, *, last: bool) -> None:
        for block in self._with_status(domain, UNSCRAPED):
            for sector in _sectors(block, self._sector, forward=True):
                if last:
                    self._announce(sector.offset)
                self._state = MapfileState(sector.offset, "/", 1)
                self._settle(sector, READ)

    def _retry(self, domain: Extent, number: int, *, forward: bool) -> None:
        bad = [part for part, _ in self._within(domain, ReadStatus.UNREADABLE)]
        last = number == self._settings.retries
        for block in bad if forward else reversed(bad):
            for sector in _sectors(block, self._sector, forward=forward):
                if last:
                    self._announce(sector.offset)
                self._state = MapfileState(sector.offset, "-", number)
                self._settle(sector, READ_AFTER_RETRY)

    # --- reads on behalf of the order of work

    def fetch(self, offset: int, length: int) -> bytes | None:
        """Return bytes of the medium, rescued now where they were not before; see :data:`Fetch`.

        What was found bad is tried sector by sector, once, where not much is asked for.
        """
        wanted = Extent(offset, length)
        known = wanted.aligned_out(self._sector).intersect(self._domain)
        self._copy([known.aligned_out(self._cluster).intersect(self._domain)], 1, forward=True, skipping=False)
        if known.length <= _MOST_ALONE:
            for part, _ in self._within(known, ReadStatus.SKIPPED):
                for sector in _sectors(part, self._sector, forward=True):
                    self._settle(sector, READ)
        if any(not state.is_data for _, state in self._within(known)):
            return None
        buffer = memoryview(bytearray(length))
        for part in wanted.minus(self._domain):  # in the image already, so it can be read
            view = buffer[part.offset - offset : part.end - offset]
            if self._journal.attempt(self._source, self._base + part.offset, view, direct=False) is not None:
                return None
        inside = wanted.intersect(self._domain)
        if inside:
            self._read_stored(inside.offset, buffer[inside.offset - offset : inside.end - offset])
        return bytes(buffer)

    # --- pieces of work

    def _within(self, domain: Extent, *statuses: ReadStatus) -> list[tuple[Extent, RangeStatus]]:
        return list(self._journal.media_map.ranges(*statuses, within=domain))

    def _with_status(self, domain: Extent, wanted: RangeStatus) -> list[Extent]:
        return [part for part, state in self._within(domain, wanted.status) if state.detail == wanted.detail]

    def _mark_slow(self, skipped: Extent) -> None:
        for part, state in self._within(skipped, ReadStatus.NOT_TRIED):
            if state == NOT_TRIED:
                self._journal.mark(part, SLOW)

    def _is_slow(self, length: int, seconds: float) -> bool:
        rate = length / max(seconds, 1e-6)
        slow = seconds > _SLOW_S and self._rate > 0 and rate < self._rate / _SLOW_SHARE
        if not slow:
            self._rate = rate if not self._rate else self._rate * 0.95 + rate * 0.05
        return slow

    def _settle(self, sector: Extent, success: RangeStatus) -> bool:
        """Read one sector and mark it as what it is; say whether it could be read."""
        error = self._try(sector, success)
        if error is not None:
            self._journal.mark(sector, RangeStatus(ReadStatus.UNREADABLE, error.errno))
        return error is None

    def _try(self, extent: Extent, success: RangeStatus) -> SourceReadError | None:
        """Read ``extent`` into the target and mark it; else return the error, with nothing marked."""
        self._pause()
        data = self._buffer[: extent.length]
        self._progress.position = extent.offset
        try:
            error = self._journal.attempt(self._source, self._base + extent.offset, data, direct=True)
        except SourceLostError as lost:
            self._journal.mark_hung(extent, lost)
            raise
        if error is None:
            self._target.store_at(extent.offset, data)
            self._journal.mark(extent, success)
            self._progress.add("rescue", extent.length)
        return error

    def _announce(self, position: int) -> None:
        """The last pass is at ``position``: what lies before it is final, up to the first range that waits for more."""
        if monotonic() >= self._next_settling:
            waiting = self._within(Extent.between(self._final, position), ReadStatus.NOT_TRIED, ReadStatus.SKIPPED)
            self._finalise(waiting[0][0].offset if waiting else position)
            self._next_settling = monotonic() + _SETTLING_S

    def _finalise(self, position: int) -> None:
        for part, state in self._within(Extent.between(self._final, position)):
            if not state.is_data:
                self._target.clear(part)
        self._final = max(self._final, position)
        self._settled(self._final)

    def _pause(self) -> None:
        if self._stopped():
            raise Interrupted("stopped during the rescue")
        if monotonic() >= self._next_save:
            self._save(self._state)
            self._next_save = monotonic() + self._settings.checkpoint_s


def _sectors(extent: Extent, size: int, *, forward: bool) -> Iterator[Extent]:
    """Yield the sectors of ``extent``, on the grid of the medium, in the order asked for."""
    first, last = extent.offset // size, -(-extent.end // size)
    for number in range(first, last) if forward else range(last - 1, first - 1, -1):
        yield Extent(number * size, size).intersect(extent)
