"""A failing drive without a failing drive: replays faults over any source.

For tests, for the demonstration and for training: bad sectors from a map, errors that go away after some tries, slow
areas, a device that vanishes or hangs. It records every read, so that the order of work can be checked.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Mapping

from msgspec import Struct, field

from forensiq import clock
from forensiq.errors import SourceLostError, SourceReadError
from forensiq.model.extent import Extent
from forensiq.model.media_map import MediaMap, ReadStatus
from forensiq.model.source import SourceIdentity
from forensiq.sources.base import Source
from forensiq.streams.closing import Closing

__all__ = ["Faults", "FaultySource", "ReadEvent"]


class ReadEvent(Struct, frozen=True):
    """One read that was asked of the source, in bytes; ``failed`` says whether it ended in an error."""

    offset: int
    length: int
    direct: bool
    failed: bool


class Faults(Struct, frozen=True):
    """What goes wrong, in bytes of the medium.

    ``transient`` maps extents to the number of reads that fail there before they succeed. ``slow`` maps extents to
    seconds that each read touching them takes. The device is gone as soon as a read reaches ``vanish_at_byte``, or
    after ``vanish_after_reads`` reads. A read that touches ``hang_at`` does not return for ``hang_s`` seconds.
    ``unstable`` bytes come back inverted on every second read.
    """

    transient: Mapping[Extent, int] = field(default_factory=dict)
    slow: Mapping[Extent, float] = field(default_factory=dict)
    unstable: tuple[Extent, ...] = ()
    vanish_at_byte: int | None = None
    vanish_after_reads: int | None = None
    hang_at: Extent | None = None
    hang_s: float = 0.0


class FaultySource(Closing):
    """A :class:`~forensiq.sources.base.Source` that fails as told.

    Every range of ``bad`` that is unreadable there fails with its errno (``EIO`` where it has none). ``readahead``
    (bytes) makes buffered reads fail as the kernel's do: a whole aligned unit fails where one sector of it is bad.
    """

    parallel_reads = 1

    def __init__(
        self, source: Source, bad: MediaMap | None = None, faults: Faults | None = None, *, readahead: int = 0
    ) -> None:
        self._source = source
        self._bad = bad if bad is not None else MediaMap(source.size)
        self._faults = faults if faults is not None else Faults()
        self._left = dict(self._faults.transient)
        self._readahead = readahead
        self._lock = threading.Lock()
        self._turns = 0
        self.events: list[ReadEvent] = []

    @property
    def identity(self) -> SourceIdentity:
        """The identity of the source behind it."""
        return self._source.identity

    @property
    def size(self) -> int:
        """Size of the medium in bytes."""
        return self._source.size

    @property
    def sector_size(self) -> int:
        """Logical sector size in bytes."""
        return self._source.sector_size

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Read, or fail as told."""
        return self._read(offset, buffer, direct=False)

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """Read past the (pretended) page cache, or fail as told."""
        return self._read(offset, buffer, direct=True)

    def _read(self, offset: int, buffer: memoryview, *, direct: bool) -> int:
        wanted = Extent.between(offset, min(offset + len(buffer), self.size))
        touched = wanted
        if self._readahead and not direct:
            touched = wanted.aligned_out(self._readahead).intersect(Extent(0, self.size))
        with self._lock:
            self._turns += 1
            turn = self._turns
            code = self._error_in(touched)
            self.events.append(ReadEvent(wanted.offset, wanted.length, direct, code is not None))
        self._wait(touched)
        at, reads = self._faults.vanish_at_byte, self._faults.vanish_after_reads
        if (at is not None and wanted.end > at) or (reads is not None and turn > reads):
            raise SourceLostError("the device is gone", path=self.identity.path, offset=offset, errno=errno.ENODEV)
        if code is not None:
            raise SourceReadError(offset, len(buffer), code)
        count = self._source.read_into(offset, buffer)
        if turn % 2 == 0:
            for each in self._faults.unstable:
                common = each.intersect(wanted)
                part = buffer[common.offset - offset : common.end - offset] if common else buffer[:0]
                part[:] = bytes(value ^ 0xFF for value in part)
        return count

    def _wait(self, touched: Extent) -> None:
        for slow, seconds in self._faults.slow.items():
            if slow.overlaps(touched):
                clock.sleep(seconds)
        if self._faults.hang_at is not None and self._faults.hang_at.overlaps(touched):
            clock.sleep(self._faults.hang_s)

    def _error_in(self, touched: Extent) -> int | None:
        for _, state in self._bad.ranges(ReadStatus.UNREADABLE, within=touched):
            return state.errno or errno.EIO
        for extent, left in self._left.items():
            if left and extent.overlaps(touched):
                self._left[extent] = left - 1
                return errno.EIO
        return None

    def close(self) -> None:
        """Close the source behind it."""
        self._source.close()
