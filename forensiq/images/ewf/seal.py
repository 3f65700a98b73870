"""A thread behind the writer: hashes each segment as it is in the file, then makes it durable and closes it.

The descriptor of a ``sectors`` section is written after its chunks, so a digest cannot be taken from the stream; each
finished section is read back instead, out of the page cache while the next one is being written.
"""

from __future__ import annotations

import queue
import threading

from forensiq.errors import DestinationError, ForensiqError
from forensiq.images.ewf.segment_file import SegmentFile

__all__ = ["Sealer"]

READ_SIZE = 1024 * 1024


class Sealer:
    """Finishes segments in the background; the first error is kept and raised by :meth:`raise_failure`."""

    def __init__(self, *, hash_segments: bool) -> None:
        self._hash_segments = hash_segments
        self._jobs: queue.SimpleQueue[tuple[SegmentFile, int, bool] | None] = queue.SimpleQueue()
        self._failure: DestinationError | None = None
        self._cancelled = False
        self._ended_in_order = False
        self._thread: threading.Thread | None = None

    def hash_complete(self, segment: SegmentFile) -> None:
        """Hash the sections of ``segment`` that are complete; it stays open."""
        if self._hash_segments and segment.complete > segment.announced:
            self._put(segment, last=False)

    def seal(self, segment: SegmentFile) -> None:
        """Hash the rest of ``segment``, make it durable and close it."""
        self._put(segment, last=True)

    def raise_failure(self) -> None:
        """Raise the first error of the thread, if there was one."""
        if self._failure is not None:
            raise self._failure

    def wait(self) -> None:
        """Return when all of it is done; raise the first error of it."""
        started = self._thread is not None
        self._stop()
        self.raise_failure()
        if started and not self._ended_in_order:
            raise ForensiqError("the thread that makes segments durable ended early")

    def cancel(self) -> None:
        """Stop as soon as possible, leaving files open and unsynced; raises nothing. May follow :meth:`wait`."""
        self._cancelled = True
        self._stop()

    def _put(self, segment: SegmentFile, *, last: bool) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ewf-seal", daemon=True)
            self._thread.start()
        segment.announced = segment.complete
        self._jobs.put((segment, segment.complete, last))

    def _stop(self) -> None:
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        buffer = memoryview(bytearray(READ_SIZE))
        while (job := self._jobs.get()) is not None:
            segment, end, last = job
            if self._cancelled or self._failure is not None:
                continue
            try:
                if self._hash_segments:
                    self._hash(segment, end, buffer)
                if last:
                    segment.output.sync()
                    segment.output.close()
            except DestinationError as error:
                self._failure = error
        self._ended_in_order = True

    def _hash(self, segment: SegmentFile, end: int, buffer: memoryview) -> None:
        while segment.hashed < end and not self._cancelled:
            wanted = buffer[: min(READ_SIZE, end - segment.hashed)]
            count = segment.output.read_into(segment.hashed, wanted)
            if not count:
                raise DestinationError(
                    f"{segment.output.path} became shorter while it was being written",
                    path=str(segment.output.path),
                    size=segment.hashed,
                    expected=end,
                )
            segment.sha256.update(wanted[:count])
            segment.hashed += count
        segment.output.release_cache(segment.hashed)
