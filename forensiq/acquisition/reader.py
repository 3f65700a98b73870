"""Reads the medium: big reads while all is well, ever smaller ones around an error; fills the map.

One seam, :class:`ReadStrategy`: the pipeline asks for the medium in order and does not care how the bytes come.
:class:`LinearReader` reads in order and works at once on what fails.
"""

from __future__ import annotations

import errno
import mmap
import threading
from collections.abc import Callable
from typing import Protocol

from forensiq.acquisition.result import ReadingFacts
from forensiq.clock import monotonic
from forensiq.errors import ImageDamageError, SourceLostError, SourceReadError
from forensiq.model.extent import Extent, subtract
from forensiq.model.media_map import NOT_TRIED, READ, READ_AFTER_RETRY, MediaMap, RangeStatus, ReadStatus
from forensiq.sources.base import Source
from forensiq.streams.progress import Progress

__all__ = ["GIVEN_UP", "HUNG", "HUNG_AGAIN", "LinearReader", "ReadJournal", "ReadStrategy"]

HUNG = RangeStatus(ReadStatus.NOT_TRIED, detail="hung")
HUNG_AGAIN = RangeStatus(ReadStatus.NOT_TRIED, detail="hung-again")
GIVEN_UP = RangeStatus(ReadStatus.UNREADABLE, errno.ETIMEDOUT)

_STEPS = (256 << 10, 16 << 10)
_AROUND_HUNG = 64 << 10
_ZEROS = bytes(1 << 20)
_REFRESH_S = 0.5
_PATIENCE = 64  # failed reads in a row after which a good place is read once more; doubled each time
_MOST_PATIENCE = 1024
_PROBES = 16


class ReadStrategy(Protocol):
    """How the bytes of the medium are got."""

    def read(self, extent: Extent, buffer: memoryview) -> None:
        """Fill ``buffer`` with the bytes of ``extent`` (of the stored medium, without padding) and mark the map.

        What cannot be read is zeros. Called once for every extent; in media order when there is one reader, else from
        several threads. Raises :class:`SourceLostError` when it makes no sense to go on.
        """
        ...

    def end(self) -> None:
        """The run is over, for whatever reason: a :meth:`read` that waits for something is to end. Never waits."""
        ...

    def close(self) -> None:
        """Nothing is read any more; return when nothing of this touches source or destination. May be called twice."""
        ...


class ReadJournal:
    """The map of a run and the counts that belong to it; the one place that several readers share.

    ``on_read_error`` is called after every failed read, by one thread at a time; what it raises ends the run.
    ``strategy`` says in words how the medium was read.
    """

    def __init__(
        self, media_map: MediaMap, progress: Progress, on_read_error: Callable[[SourceReadError], None] | None = None
    ) -> None:
        self.media_map = media_map
        self.strategy = "in order"
        self._progress = progress
        self._on_read_error = on_read_error
        self._lock = threading.Lock()
        self._reads = self._failed = 0
        self._good: int | None = None
        self._in_a_row, self._patience = 0, _PATIENCE
        self._doubtful: list[Extent] = []  # failed since the last read that went well
        self._next_refresh = 0.0

    def mark(self, extent: Extent, state: RangeStatus) -> None:
        """Mark ``extent`` of the map."""
        with self._lock:
            self.media_map.mark(extent, state)
            if state.status is ReadStatus.UNREADABLE or state.detail == "untrimmed":
                self._doubtful.append(extent)
        if state.status in (ReadStatus.UNREADABLE, ReadStatus.READ_AFTER_RETRY) and monotonic() >= self._next_refresh:
            self.refresh()

    def mark_hung(self, extent: Extent, error: SourceLostError) -> None:
        """Mark ``extent`` as where the source stopped answering, where that is what ``error`` says."""
        if "timeout_s" in error.facts:
            with self._lock:
                before = self.media_map.at(extent.offset)
                self.media_map.mark(extent, HUNG_AGAIN if before in (HUNG, HUNG_AGAIN) else HUNG)

    def hung_in(self, extent: Extent, state: RangeStatus) -> list[Extent]:
        """Return where in ``extent`` the source stopped answering: once (``HUNG``), or twice (``HUNG_AGAIN``)."""
        with self._lock:
            return [part for part, each in self.media_map.ranges(state.status, within=extent) if each == state]

    def fill_in(self, extent: Extent) -> list[Extent]:
        """Return what of ``extent`` is not data."""
        with self._lock:
            return [part for part, state in self.media_map.ranges(within=extent) if not state.is_data]

    def refresh(self) -> None:
        """Let the progress counters say what is unreadable by now."""
        with self._lock:
            bad = self.media_map.extents(ReadStatus.UNREADABLE)
            total = sum(each.length for each in bad)
            self._progress.set_unreadable(total, len(bad), bad[0].offset if bad else None)
            self._next_refresh = monotonic() + _REFRESH_S

    def attempt(self, source: Source, offset: int, buffer: memoryview, *, direct: bool) -> SourceReadError | None:
        """Fill ``buffer`` from byte ``offset`` of ``source`` on; return the error where it failed.

        A source that ends too early is a :class:`SourceLostError`; so is one that fails again and again, also at a
        place where it could be read before: what failed since then is not tried.
        """
        error = self._read(source, offset, buffer, direct=direct)
        with self._lock:
            if error is None:
                self._good = offset
                self._in_a_row, self._patience = 0, _PATIENCE
                self._doubtful = []
                return None
            self._in_a_row += 1
            doubt = self._in_a_row >= self._patience
        if doubt:
            self._probe(source)
        return error

    def _probe(self, source: Source) -> None:
        """Find out whether the source still gives anything: the last good place, or places all over the medium.

        Some drives and bridges that are gone fail every read; without this each sector behind would be called bad.
        """
        sector = source.sector_size
        spread = [source.size // sector * number // _PROBES * sector for number in range(_PROBES)]
        piece = memoryview(mmap.mmap(-1, sector))  # aligned, for O_DIRECT
        errors: list[SourceReadError] = []
        for offset in [self._good] if self._good is not None else spread:
            error = self._read(source, offset, piece[: source.size - offset], direct=True)
            if error is None:
                self._good = offset
                break
            errors.append(error)
        lost = error is not None
        with self._lock:
            self._in_a_row, self._patience = 0, min(2 * self._patience, _MOST_PATIENCE)
            for extent in self._doubtful if lost else ():
                self.media_map.mark(extent, NOT_TRIED)
            self._doubtful = []
        if lost:
            before = "also where it could be read before" if self._good is not None else "from its start to its end"
            raise SourceLostError(
                f"the source fails everywhere, {before}",
                hint="check cable and power, then run the same command with --resume",
                offset=errors[0].offset,
                errno=errors[0].errno,
            )

    def _read(self, source: Source, offset: int, buffer: memoryview, *, direct: bool) -> SourceReadError | None:
        with self._lock:
            self._reads += 1
        try:
            count = (source.read_direct if direct else source.read_into)(offset, buffer)
        except SourceReadError as error:
            return self._failure(error)
        except ImageDamageError as error:
            # An image as the source: what it cannot give as it was acquired is as unreadable as a bad sector.
            code = error.facts.get("errno")
            return self._failure(SourceReadError(offset, len(buffer), code if isinstance(code, int) else errno.EBADMSG))
        if count < len(buffer):
            raise SourceLostError(
                f"the source ends at byte {offset + count}, where byte {offset + len(buffer)} was expected to be",
                offset=offset + count,
                expected=offset + len(buffer),
            )
        return None

    def _failure(self, error: SourceReadError) -> SourceReadError:
        with self._lock:
            self._failed += 1
            if self._on_read_error is not None:
                self._on_read_error(error)
        return error

    def snapshot(self) -> MediaMap:
        """Return a copy of the map as it is now."""
        with self._lock:
            return self.media_map.copy()

    def facts(self) -> ReadingFacts:
        """Return the counts so far."""
        with self._lock:
            retried = self.media_map.total(ReadStatus.READ_AFTER_RETRY)
            return ReadingFacts(self._reads, self._failed, retried, self.strategy)


class LinearReader:
    """Reads in media order; on an error, smaller direct reads down to one sector, then ``retries`` more of each.

    Where the source stopped answering in an earlier sitting smaller reads are tried, once; where it did so twice it is
    not asked again: that is unreadable (``ETIMEDOUT``).
    """

    def __init__(self, source: Source, extent: Extent, retries: int, journal: ReadJournal) -> None:
        """``extent`` is the part of the source that is the medium."""
        self._source = source
        self._base = extent.offset
        self._retries = retries
        self._journal = journal
        self._sector = source.sector_size

    def read(self, extent: Extent, buffer: memoryview) -> None:
        """See :meth:`ReadStrategy.read`."""
        given_up = self._journal.hung_in(extent, HUNG_AGAIN)
        hung = self._journal.hung_in(extent, HUNG)
        for piece in given_up:
            view = buffer[piece.offset - extent.offset : piece.end - extent.offset]
            view[:] = bytes(len(view))
            self._journal.mark(piece, GIVEN_UP)
        small = (each for part in hung for each in part.pieces(_AROUND_HUNG))
        for piece in (*subtract([extent], [*given_up, *hung]), *small):
            self._read_piece(piece, buffer[piece.offset - extent.offset : piece.end - extent.offset])

    def end(self) -> None:
        """See :meth:`ReadStrategy.end`: nothing waits here."""

    def close(self) -> None:
        """See :meth:`ReadStrategy.close`: nothing goes on here."""

    def _read_piece(self, extent: Extent, buffer: memoryview) -> None:
        if self._try(extent, buffer, direct=False) is None:
            self._journal.mark(extent, READ)
        else:
            self._narrow(extent, buffer, 0)

    def _narrow(self, extent: Extent, buffer: memoryview, step: int) -> None:
        size = _STEPS[step] // self._sector * self._sector if step < len(_STEPS) else self._sector
        for piece in extent.pieces(max(size, self._sector)):
            part = buffer[piece.offset - extent.offset : piece.end - extent.offset]
            error = self._try(piece, part, direct=True)
            if error is None:
                self._journal.mark(piece, READ)
            elif piece.length > self._sector:
                self._narrow(piece, part, step + 1)
            else:
                self._retry(piece, part, error)

    def _retry(self, sector: Extent, buffer: memoryview, error: SourceReadError) -> None:
        for _ in range(self._retries):
            again = self._try(sector, buffer, direct=True)
            if again is None:
                self._journal.mark(sector, READ_AFTER_RETRY)
                return
            error = again
        buffer[:] = _ZEROS[: len(buffer)]
        self._journal.mark(sector, RangeStatus(ReadStatus.UNREADABLE, error.errno))

    def _try(self, extent: Extent, buffer: memoryview, *, direct: bool) -> SourceReadError | None:
        try:
            return self._journal.attempt(self._source, self._base + extent.offset, buffer, direct=direct)
        except SourceLostError as lost:
            self._journal.mark_hung(extent, lost)
            raise
