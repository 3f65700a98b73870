"""One thread for each hash algorithm: digests of a stream in order, while other stages work on the same buffers."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterable
from typing import Protocol

import blake3

from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.streams.buffers import Buffer
from forensiq.streams.failure import FirstFailure

__all__ = ["Digester", "Hasher", "new_hasher"]


class Hasher(Protocol):
    """What hashlib and blake3 share."""

    def update(self, data: memoryview | bytes, /) -> object: ...

    def hexdigest(self) -> str: ...


def new_hasher(algorithm: HashAlgorithm) -> Hasher:
    """Return a fresh hasher that releases the GIL for large updates."""
    if algorithm is HashAlgorithm.BLAKE3:
        return blake3.blake3()
    return hashlib.new(algorithm.value, usedforsecurity=False)


class Digester:
    """Hashes pieces in the order in which they are fed, one thread for each algorithm.

    :meth:`feed` takes its own references on the buffer and gives them back when the piece is hashed. Queues need no
    bound of their own: the buffers are bounded. A failing hasher aborts the run.
    """

    def __init__(self, algorithms: Iterable[HashAlgorithm], failure: FirstFailure) -> None:
        self._failure = failure
        self._hashers = {algorithm: new_hasher(algorithm) for algorithm in algorithms}
        self._queues: list[queue.SimpleQueue[tuple[Buffer, memoryview] | None]] = []
        self._threads: list[threading.Thread] = []
        for algorithm, hasher in self._hashers.items():
            pieces: queue.SimpleQueue[tuple[Buffer, memoryview] | None] = queue.SimpleQueue()
            thread = threading.Thread(
                target=self._run, args=(hasher, pieces), name=f"digest-{algorithm.value}", daemon=True
            )
            self._queues.append(pieces)
            self._threads.append(thread)
            thread.start()

    def feed(self, buffer: Buffer, data: memoryview) -> None:
        """Hash ``data``, a view into ``buffer``, next."""
        buffer.retain(len(self._queues))
        for pieces in self._queues:
            pieces.put((buffer, data))

    def finish(self) -> DigestSet:
        """Wait until everything fed is hashed and return the digests; the first error of the run, if there was one."""
        self.stop()
        self._failure.raise_if_any()
        return DigestSet.of({algorithm: hasher.hexdigest() for algorithm, hasher in self._hashers.items()})

    def stop(self) -> None:
        """End the threads after what was fed; may be called twice."""
        for pieces in self._queues:
            pieces.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self, hasher: Hasher, pieces: queue.SimpleQueue[tuple[Buffer, memoryview] | None]) -> None:
        while (piece := pieces.get()) is not None:
            buffer, data = piece
            try:
                if not self._failure.stopped:
                    hasher.update(data)
            except (ValueError, BufferError, MemoryError) as error:
                self._failure.report(error)
            finally:
                del data
                buffer.release()
