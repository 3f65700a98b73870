"""One thread for each hash algorithm: digests of a stream in order, while other stages work on the same buffers."""

from __future__ import annotations

import hashlib
import queue
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Protocol, Self

import blake3

from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.streams.buffers import Buffer
from forensiq.streams.crew import Crew
from forensiq.streams.failure import FirstFailure

__all__ = ["Digester", "Hasher", "new_hasher"]


class Hasher(Protocol):
    """What hashlib and blake3 share."""

    def update(self, data: memoryview | bytes, /) -> object: ...

    def hexdigest(self) -> str: ...

    def copy(self) -> Self: ...


def new_hasher(algorithm: HashAlgorithm) -> Hasher:
    """Return a fresh hasher that releases the GIL for large updates."""
    if algorithm is HashAlgorithm.BLAKE3:
        return blake3.blake3()
    return hashlib.new(algorithm.value, usedforsecurity=False)


class _Lane:
    """One algorithm: its hasher, its queue and, where asked for, the digest at a mark."""

    def __init__(self, algorithm: HashAlgorithm) -> None:
        self.algorithm = algorithm
        self.hasher = new_hasher(algorithm)
        self.pieces: queue.SimpleQueue[tuple[Buffer | None, memoryview] | None] = queue.SimpleQueue()
        self.at_mark: str | None = None


_MARK = memoryview(b"")


class Digester:
    """Hashes pieces in the order in which they are fed, one thread for each algorithm.

    :meth:`feed` takes its own references on the buffer and gives them back when the piece is hashed. Queues need no
    bound of their own: the buffers are bounded. A failing hasher fails the run. ``done`` is called with the bytes of
    each piece when the slowest algorithm, as far as can be told, has hashed it: it is called by the first one.
    """

    def __init__(
        self, algorithms: Iterable[HashAlgorithm], failure: FirstFailure, done: Callable[[int], None] | None = None
    ) -> None:
        self._failure = failure
        self._lanes = [_Lane(algorithm) for algorithm in algorithms]
        self._crew = Crew(failure, max(1, len(self._lanes)))
        self._threads: list[Future[None]] = [
            self._crew.start(lambda lane=lane, tell=done if not index else None: self._run(lane, tell))  # type: ignore[misc]
            for index, lane in enumerate(self._lanes)
        ]
        self._ended = False

    def feed(self, buffer: Buffer, data: memoryview) -> None:
        """Hash ``data``, a view into ``buffer``, next."""
        if self._lanes:
            buffer.retain(len(self._lanes))
        for lane in self._lanes:
            lane.pieces.put((buffer, data))

    def mark(self) -> None:
        """Keep the digests of everything fed so far, for :meth:`marked`."""
        for lane in self._lanes:
            lane.pieces.put((None, _MARK))

    def finish(self) -> DigestSet:
        """Wait until everything fed is hashed and return the digests; the first error of the run, if there was one."""
        self.stop()
        self._failure.raise_if_any()
        return DigestSet.of({lane.algorithm: lane.hasher.hexdigest() for lane in self._lanes})

    def marked(self) -> DigestSet:
        """Return the digests at the mark; only after :meth:`finish`."""
        return DigestSet.of({lane.algorithm: lane.at_mark for lane in self._lanes if lane.at_mark is not None})

    def stop(self) -> None:
        """End the threads after what was fed; may be called twice."""
        if not self._ended:
            self._ended = True
            for lane in self._lanes:
                lane.pieces.put(None)
            self._crew.close()

    def _run(self, lane: _Lane, done: Callable[[int], None] | None) -> None:
        while (piece := lane.pieces.get()) is not None:
            buffer, data = piece
            if buffer is None:
                lane.at_mark = lane.hasher.copy().hexdigest()
                continue
            try:
                if not self._failure.stopped:
                    lane.hasher.update(data)
                    if done is not None:
                        done(len(data))
            finally:
                del data, piece
                buffer.release()
