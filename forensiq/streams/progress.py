"""Plain counters that the threads of a run bump and that a view polls. Nobody waits for anybody."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import Struct

from forensiq.clock import monotonic

__all__ = ["Progress", "ProgressSnapshot"]


class ProgressSnapshot(Struct, frozen=True):
    """The counters at one moment. Bytes of the medium, but for ``elapsed_s``.

    ``stages`` has the bytes that each stage has finished, in their order; ``done`` is the smallest.
    ``unreadable`` counts bytes, ``unreadable_places`` ranges; ``first_unreadable`` is the offset of the first one.
    """

    phase: str
    total: int
    done: int
    position: int
    stages: Mapping[str, int]
    unreadable: int
    unreadable_places: int
    first_unreadable: int | None
    elapsed_s: float


class Progress:
    """Counters of one run; safe to bump from any thread.

    ``phase`` is a word or two for people (``copying``, ``trimming``, ``closing the image``); ``position`` is the byte
    of the medium that is being worked on.
    """

    def __init__(self, total: int, stages: Sequence[str] = ()) -> None:
        self.total = total
        self.phase = ""
        self.position = 0
        self._lock = threading.Lock()
        self._stages = dict.fromkeys(stages, 0)
        self._outer: dict[str, int] = {}
        self._unreadable = 0
        self._places = 0
        self._first: int | None = None
        self._last_end = -1
        self._start = monotonic()

    def begin(self, phase: str, total: int, stages: Sequence[str]) -> None:
        """Start anew: another phase of work, with its own total and stages; what is unreadable is kept."""
        with self._lock:
            self.phase, self.total, self.position = phase, total, 0
            self._stages = dict.fromkeys(stages, 0)
            self._start = monotonic()

    def enter(self, phase: str) -> None:
        """Show another phase, of unknown length (``total`` 0) and with a new start; the stages go on counting."""
        with self._lock:
            self.phase, self.total, self._start = phase, 0, monotonic()

    def add(self, stage: str, count: int) -> None:
        """``stage`` has finished ``count`` more bytes."""
        with self._lock:
            stages = self._outer if stage in self._outer else self._stages
            stages[stage] += count

    @contextmanager
    def nested(self, phase: str, total: int, stage: str) -> Iterator[None]:
        """Show other work, of one ``stage``, while this lasts; the stages of the work around it count on unseen."""
        with self._lock:
            outer = (self.phase, self.total, self._start)
            self._outer, self._stages = self._stages, {stage: 0}
            self.phase, self.total, self._start = phase, total, monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._stages, self._outer = self._outer, {}
                self.phase, self.total, self._start = outer

    def add_unreadable(self, offset: int, length: int) -> None:
        """Another range turned out to be unreadable; one that follows the last one at once is the same place."""
        with self._lock:
            self._unreadable += length
            self._places += offset != self._last_end
            self._last_end = offset + length
            self._first = offset if self._first is None else min(self._first, offset)

    def set_unreadable(self, total: int, places: int, first: int | None) -> None:
        """Say what is known to be unreadable by now: bytes, ranges, offset of the first."""
        with self._lock:
            self._unreadable, self._places, self._first = total, places, first

    def snapshot(self) -> ProgressSnapshot:
        """Return the counters as they are now."""
        with self._lock:
            return ProgressSnapshot(
                phase=self.phase,
                total=self.total,
                done=min(self._stages.values(), default=0),
                position=self.position,
                stages=dict(self._stages),
                unreadable=self._unreadable,
                unreadable_places=self._places,
                first_unreadable=self._first,
                elapsed_s=monotonic() - self._start,
            )
