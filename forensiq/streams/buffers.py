"""A fixed number of reusable, page-aligned buffers: they are the memory bound of every pipeline."""

from __future__ import annotations

import mmap
import threading
from collections import deque

from forensiq.streams.failure import FirstFailure

__all__ = ["Buffer", "BufferPool"]


class Buffer:
    """One page-aligned piece of memory (fit for ``O_DIRECT``), owned by whoever holds a reference.

    It starts with one reference; :meth:`retain` adds some, :meth:`release` takes one away. At zero it goes back to the
    pool, and nobody may touch ``memory`` (or a view of it) any more.
    """

    __slots__ = ("_lock", "_map", "_pool", "_references", "memory")

    def __init__(self, pool: BufferPool, size: int) -> None:
        self._pool = pool
        self._map = mmap.mmap(-1, size)
        self.memory = memoryview(self._map)
        self._references = 0
        self._lock = threading.Lock()

    def retain(self, count: int = 1) -> None:
        """Add ``count`` references."""
        with self._lock:
            self._references += count

    def release(self) -> None:
        """Give one reference back."""
        with self._lock:
            self._references -= 1
            last = self._references == 0
        if last:
            self._pool._put(self)


class BufferPool:
    """``count`` buffers of ``size`` bytes; whoever wants one waits until one is free: that is the back-pressure."""

    def __init__(self, count: int, size: int, failure: FirstFailure) -> None:
        self.size = size
        self._failure = failure
        self._free: deque[Buffer] = deque(Buffer(self, size) for _ in range(count))
        self._available = threading.Semaphore(count)

    def take(self) -> Buffer | None:
        """Return a buffer with one reference; ``None`` as soon as something failed."""
        while not self._failure.stopped:
            if self._available.acquire(timeout=0.25):
                buffer = self._free.popleft()
                buffer.retain()
                return buffer
        return None

    def _put(self, buffer: Buffer) -> None:
        self._free.append(buffer)
        self._available.release()
