"""What the media bytes look like, counted in the same pass: zero and constant runs, and a sample of entropy.

Why: a drive that answers with zeros instead of an error gives an image whose digests match and that is empty. These
counts say so; the digests cannot.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from forensiq.acquisition.uniform import UniformMap
from forensiq.model.extent import Extent

__all__ = ["BatchScan", "Run", "StatisticsCollector", "StreamStatistics", "scan", "scan_parts"]

_UNIT = 32 << 10
_SAMPLE = 1 << 10
_HIGH = 7.5  # of 8 bits; random bytes give 7.8 in a sample of 1 KiB, deflated or encrypted data the same
_patterns: dict[int, bytes] = {}


class Run(Struct, frozen=True):
    """Bytes that all have the same value."""

    extent: Extent
    value: int


class BatchScan(Struct, frozen=True):
    """What :func:`scan` saw in one batch; ``runs`` in order, ``entropy`` of a sample in bits per byte."""

    runs: tuple[Run, ...]
    entropy: float


class StreamStatistics(Struct, frozen=True):
    """Counts over the stored medium, in bytes; units of 32 KiB that hold one value count, smaller runs do not.

    ``zero_bytes`` includes zeros that stand for unreadable sectors. ``longest_zero_run`` is ``None`` where there is
    none. ``samples`` were taken of evenly spread places; ``high_entropy_samples`` of them look random, compressed or
    encrypted.
    """

    bytes_seen: int
    zero_bytes: int
    zero_runs: int
    longest_zero_run: Extent | None
    constant_bytes: int
    samples: int
    high_entropy_samples: int
    mean_entropy: float


def scan(offset: int, data: memoryview) -> BatchScan:
    """Look at one batch that starts at byte ``offset`` of the medium."""
    runs: list[Run] = []
    for start in range(0, len(data), _UNIT):
        unit = data[start : start + _UNIT]
        value = unit[0]
        # startswith compares in place (memcmp) and ends at the first difference; == on a memoryview is 50 times slower.
        if (_patterns.get(value) or _pattern(value)).startswith(unit):
            extent = Extent(offset + start, len(unit))
            if runs and runs[-1].value == value and runs[-1].extent.end == extent.offset:
                extent = Extent.between(runs.pop().extent.offset, extent.end)
            runs.append(Run(extent, value))
    middle = max(0, len(data) // 2 - _SAMPLE // 2)
    return BatchScan(tuple(runs), _entropy(data[middle : middle + _SAMPLE]))


def scan_parts(offset: int, data: memoryview, parts: Sequence[Extent]) -> BatchScan:
    """As :func:`scan`, but only of ``parts`` (bytes of the medium, in order): the rest was not read."""
    scans = [scan(part.offset, data[part.offset - offset :][: part.length]) for part in parts]
    middle = scans[len(scans) // 2].entropy if scans else 0.0
    return BatchScan(tuple(run for each in scans for run in each.runs), middle)


def _pattern(value: int) -> bytes:
    return _patterns.setdefault(value, bytes([value]) * _UNIT)


def _entropy(sample: memoryview) -> float:
    size = len(sample)
    return sum(-n / size * math.log2(n / size) for n in Counter(sample).values()) if size else 0.0


class StatisticsCollector:
    """Adds up scans, whatever the order in which they come; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[int, BatchScan]] = {}
        self._next = 0
        self._seen = self._zeros = self._zero_runs = self._constant = self._samples = self._high = 0
        self._entropy = 0.0
        self._open: Extent | None = None
        self._longest: Extent | None = None
        self.uniform = UniformMap()

    def add(self, number: int, length: int, result: BatchScan) -> None:
        """Add the scan of batch ``number`` (from 0, without gaps), ``length`` bytes long."""
        with self._lock:
            self._waiting[number] = (length, result)
            while self._next in self._waiting:
                self._take(*self._waiting.pop(self._next))
                self._next += 1

    def _take(self, length: int, result: BatchScan) -> None:
        if not length:
            return
        self._seen += length
        self._samples += 1
        self._entropy += result.entropy
        self._high += result.entropy >= _HIGH
        for run in result.runs:
            self.uniform.mark(run.extent)
            if run.value:
                self._constant += run.extent.length
                continue
            self._zeros += run.extent.length
            if self._open is not None and self._open.end == run.extent.offset:
                self._open = Extent.between(self._open.offset, run.extent.end)
            else:
                self._open = run.extent
                self._zero_runs += 1
            if self._longest is None or self._open.length > self._longest.length:
                self._longest = self._open

    def result(self) -> StreamStatistics:
        """Return the counts so far."""
        with self._lock:
            return StreamStatistics(
                bytes_seen=self._seen,
                zero_bytes=self._zeros,
                zero_runs=self._zero_runs,
                longest_zero_run=self._longest,
                constant_bytes=self._constant,
                samples=self._samples,
                high_entropy_samples=self._high,
                mean_entropy=round(self._entropy / self._samples, 3) if self._samples else 0.0,
            )
