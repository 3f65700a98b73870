"""What became of every byte of a medium: the map that an acquisition fills."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from enum import Enum

from msgspec import Struct

from forensiq.model.extent import Extent

__all__ = ["NOT_TRIED", "READ", "READ_AFTER_RETRY", "SKIPPED_BY_SCOPE", "MediaMap", "RangeStatus", "ReadStatus"]


class ReadStatus(Enum):
    """The states of a byte of the medium."""

    READ = "read"
    READ_AFTER_RETRY = "read_after_retry"
    UNREADABLE = "unreadable"
    SKIPPED = "skipped"
    NOT_TRIED = "not_tried"
    SKIPPED_BY_SCOPE = "skipped_by_scope"
    """Left out on purpose: nobody asked for it, nothing was read there, and nothing is known of it."""


class RangeStatus(Struct, frozen=True):
    """A :class:`ReadStatus` and what explains it.

    ``errno`` is the system's error number, for unreadable and skipped ranges where it is known.
    ``detail`` is one word for skipped ranges: ``untrimmed``, ``unscraped``, ``slow``; and ``hung`` for a
    range that counts as not tried because a read of it did not return.
    """

    status: ReadStatus
    errno: int | None = None
    detail: str | None = None

    @property
    def is_data(self) -> bool:
        """Whether the bytes came from the medium."""
        return self.status in (ReadStatus.READ, ReadStatus.READ_AFTER_RETRY)


READ = RangeStatus(ReadStatus.READ)
READ_AFTER_RETRY = RangeStatus(ReadStatus.READ_AFTER_RETRY)
NOT_TRIED = RangeStatus(ReadStatus.NOT_TRIED)
SKIPPED_BY_SCOPE = RangeStatus(ReadStatus.SKIPPED_BY_SCOPE)


class MediaMap:
    """Every byte of ``0 <= b < size`` has exactly one status; neighbours with equal status are one range.

    Not safe to change from two threads at once.
    """

    def __init__(self, size: int, initial: RangeStatus = NOT_TRIED) -> None:
        if size < 0:
            raise ValueError("a medium cannot have a negative size")
        self._size = size
        self._starts: list[int] = [0] if size else []
        self._states: list[RangeStatus] = [initial] if size else []

    @property
    def size(self) -> int:
        """Size of the medium in bytes."""
        return self._size

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MediaMap):
            return NotImplemented
        return (self._size, self._starts, self._states) == (other._size, other._starts, other._states)

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[tuple[Extent, RangeStatus]]:
        """Yield all ranges in order; do not change the map while iterating."""
        for index, start in enumerate(self._starts):
            yield Extent.between(start, self._end(index)), self._states[index]

    def _end(self, index: int) -> int:
        return self._starts[index + 1] if index + 1 < len(self._starts) else self._size

    def copy(self) -> MediaMap:
        """Return an independent map with the same ranges."""
        twin = MediaMap(self._size)
        twin._starts, twin._states = list(self._starts), list(self._states)
        return twin

    def part(self, window: Extent) -> MediaMap:
        """Return the map of ``window`` alone, counted from its start; what lies outside this map was not tried."""
        result = MediaMap(window.length)
        for extent, state in self.ranges(within=window):
            result.mark(extent.shifted(-window.offset), state)
        return result

    def moved(self, distance: int) -> MediaMap:
        """Return this map ``distance`` bytes further on, behind as many that were not tried."""
        result = MediaMap(distance + self._size)
        for extent, state in self:
            result.mark(extent.shifted(distance), state)
        return result

    def at(self, position: int) -> RangeStatus:
        """Return the status of one byte; ``IndexError`` outside the medium."""
        if not 0 <= position < self._size:
            raise IndexError(position)
        return self._states[bisect_right(self._starts, position) - 1]

    def mark(self, extent: Extent, state: RangeStatus) -> None:
        """Give every byte of ``extent`` the status ``state``; ``ValueError`` where it leaves the medium."""
        if extent.end > self._size:
            raise ValueError(f"{extent} is outside a medium of {self._size} bytes")
        if not extent:
            return
        first = bisect_right(self._starts, extent.offset) - 1
        last = bisect_right(self._starts, extent.end - 1) - 1
        if first == last:
            if self._states[first] == state:
                return
            if self._moves_border(first, extent, state):
                return
        starts: list[int] = []
        states: list[RangeStatus] = []
        if self._starts[first] < extent.offset:
            starts.append(self._starts[first])
            states.append(self._states[first])
        starts.append(extent.offset)
        states.append(state)
        if extent.end < self._end(last):
            starts.append(extent.end)
            states.append(self._states[last])
        # Join with the neighbours, and inside the new piece.
        low, high = first, last + 1
        if low > 0:
            low -= 1
            starts.insert(0, self._starts[low])
            states.insert(0, self._states[low])
        if high < len(self._starts):
            starts.append(self._starts[high])
            states.append(self._states[high])
            high += 1
        joined_starts: list[int] = []
        joined_states: list[RangeStatus] = []
        for start, each in zip(starts, states, strict=True):
            if not joined_states or joined_states[-1] != each:
                joined_starts.append(start)
                joined_states.append(each)
        self._starts[low:high] = joined_starts
        self._states[low:high] = joined_states

    def _moves_border(self, index: int, extent: Extent, state: RangeStatus) -> bool:
        """Mark an end of range ``index`` that touches a neighbour with ``state``: what nearly every read does."""
        starts, states = self._starts, self._states
        if extent.offset == starts[index] and extent.end < self._end(index) and index and states[index - 1] == state:
            starts[index] = extent.end
            return True
        behind = index + 1
        if behind == len(starts) or starts[behind] != extent.end or states[behind] != state:
            return False
        if extent.offset > starts[index]:
            starts[behind] = extent.offset
            return True
        return False

    def ranges(self, *statuses: ReadStatus, within: Extent | None = None) -> Iterator[tuple[Extent, RangeStatus]]:
        """Yield the ranges with one of ``statuses`` (all, if none is named), cut to ``within``."""
        window = within if within is not None else Extent(0, self._size)
        index = max(0, bisect_right(self._starts, window.offset) - 1)
        while index < len(self._starts) and self._starts[index] < window.end:
            part = Extent.between(self._starts[index], self._end(index)).intersect(window)
            state = self._states[index]
            if part and (not statuses or state.status in statuses):
                yield part, state
            index += 1

    def ranges_backward(self, *statuses: ReadStatus, within: Extent) -> Iterator[tuple[Extent, RangeStatus]]:
        """As :meth:`ranges`, from the end of ``within`` to its start."""
        index = bisect_right(self._starts, within.end - 1) - 1 if within else -1
        while index >= 0 and self._end(index) > within.offset:
            part = Extent.between(self._starts[index], self._end(index)).intersect(within)
            state = self._states[index]
            if part and (not statuses or state.status in statuses):
                yield part, state
            index -= 1

    def extents(self, *statuses: ReadStatus) -> tuple[Extent, ...]:
        """Return the ranges with one of ``statuses``, those that touch joined, whatever their errno."""
        result: list[Extent] = []
        for extent, _ in self.ranges(*statuses):
            if result and result[-1].end == extent.offset:
                result[-1] = Extent.between(result[-1].offset, extent.end)
            else:
                result.append(extent)
        return tuple(result)

    def total(self, *statuses: ReadStatus) -> int:
        """Return how many bytes have one of ``statuses``."""
        return sum(extent.length for extent, _ in self.ranges(*statuses))
