"""The way from encoded batches to the destinations: each destination has a thread and its own fate."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from forensiq.acquisition.result import WriterResult
from forensiq.errors import DestinationError, DestinationExistsError
from forensiq.images.base import ImageWriter
from forensiq.model.image import ClosingFacts, ImageManifest
from forensiq.streams.buffers import Buffer
from forensiq.streams.failure import FirstFailure
from forensiq.streams.progress import Progress

__all__ = ["Item", "WriterLane"]


class Item:
    """One encoded batch on its way; ``encoded`` is ``None`` where this lane's writer has it already.

    ``counted`` is what it adds to the progress: fewer bytes than it has, where part of them is not taken.
    """

    __slots__ = ("buffer", "counted", "encoded", "length", "number", "offset")

    def __init__(self, number: int, offset: int, length: int, encoded: object, buffer: Buffer, counted: int) -> None:
        self.number = number
        self.offset = offset
        self.length = length
        self.encoded = encoded
        self.buffer = buffer
        self.counted = counted


class WriterLane:
    """Puts batches back in order and writes them.

    An error of the destination ends this lane only: it lets go of every later buffer, so that the others go on.
    ``start`` is the byte of the medium from which on the writer needs data (the rest it has from an earlier sitting).
    """

    def __init__(self, writer: ImageWriter[Any], start: int, stage: str, progress: Progress) -> None:
        self.writer = writer
        self.start = start
        self.stage = stage
        self._progress = progress
        self._inbox: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._closing: Future[ClosingFacts | None] = Future()
        self._written = start
        self._failure: DestinationError | DestinationExistsError | None = None
        self._manifest: ImageManifest | None = None

    @property
    def failure(self) -> DestinationError | DestinationExistsError | None:
        """What ended this lane early."""
        return self._failure

    def put(self, item: Item) -> None:
        """Write ``item`` when its turn comes; its buffer is released once for this lane."""
        self._inbox.put(item)

    def end(self) -> None:
        """No more items come; :meth:`close` has to follow."""
        self._inbox.put(None)

    def close(self, facts: ClosingFacts | None) -> None:
        """Finish the image with ``facts``; without them, suspend it."""
        self._closing.set_result(facts)

    def result(self) -> WriterResult:
        """Return what became of the destination, after the thread has ended."""
        return WriterResult(self._manifest, self._failure, self._written)

    def run(self, failure: FirstFailure, report: Callable[[WriterLane], None]) -> None:
        """The thread's work: write, then finish or suspend. ``report`` is called when the destination fails."""
        waiting: dict[int, Item] = {}
        turn = 0
        while (item := self._inbox.get()) is not None:
            waiting[item.number] = item
            while (next_item := waiting.pop(turn, None)) is not None:
                turn += 1
                self._write(next_item, failure, report)
            del item, next_item
        facts = self._closing.result()
        try:
            if facts is not None and self._failure is None:
                self._manifest = self.writer.finish(facts)
                return
        except (DestinationError, DestinationExistsError) as error:
            self._failure = error
        with contextlib.suppress(
            DestinationError, DestinationExistsError
        ):  # the first error of a destination is the one that is reported
            self.writer.suspend()

    def _write(self, item: Item, failure: FirstFailure, report: Callable[[WriterLane], None]) -> None:
        try:
            if self._failure is None and not failure.stopped:
                if item.offset >= self.start:
                    self.writer.write(item.encoded)
                    self._written = item.offset + item.length
                self._progress.add(self.stage, item.counted)
        except (DestinationError, DestinationExistsError) as error:
            self._failure = error
            report(self)
        finally:
            item.encoded = None
            item.buffer.release()
