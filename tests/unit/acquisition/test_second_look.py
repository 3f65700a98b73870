"""The second look: sectors that read differently are named, and only these."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiq.acquisition.second_look import SecondLook, look_again
from forensiq.errors import Interrupted, SourceLostError, SourceReadError
from forensiq.model.extent import Extent, merge
from forensiq.model.media_map import READ, MediaMap, RangeStatus, ReadStatus
from forensiq.sources.faulty import FaultySource, ReadEvent
from forensiq.streams.progress import Progress
from tests.support.media import MemorySource, media

UNREADABLE = RangeStatus(ReadStatus.UNREADABLE, 5)


def look(source: FaultySource | MemorySource, stored: bytes, media_map: MediaMap, base: int = 0) -> SecondLook:
    progress = Progress(0)
    found = SecondLook()
    look_again(source, base, MemorySource(stored), media_map, found, progress=progress, stop=threading.Event())
    assert progress.snapshot().done == progress.total
    return found


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(1, 1_300_000),
    changed=st.lists(st.integers(0, 1_299_999), max_size=5),
    unreadable=st.lists(st.integers(0, 2538), max_size=5),
    lost=st.lists(st.integers(0, 2538), max_size=5),
)
def test_exactly_the_sectors_that_differ(size: int, changed: list[int], unreadable: list[int], lost: list[int]) -> None:
    data = media(1_300_000)[:size]
    medium = Extent(0, size)

    def sectors(numbers: list[int]) -> list[Extent]:
        return [each for number in numbers if (each := Extent(number * 512, 512).intersect(medium))]

    again = bytearray(data)
    for position in changed:
        if position < size:
            again[position] ^= 1
    first = MediaMap(size, READ)
    for each in sectors(unreadable):
        first.mark(each, UNREADABLE)
    bad = MediaMap(size, READ)
    for each in sectors(lost):
        bad.mark(each, UNREADABLE)
    found = look(FaultySource(MemorySource(bytes(again)), bad), data, first)
    skip = set(unreadable)
    differ = {position // 512 for position in changed if position < size and again[position] != data[position]}
    gone = {each.offset // 512 for each in sectors(lost)} - skip
    assert tuple(found.lost) == merge(sectors(sorted(gone)))
    assert tuple(found.unstable) == merge(sectors(sorted(differ - skip - gone)))


def test_a_part_of_the_source_is_compared_where_it_lies() -> None:
    data = media(100_000)
    changed = bytearray(data)
    changed[512 * 20 + 7] ^= 1
    found = look(MemorySource(bytes(changed)), data[512 * 10 :], MediaMap(len(data) - 512 * 10, READ), base=512 * 10)
    assert found.unstable == [Extent(512 * 10, 512)]
    assert found.compared == len(data) - 512 * 10


def test_a_stop_request_ends_it() -> None:
    stop = threading.Event()
    stop.set()
    source = MemorySource(b"x" * 512)
    with pytest.raises(Interrupted):
        look_again(source, 0, source, MediaMap(512, READ), SecondLook(), progress=Progress(0), stop=stop)


def test_a_drive_that_is_gone_is_told_from_one_with_bad_sectors() -> None:
    data = media(3_000_000)
    bad = MediaMap(len(data), READ)
    bad.mark(Extent.between(1 << 20, len(data)), UNREADABLE)
    source = FaultySource(MemorySource(data), bad)

    class Gone(FaultySource):
        """Fails everywhere, once it has failed."""

        failing = False

        def read_direct(self, offset: int, buffer: memoryview) -> int:
            self.failing = self.failing or offset >= 1 << 20
            if self.failing:
                self.events.append(ReadEvent(offset, len(buffer), True, True))
                raise SourceReadError(offset, len(buffer), 5)
            return super().read_direct(offset, buffer)

    gone, found = Gone(MemorySource(data)), SecondLook()
    with pytest.raises(SourceLostError, match="fails everywhere"):
        look_again(
            gone, 0, MemorySource(data), MediaMap(len(data), READ), found, progress=Progress(0), stop=threading.Event()
        )
    assert found.compared == 1 << 20
    assert len(gone.events) < 100
    assert look(source, data, MediaMap(len(data), READ)).lost == [Extent.between(1 << 20, len(data))]
