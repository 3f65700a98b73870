"""Rates and the time that is left, out of what the counters said at several moments. No clock and no threads here."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

__all__ = ["RateMeter"]


class RateMeter:
    """Remembers the last ``window`` seconds of counters.

    ``moment`` is in seconds of any clock that does not go back; counters are bytes and do not go back within a phase.
    """

    def __init__(self, window: float = 15.0) -> None:
        self._window = window
        self._samples: deque[tuple[float, int, dict[str, int]]] = deque()

    def add(self, moment: float, done: int, stages: Mapping[str, int]) -> None:
        """Note the counters at ``moment``; counters that went back start a new measurement."""
        if self._samples and done < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((moment, done, dict(stages)))
        while len(self._samples) > 2 and moment - self._samples[1][0] >= self._window:
            self._samples.popleft()

    @property
    def rate(self) -> float | None:
        """Bytes per second lately; ``None`` while there is nothing to tell."""
        span = self._span()
        return (self._samples[-1][1] - self._samples[0][1]) / span if span else None

    def stage_rates(self) -> dict[str, float]:
        """Return bytes per second lately for each stage, in the order of the stages."""
        span = self._span()
        if not span:
            return {}
        first = self._samples[0][2]
        return {stage: (count - first.get(stage, 0)) / span for stage, count in self._samples[-1][2].items()}

    def seconds_left(self, total: int | None) -> float | None:
        """Return how long the rest takes at the rate of late; ``None`` where that cannot be told."""
        rate = self.rate
        if total is None or not rate:
            return None
        return max(0, total - self._samples[-1][1]) / rate

    def _span(self) -> float:
        return self._samples[-1][0] - self._samples[0][0] if len(self._samples) > 1 else 0.0
