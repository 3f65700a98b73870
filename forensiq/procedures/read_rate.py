"""How fast the medium was read over its length: a bounded number of samples, taken while it is read."""

from __future__ import annotations

from msgspec import Struct

from forensiq.model.records import RateSample
from forensiq.streams.progress import ProgressSnapshot

__all__ = ["MOST_SAMPLES", "ReadRate"]

MOST_SAMPLES = 512
_RESCUE = "rescue"


class _Span(Struct, frozen=True):
    end: int
    read: int
    seconds: float


class ReadRate:
    """Samples of the read rate. :meth:`sample` is called now and then with the counters of the run.

    Where there are too many samples, neighbours become one with the rate of both. ``start`` is the byte of the medium
    at which this sitting begins to read; what is counted before it comes from what earlier sittings stored. A rescue
    reads the rest of the medium in passes: what its first pass skips counts as bytes that were not read, and what the
    run takes from the store of the rescue afterwards is not counted again.
    """

    def __init__(self, start: int = 0, *, most: int = MOST_SAMPLES) -> None:
        self._start = self._end = start
        self._most = most
        self._spans: list[_Span] = []
        self._phase = ""
        self._count = 0
        self._at = 0.0

    def sample(self, now: ProgressSnapshot) -> None:
        """Note how far the medium is read; time in which nothing moved counts for what follows."""
        rescuing = now.phase.startswith(_RESCUE)
        if self._phase and not rescuing:
            return
        count = now.stages.get(_RESCUE if rescuing else "read", 0)
        position = now.position if rescuing else count
        if (rescuing and not self._phase) or position <= self._start:
            # A rescue begins with its own clock and counts what is known by then; stored bytes are not read again.
            self._phase, self._count, self._at = now.phase if rescuing else "", count, now.elapsed_s
            return
        if position > self._end and now.elapsed_s > self._at:
            self._spans.append(_Span(position, count - self._count, now.elapsed_s - self._at))
            self._end, self._count, self._at = position, count, now.elapsed_s
            self._thin_out()

    def _thin_out(self) -> None:
        if len(self._spans) > self._most:
            pairs = (self._spans[at : at + 2] for at in range(0, len(self._spans), 2))
            self._spans = [
                _Span(pair[-1].end, sum(each.read for each in pair), sum(each.seconds for each in pair))
                for pair in pairs
            ]

    @property
    def samples(self) -> tuple[RateSample, ...]:
        """What was noted, in the order of the medium; the rates to a tenth of a byte in a second."""
        return tuple(
            RateSample(
                each.end,
                round(each.read / each.seconds, 1),
                start=self._start if self._start and not number else None,
            )
            for number, each in enumerate(self._spans)
        )
