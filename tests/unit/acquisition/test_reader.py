"""Reading around errors: for every map of bad sectors, every good sector is itself at its own place."""

from __future__ import annotations

import errno

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forensiq.acquisition.reader import LinearReader, ReadJournal
from forensiq.errors import ImageDamageError, SourceLostError
from forensiq.model.extent import Extent, merge
from forensiq.model.media_map import READ, READ_AFTER_RETRY, MediaMap, RangeStatus, ReadStatus
from forensiq.sources.faulty import Faults, FaultySource
from forensiq.streams.progress import Progress
from tests.support.media import MemorySource, media

BATCH = 128 << 10


def read_all(
    source: FaultySource | MemorySource, retries: int = 1, journal: ReadJournal | None = None
) -> tuple[bytes, ReadJournal, Progress]:
    progress = Progress(source.size)
    journal = journal or ReadJournal(MediaMap(source.size), progress)
    reader = LinearReader(source, Extent(0, source.size), retries, journal)
    data = bytearray(b"\xaa" * source.size)
    for piece in Extent(0, source.size).pieces(BATCH):
        reader.read(piece, memoryview(data)[piece.offset : piece.end])
    journal.refresh()
    return bytes(data), journal, progress


def map_of(size: int, bad: list[Extent], code: int = errno.EIO) -> MediaMap:
    result = MediaMap(size, READ)
    for each in bad:
        result.mark(each.intersect(Extent(0, size)), RangeStatus(ReadStatus.UNREADABLE, code))
    return result


@settings(max_examples=150, deadline=None)
@given(
    sector=st.sampled_from([512, 2048, 4096]),
    sectors=st.integers(1, 900),
    tail=st.integers(0, 511),
    bad=st.lists(st.tuples(st.integers(0, 899), st.integers(1, 40)), max_size=12),
    readahead=st.sampled_from([0, 4096, 131072]),
)
@example(sector=512, sectors=30, tail=1, bad=[(0, 31)], readahead=0)
@example(sector=512, sectors=300, tail=0, bad=[(0, 290)], readahead=0)
def test_good_sectors_are_themselves_bad_ones_are_zeros_and_nothing_else(
    sector: int, sectors: int, tail: int, bad: list[tuple[int, int]], readahead: int
) -> None:
    size = sectors * sector + tail
    data = (media(1 << 20) * 4)[:size]
    extents = [Extent(first * sector, count * sector) for first, count in bad if first * sector < size]
    truth = map_of(size, extents)
    source = FaultySource(MemorySource(data, sector), truth, readahead=readahead)
    try:
        got, journal, progress = read_all(source)
    except SourceLostError:
        # Nothing was read before, nor at places all over the medium: it cannot be told from a dead one.
        probes = [size // sector * number // 16 * sector for number in range(16)]
        assert all(truth.at(each).status is ReadStatus.UNREADABLE for each in [0, *probes])
        return
    expected = bytearray(data)
    for each in truth.extents(ReadStatus.UNREADABLE):
        expected[each.offset : each.end] = bytes(each.length)
    assert got == bytes(expected)
    assert journal.media_map == truth
    unreadable = merge(truth.extents(ReadStatus.UNREADABLE))
    shown = progress.snapshot()
    assert shown.unreadable == sum(each.length for each in unreadable)
    assert shown.unreadable_places == len(unreadable)
    assert shown.first_unreadable == (unreadable[0].offset if unreadable else None)


def test_every_bad_sector_is_tried_as_often_as_asked_and_good_ones_once() -> None:
    truth = map_of(1 << 20, [Extent(512 * 1000, 512)])
    source = FaultySource(MemorySource(media(1 << 20)), truth)
    read_all(source, retries=3)
    alone = [event for event in source.events if (event.offset, event.length) == (512 * 1000, 512)]
    assert len(alone) == 4
    assert all(event.direct for event in alone)
    singles = [event for event in source.events if event.length == 512 and event not in alone]
    assert len({event.offset for event in singles}) == len(singles) <= 31


def test_an_error_that_goes_away_is_told_apart_from_one_that_was_none() -> None:
    place = Extent(512 * 100, 512)
    source = FaultySource(MemorySource(media(1 << 20)), faults=Faults(transient={place: 4}))
    data, journal, _ = read_all(source, retries=1)
    assert data == media(1 << 20)
    assert dict(journal.media_map)[place] == READ_AFTER_RETRY
    assert journal.facts().retried_bytes == 512


def test_a_source_that_ends_early_is_lost() -> None:
    class Lying(MemorySource):
        def __init__(self, data: bytes) -> None:
            super().__init__(data)
            self.size = len(data) + 512

    with pytest.raises(SourceLostError, match="ends at byte 1000"):
        read_all(Lying(bytes(1000)))


def test_a_damaged_chunk_of_an_image_is_unreadable() -> None:
    class Damaged(MemorySource):
        def read_into(self, offset: int, buffer: memoryview) -> int:
            if Extent(offset, len(buffer)).overlaps(Extent(32768, 32768)):
                raise ImageDamageError("a chunk is damaged", offset=32768, length=32768, reason="checksum")
            return super().read_into(offset, buffer)

    data, journal, _ = read_all(Damaged(media(1 << 17)))
    assert data == media(1 << 17)[:32768] + bytes(32768) + media(1 << 17)[65536:]
    assert dict(journal.media_map)[Extent(32768, 32768)] == RangeStatus(ReadStatus.UNREADABLE, errno.EBADMSG)


@pytest.mark.parametrize("gone_from", [0, 1 << 20, 1_500_000 // 512 * 512])
def test_a_drive_that_fails_everywhere_is_lost_and_not_called_bad(gone_from: int) -> None:
    class Dying(FaultySource):
        gone = False

        def _error_in(self, touched: Extent) -> int | None:
            self.gone = self.gone or touched.end > gone_from
            return errno.EIO if self.gone else None

    source = Dying(MemorySource(media(4 << 20)))
    journal = ReadJournal(MediaMap(source.size), Progress(0))
    with pytest.raises(SourceLostError, match="fails everywhere"):
        read_all(source, journal=journal)
    assert journal.media_map.total(ReadStatus.UNREADABLE) == 0
    assert journal.media_map.total(ReadStatus.READ) == gone_from // BATCH * BATCH
    assert len([event for event in source.events if event.failed]) < 200


def test_a_long_bad_area_is_no_lost_drive() -> None:
    truth = map_of(2 << 20, [Extent(1 << 19, 1 << 20)])
    data, journal, _ = read_all(FaultySource(MemorySource(media(2 << 20)), truth))
    assert journal.media_map == truth
    assert data[1 << 19 : 3 << 19] == bytes(1 << 20)


def test_a_dead_start_is_no_lost_drive() -> None:
    truth = map_of(2 << 20, [Extent(0, 1 << 20)])
    _, journal, _ = read_all(FaultySource(MemorySource(media(2 << 20)), truth))
    assert journal.media_map == truth
