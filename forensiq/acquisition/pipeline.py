"""The wiring of an acquisition: one read of the source, and everything that is made of it at the same time.

::

    reader(s) ──► digests, one thread for each algorithm   (in order)
        │     ──► block digests                            (in order)
        └────► encoders ──► statistics
                    └─────► writer lanes, one for each destination (in order)

Batches of a few MiB travel in buffers of a fixed pool: a stage holds a reference while it works, and a reader waits
for a free buffer. That is the memory bound and the back-pressure; queues need none. A reader takes a buffer first and
its place in the medium second, so the batch that everybody waits for always has a buffer.

The first failure stops all; so does a stop request, after what was read is written. Then the writers are suspended:
what they have can be resumed. A destination that fails ends alone, as long as another one goes on.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from msgspec import Struct

from forensiq.acquisition.blocks import BlockDigester
from forensiq.acquisition.lanes import Item, WriterLane
from forensiq.acquisition.plan import AcquisitionPlan
from forensiq.acquisition.reader import LinearReader, ReadJournal, ReadStrategy
from forensiq.acquisition.result import PipelineResult
from forensiq.acquisition.statistics import StatisticsCollector, scan, scan_parts
from forensiq.clock import monotonic
from forensiq.errors import ForensiqError, Interrupted, SourceLostError, SourceReadError
from forensiq.images.base import ImageWriter
from forensiq.model.chunk import Batch
from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.image import ClosingFacts
from forensiq.model.media_map import SKIPPED_BY_SCOPE, MediaMap, ReadStatus
from forensiq.model.scope import MediumScope
from forensiq.sources.base import Source
from forensiq.streams.buffers import Buffer, BufferPool
from forensiq.streams.crew import Crew
from forensiq.streams.digester import Digester
from forensiq.streams.failure import FirstFailure
from forensiq.streams.progress import Progress
from forensiq.streams.switching import quick_switches

__all__ = ["ResumePoint", "run_pipeline"]


class ResumePoint(Struct, frozen=True):
    """Where an earlier sitting ended; offsets in bytes of the stored medium.

    Bytes before ``upto`` are read from ``stored`` (what was written by then, opened as a source), never again from the
    source, so that digests and every destination see the same bytes. ``starts`` has, for each writer, the byte from
    which on it needs data, a multiple of its chunk size and at most ``upto``. ``media_map`` knows the range before
    ``upto`` (the rest is ignored).
    """

    stored: Source
    upto: int
    starts: tuple[int, ...]
    media_map: MediaMap


def run_pipeline(
    plan: AcquisitionPlan,
    source: Source,
    writers: Sequence[ImageWriter[Any]],
    *,
    progress: Progress,
    on_read_error: Callable[[SourceReadError], None] | None = None,
    watch: Callable[[], None] | None = None,
    stop: threading.Event | None = None,
    resume: ResumePoint | None = None,
    strategy: Callable[[ReadJournal], ReadStrategy] | None = None,
) -> PipelineResult:
    """Read what ``plan`` says, digest it and store it with every one of ``writers`` (begun, and all alike).

    ``on_read_error`` is called after each failed read, ``watch`` every ``plan.watch_s`` seconds; what they raise ends
    the run. ``stop`` is a request to end in good order, as is Ctrl-C; Ctrl-C after
    that leaves what was read and not yet written. ``strategy`` makes another reader.
    Stages of ``progress``: ``read``, ``hash``, ``encode``, ``write`` (``write2`` … for further writers).

    What ends a run is in the result, not raised; only a fault in the program itself is.
    """
    with quick_switches():
        return _Run(plan, source, writers, progress, on_read_error, resume, strategy).go(
            watch or (lambda: None), stop or threading.Event()
        )


class _Run:
    def __init__(
        self,
        plan: AcquisitionPlan,
        source: Source,
        writers: Sequence[ImageWriter[Any]],
        progress: Progress,
        on_read_error: Callable[[SourceReadError], None] | None,
        resume: ResumePoint | None,
        strategy: Callable[[ReadJournal], ReadStrategy] | None,
    ) -> None:
        self.plan = plan
        self.resume = resume
        self.progress = progress
        self.failure = FirstFailure()
        self.started = monotonic()
        stages = ["read", "hash", "encode"] if writers else ["read", "hash"]
        self.lanes = [
            WriterLane(writer, resume.starts[index] if resume else 0, f"write{index + 1 if index else ''}", progress)
            for index, writer in enumerate(writers)
        ]
        total = plan.taken(Extent(0, plan.stored_size))
        progress.begin("copying", total, stages + [lane.stage for lane in self.lanes])
        media_map = MediaMap(plan.extent.length)
        if resume:
            for extent, state in resume.media_map.ranges(within=Extent(0, min(resume.upto, plan.extent.length))):
                media_map.mark(extent, state)
        for extent in plan.scope.skipped(plan.extent.length) if plan.scope is not None else ():
            media_map.mark(extent, SKIPPED_BY_SCOPE)
        self.journal = ReadJournal(media_map, progress, on_read_error)
        self.reader = (
            strategy(self.journal) if strategy else LinearReader(source, plan.extent, plan.retries, self.journal)
        )
        self.pool = BufferPool(plan.buffers, plan.batch_size, self.failure)
        self.zeros = memoryview(bytes(plan.batch_size if plan.scope is not None else 0))
        self.digester = Digester(plan.algorithms, self.failure, lambda count: progress.add("hash", count))
        self.blocks = BlockDigester(plan.block_hash_size, self.failure) if plan.block_hash_size else None
        self.statistics = StatisticsCollector()
        self.tasks: queue.SimpleQueue[tuple[Batch, Buffer] | None] = queue.SimpleQueue()
        self.pieces = self._pieces()
        self.order = threading.Lock()
        self.waiting: dict[int, tuple[Batch, Buffer]] = {}
        self.next_number = 0
        self.position = 0

    def _pieces(self) -> Iterator[tuple[int, Extent]]:
        # Cut where a writer of a resumed run begins, so that each batch is wholly new to it, or wholly known.
        cuts = {0, self.plan.stored_size}
        if self.resume:
            cuts |= {cut for cut in (self.resume.upto, *self.resume.starts) if 0 < cut < self.plan.stored_size}
        number = 0
        borders = sorted(cuts)
        for start, end in pairwise(borders):
            for piece in Extent.between(start, end).pieces(self.plan.batch_size):
                yield number, piece
                number += 1

    # --- threads

    def _read(self, stop: threading.Event) -> None:
        while not stop.is_set():
            buffer = self.pool.take()
            if buffer is None:
                return
            with self.order:
                number, extent = next(self.pieces, (-1, Extent(0, 0)))
            if number < 0:
                buffer.release()
                return
            self.progress.position = extent.offset
            skipped = self._skipped(extent)
            if skipped:
                data = self.zeros[: extent.length]
            else:
                data = buffer.memory[: extent.length]
                self._fill(extent, data)
            self.progress.add("read", self.plan.taken(extent))
            self._pass_on(Batch(number, extent.offset, data, skipped), buffer)

    def _skipped(self, extent: Extent) -> bool:
        """Say whether nothing of ``extent`` is taken, so that no buffer need be cleared for it."""
        if self.plan.scope is None or extent.end > self.plan.extent.length:
            return False
        if self.resume and extent.offset < self.resume.upto:
            return False
        return next(self.plan.scope.within(extent), None) is None

    def _fill(self, extent: Extent, data: memoryview) -> None:
        medium = extent.intersect(Extent(0, self.plan.extent.length))
        part = data[: medium.length]
        if self.resume and extent.offset < self.resume.upto:
            if self.resume.stored.read_into(extent.offset, part) < len(part):
                raise SourceLostError("what was written before is shorter than it was", offset=extent.offset)
        elif medium and self.plan.scope is not None:
            self._fill_scope(medium, part, self.plan.scope)
        elif medium:
            self.reader.read(medium, part)
        if medium.length < len(data):
            data[medium.length :] = bytes(len(data) - medium.length)

    def _fill_scope(self, medium: Extent, data: memoryview, scope: MediumScope) -> None:
        at = medium.offset
        for piece in (*scope.within(medium), Extent(medium.end, 0)):
            gap = piece.offset - at
            data[at - medium.offset :][:gap] = bytes(gap)
            if piece:
                self.reader.read(piece, data[piece.offset - medium.offset :][: piece.length])
            at = piece.end

    def _pass_on(self, batch: Batch, buffer: Buffer) -> None:
        # Digests need media order; with several readers, whoever completes the sequence feeds all that follows.
        with self.order:
            self.waiting[batch.number] = (batch, buffer)
            while self.next_number in self.waiting:
                ready, its_buffer = self.waiting.pop(self.next_number)
                self.next_number += 1
                self.position = ready.offset + len(ready.data)
                self._digest(ready, its_buffer)
                self.tasks.put((ready, its_buffer))

    def _digest(self, batch: Batch, buffer: Buffer) -> None:
        medium = self.plan.extent.length
        if self.plan.scope is not None:
            for piece in self.plan.scope.within(Extent(batch.offset, len(batch.data))):
                self.digester.feed(buffer, batch.data[piece.offset - batch.offset :][: piece.length])
        elif self.plan.padding and batch.offset + len(batch.data) > medium:
            inside = medium - batch.offset
            self.digester.feed(buffer, batch.data[:inside])
            self.digester.mark()
            self.digester.feed(buffer, batch.data[inside:])
        else:
            self.digester.feed(buffer, batch.data)
        if self.blocks is not None:
            self.blocks.feed(buffer, batch.data)

    def _encode(self) -> None:
        while (task := self.tasks.get()) is not None:
            batch, buffer = task
            try:
                if not self.failure.stopped:
                    self._count(batch)
                    self._to_lanes(batch, buffer)
            finally:
                del task, batch
                buffer.release()

    def _count(self, batch: Batch) -> None:
        if self.plan.scope is None:
            self.statistics.add(batch.number, len(batch.data), scan(batch.offset, batch.data))
            return
        parts = list(self.plan.scope.within(Extent(batch.offset, len(batch.data))))
        length = sum(part.length for part in parts)
        self.statistics.add(batch.number, length, scan_parts(batch.offset, batch.data, parts))

    def _to_lanes(self, batch: Batch, buffer: Buffer) -> None:
        wanted = [lane for lane in self.lanes if lane.failure is None]
        encoded = None
        if any(batch.offset >= lane.start for lane in wanted):
            encoded = wanted[0].writer.encode(batch)
        counted = self.plan.taken(Extent(batch.offset, len(batch.data)))
        if self.lanes:
            self.progress.add("encode", counted)
            buffer.retain(len(self.lanes))
        for lane in self.lanes:
            lane.put(Item(batch.number, batch.offset, len(batch.data), encoded, buffer, counted))

    def _lane_failed(self, lane: WriterLane) -> None:
        if all(each.failure is not None for each in self.lanes) and lane.failure is not None:
            self.failure.report(self.lanes[0].failure or lane.failure)

    # --- the caller's thread

    def go(self, watch: Callable[[], None], stop: threading.Event) -> PipelineResult:
        tick = _Ticker(self, watch, stop)
        plan = self.plan
        with Crew(self.failure, plan.readers + plan.workers + len(self.lanes) + 1) as crew:
            writing = [crew.start(lambda lane=lane: lane.run(self.failure, self._lane_failed)) for lane in self.lanes]  # type: ignore[misc]
            encoding = [crew.start(self._encode) for _ in range(plan.workers)]
            reading = [crew.start(lambda: self._read(stop)) for _ in range(plan.readers)]
            tick.wait(reading)
            tick.wait([crew.start(self.reader.close)])
            self.journal.refresh()
            for _ in encoding:
                self.tasks.put(None)
            tick.wait(encoding)
            self.digester.stop()
            if self.blocks is not None:
                self.blocks.stop()
            for lane in self.lanes:
                lane.end()
            whole = self.position == plan.stored_size and not self.failure.stopped
            digests = self.digester.finish() if whole else None
            # The digests that a container holds are of its whole medium; those of a scope are not.
            own = digests if plan.scope is None else DigestSet()
            facts = ClosingFacts(own or DigestSet(), self._filled()) if digests is not None else None
            if whole:
                self.progress.enter("closing the image")
            for lane in self.lanes:
                lane.close(facts)
            tick.wait(writing)
        return self._result(digests)

    def _filled(self) -> tuple[Extent, ...]:
        return self.journal.media_map.extents(ReadStatus.UNREADABLE, ReadStatus.SKIPPED, ReadStatus.NOT_TRIED)

    def _result(self, digests: DigestSet | None) -> PipelineResult:
        error = self.failure.error
        if error is not None and not isinstance(error, (ForensiqError)):
            raise error
        writers = tuple(lane.result() for lane in self.lanes)
        finished = not writers or any(each.manifest is not None for each in writers)
        complete = digests is not None and error is None and finished
        if not complete and error is None:
            lost = next((each.failure for each in writers if each.failure is not None), None)
            error = lost or Interrupted(f"stopped after {self.position:,} of {self.plan.stored_size:,} bytes")
        return PipelineResult(
            complete=complete,
            failure=error,
            position=self.position,
            writers=writers,
            media_map=self.journal.media_map,
            digests=digests if complete else None,
            source_digests=self.digester.marked() if complete and self.plan.padding and not self.plan.scope else None,
            padding=self.plan.padding,
            blocks=self.blocks.finish() if complete and self.blocks is not None else None,
            statistics=self.statistics.result(),
            uniform=self.statistics.uniform,
            reading=self.journal.facts(),
            elapsed_s=monotonic() - self.started,
        )


class _Ticker:
    """What the caller's thread does meanwhile: looks after the run, and turns Ctrl-C into a stop request."""

    def __init__(self, run: _Run, watch: Callable[[], None], stop: threading.Event) -> None:
        self._run = run
        self._watch = watch
        self._stop = stop
        self._due = monotonic() + run.plan.watch_s

    def wait(self, futures: list[Any]) -> None:
        while True:
            try:
                Crew.wait(futures, self._tick)
            except KeyboardInterrupt:
                if self._stop.is_set():
                    self._run.failure.report(Interrupted("stopped at once"))
                self._stop.set()
            else:
                return

    def _tick(self) -> None:
        if self._run.failure.stopped:
            self._run.reader.end()
        if monotonic() >= self._due and not self._run.failure.stopped:
            self._due = monotonic() + self._run.plan.watch_s
            try:
                self._watch()
            except ForensiqError as error:
                self._run.failure.report(error)
