"""The rescue: what it gets, in which order it works, and that no interruption loses anything."""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Generator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from forensiq.acquisition.map_keeper import MapKeeper
from forensiq.acquisition.pipeline import ResumePoint, run_pipeline
from forensiq.acquisition.plan import plan_acquisition
from forensiq.acquisition.reader import HUNG, HUNG_AGAIN, LinearReader, ReadJournal, ReadStrategy
from forensiq.acquisition.rescue import Fetch, RescueSettings, Stage
from forensiq.acquisition.rescue_reader import EarlierRescue, RescueReader, RescueSetup
from forensiq.acquisition.rescue_store import RescueStore, load_map, load_rescue, map_saver, retries_made
from forensiq.acquisition.result import PipelineResult
from forensiq.errors import DestinationError, DestinationExistsError, Interrupted, SourceLostError
from forensiq.images.clone import CloneTarget, CloneWriter
from forensiq.images.output import FileCalls
from forensiq.images.raw_writer import RawWriter
from forensiq.model.digest import HashAlgorithm
from forensiq.model.extent import Extent, merge
from forensiq.model.media_map import READ, MediaMap, RangeStatus, ReadStatus
from forensiq.sources.faulty import Faults, FaultySource, ReadEvent
from forensiq.streams.progress import Progress
from tests.support.media import MemorySource, MemoryWriter, media

SECTOR = 512
CLUSTER = 8 * SECTOR


class Unsynced(FileCalls):
    def fsync(self, descriptor: int) -> None:
        return None


def map_of(size: int, bad: list[Extent], code: int = errno.EIO) -> MediaMap:
    result = MediaMap(size, READ)
    for each in bad:
        result.mark(each.intersect(Extent(0, size)), RangeStatus(ReadStatus.UNREADABLE, code))
    return result


def filled(data: bytes, bad: tuple[Extent, ...]) -> bytes:
    result = bytearray(data)
    for each in bad:
        result[each.offset : each.end] = bytes(each.length)
    return bytes(result)


def acquire(
    source: FaultySource,
    folder: Path,
    writer: Any,
    *,
    resume: ResumePoint | None = None,
    target: Any = None,
    retries: int = 1,
    stop: threading.Event | None = None,
    **setup: Any,
) -> PipelineResult:
    plan = plan_acquisition(
        source, chunk_size=4096, pad_last_sector=False, retries=retries, block_hash_size=None, workers=1,
        algorithms=(HashAlgorithm.SHA256,),
    )  # fmt: skip
    progress = Progress(0)
    stop = stop or threading.Event()
    store = target or RescueStore(folder / "X.rescue.part", calls=Unsynced(), resume=bool(setup.get("known")))
    settings_of = setup.pop("settings", RescueSettings(retries=retries, cluster=CLUSTER))
    save = setup.pop("save", None) or map_saver(folder / "X.rescue.map")

    def strategy(journal: ReadJournal) -> ReadStrategy:
        made = RescueSetup(store, save, settings_of, stop, **setup)
        return RescueReader(source, plan.extent, journal, progress, made)

    return run_pipeline(plan, source, [writer], progress=progress, stop=stop, strategy=strategy, resume=resume)


def no_save(*_: object) -> None:
    return None


bad_maps = st.lists(st.tuples(st.integers(0, 799), st.integers(1, 60)), max_size=10)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sectors=st.integers(1, 800), tail=st.integers(0, 511), bad=bad_maps, at_once=st.booleans(),
    kind=st.sampled_from(["store", "raw", "clone to a new file", "clone over old data"]), retries=st.integers(0, 2),
)  # fmt: skip
def test_every_readable_sector_is_itself_every_other_one_is_filled_and_listed(
    tmp_path: Path, sectors: int, tail: int, bad: list[tuple[int, int]], kind: str, at_once: bool, retries: int
) -> None:
    size = sectors * SECTOR + tail
    data = media(420_000)[:size]
    extents = [Extent(first * SECTOR, count * SECTOR) for first, count in bad if first * SECTOR < size]
    truth = map_of(size, extents)
    unreadable = merge(truth.extents(ReadStatus.UNREADABLE))
    assume(truth.total(ReadStatus.READ))
    source = FaultySource(MemorySource(data), truth)
    folder = tmp_path / hashlib.sha256(repr((sectors, tail, bad, kind, at_once, retries)).encode()).hexdigest()
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    writer: Any = MemoryWriter()
    if kind == "raw":
        writer = RawWriter(folder / "X", size, calls=Unsynced())
    elif kind != "store":
        if kind == "clone over old data":
            (folder / "X.dd").write_bytes(b"\xa5" * size)
        target = CloneTarget(folder / "X.dd", in_place=kind == "clone over old data")
        writer = CloneWriter(target, size, calls=Unsynced())
    in_place = kind != "store"
    if in_place:
        writer.begin()
    result = acquire(
        source, folder, writer, target=writer if in_place else None, retries=retries, at_once=at_once, save=no_save
    )
    assert result.complete, result.failure
    expected = filled(data, unreadable)
    assert ((folder / "X.dd").read_bytes() if in_place else bytes(writer.stored)) == expected
    assert result.media_map == truth
    assert result.digests is not None
    assert result.digests[HashAlgorithm.SHA256] == hashlib.sha256(expected).hexdigest()
    # Nobody tries a bad sector alone more than once, and once more for each retry; but for the first read of all, and
    # for the 16 places where a drive is asked whether it gives anything, when nothing was read yet.
    tries: dict[int, int] = {}
    for event in source.events:
        if event.length <= SECTOR and event.failed:
            tries[event.offset] = tries.get(event.offset, 0) + 1
    assert sum(count - (1 + retries) for count in tries.values()) <= 17
    assert all(count <= 3 + retries for count in tries.values())


def test_the_order_of_work_is_that_of_a_rescue(tmp_path: Path) -> None:
    size = 4 << 20
    bad = [Extent(600 * SECTOR, 40 * SECTOR), Extent(5000 * SECTOR, SECTOR)]
    truth = map_of(size, bad)
    source = FaultySource(MemorySource(media(size)), truth)
    result = acquire(source, tmp_path, MemoryWriter(), retries=2, at_once=True)
    assert result.complete
    singles = [number for number, event in enumerate(source.events) if event.length == SECTOR]
    copying, rest = source.events[: singles[0]], source.events[singles[0] :]
    # Copying: large reads only; all good clusters are read before any single sector is tried.
    untouched = [cluster for cluster in Extent(0, size).pieces(CLUSTER) if not any(cluster.overlaps(b) for b in bad)]
    read = merge(Extent(event.offset, event.length) for event in copying if not event.failed)
    assert all(any(piece.covers(cluster) for piece in read) for cluster in untouched)
    # The first pass jumps out of the bad area: after its first error there it goes on behind more than one cluster.
    first = next(number for number, event in enumerate(copying) if event.failed)
    assert copying[first].offset == 600 * SECTOR // CLUSTER * CLUSTER
    assert copying[first + 1].offset >= copying[first].offset + 2 * CLUSTER
    # A pass comes back from the other end.
    assert any(b.offset < a.offset for a, b in pairwise(copying))
    # Then single sectors: trimming stops at the first bad one from each end, scraping does the rest, then the retries.
    assert all(event.length == SECTOR for event in rest)
    fails = [event.offset // SECTOR for event in rest if event.failed]
    for sector in [*range(600, 640), 5000]:
        assert fails.count(sector) == 3
    last = fails[-41:]
    assert last == sorted(last)  # the last retry runs forward: what lies behind it is final
    assert fails[-82:-41] == sorted(last, reverse=True)
    trimmed = fails[:2]
    assert set(trimmed) == {600, 639}


def test_skips_grow_while_errors_go_on(tmp_path: Path) -> None:
    size = 32 << 20
    source = FaultySource(MemorySource(bytes(size)), map_of(size, [Extent(1 << 20, 2 << 20)]))
    settings_of = RescueSettings(retries=0, cluster=CLUSTER)
    acquire(source, tmp_path, MemoryWriter(), retries=0, at_once=True, settings=settings_of)
    first_pass = [event for event in source.events if event.failed][:12]
    jumps = [b.offset - a.offset for a, b in pairwise(first_pass)]
    assert jumps[:4] == [2 * CLUSTER, 3 * CLUSTER, 5 * CLUSTER, 9 * CLUSTER]


def test_a_healthy_drive_is_read_in_order_and_makes_no_store(tmp_path: Path) -> None:
    data = media(12 << 20)
    source = FaultySource(MemorySource(data))
    writer = MemoryWriter()
    result = acquire(source, tmp_path, writer)
    assert bytes(writer.stored) == data
    assert not list(tmp_path.iterdir())
    assert [event.offset for event in source.events] == [n << 20 for n in range(12)]
    assert result.reading.strategy == "in order"


class Order:
    """Reads as a parser would, then asks for places."""

    statement = "as the test wants it"

    def __init__(self, reads: list[Extent], stages: list[Stage]) -> None:
        self.reads = reads
        self.stages = stages
        self.got: list[bytes | None] = []

    def __call__(self, fetch: Fetch) -> Generator[Stage, None, None]:
        self.got += [fetch(each.offset, each.length) for each in self.reads]
        yield from self.stages


def test_what_the_order_of_work_asks_for_comes_first_and_nothing_is_read_twice(tmp_path: Path) -> None:
    data = media(1 << 20)
    places = [Extent(220 * CLUSTER, 2 * CLUSTER), Extent(100 * CLUSTER, CLUSTER)]
    reads = [Extent(50 * CLUSTER + 7, 30), Extent(50 * CLUSTER - 3, 600)]
    order = Order(reads, [Stage((each,)) for each in places])
    source = FaultySource(MemorySource(data))
    writer = MemoryWriter()
    settings_of = RescueSettings(cluster=CLUSTER, order=order)
    result = acquire(source, tmp_path, writer, at_once=True, settings=settings_of)
    assert result.complete
    assert bytes(writer.stored) == data
    assert order.got == [data[each.offset : each.end] for each in reads]
    first = [event.offset // CLUSTER for event in source.events[:5]]
    assert first == [50, 49, 220, 221, 100]
    assert sum(event.length for event in source.events) == len(data)
    assert result.reading.strategy == "rescue from byte 0 on; as the test wants it"


def test_the_order_of_work_gets_the_good_sectors_beside_a_bad_one(tmp_path: Path) -> None:
    data = media(1 << 20)
    bad = [Extent(50 * CLUSTER + 3 * SECTOR, SECTOR)]
    inside = Extent(50 * CLUSTER, CLUSTER)
    reads = [Extent(inside.offset + 4 * SECTOR, 2 * SECTOR), inside, Extent(inside.offset, SECTOR)]
    order = Order(reads, [Stage((inside,), at_any_cost=True)])
    truth = map_of(len(data), bad)
    writer = MemoryWriter()
    settings_of = RescueSettings(cluster=CLUSTER, order=order, retries=0)
    result = acquire(FaultySource(MemorySource(data), truth), tmp_path, writer, at_once=True, settings=settings_of)
    assert result.complete
    assert result.media_map == truth
    assert bytes(writer.stored) == filled(data, tuple(bad))
    assert order.got == [data[reads[0].offset : reads[0].end], None, data[inside.offset : inside.offset + SECTOR]]


def test_a_skip_reaches_over_the_places_of_a_stage(tmp_path: Path) -> None:
    data = media(1 << 20)
    bad = [Extent(40 * CLUSTER, 60 * CLUSTER)]
    stage = Stage(tuple(Extent(number * CLUSTER, CLUSTER) for number in range(0, 200, 2)))
    source = FaultySource(MemorySource(data), map_of(len(data), bad))
    writer = MemoryWriter()
    settings_of = RescueSettings(cluster=CLUSTER, order=Order([], [stage]), retries=0)
    assert acquire(source, tmp_path, writer, at_once=True, settings=settings_of).complete
    assert bytes(writer.stored) == filled(data, tuple(bad))
    last = next(number for number, event in enumerate(source.events) if event.offset == 198 * CLUSTER)
    assert sum(event.failed for event in source.events[:last]) <= 6  # of the 30 places in the bad area


def test_slow_areas_are_left_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensiq.acquisition.rescue._SLOW_S", 0.01)
    data = media(1 << 20)
    slow = Extent(200 * SECTOR, 400 * SECTOR)
    source = FaultySource(MemorySource(data), faults=Faults(slow={slow: 0.02}))
    writer = MemoryWriter()
    assert acquire(source, tmp_path, writer, at_once=True).complete
    assert bytes(writer.stored) == data
    touched = [number for number, event in enumerate(source.events) if slow.offset <= event.offset < slow.end]
    healthy = [number for number, event in enumerate(source.events) if event.offset >= slow.end]
    assert touched[0] < healthy[0] < touched[-1]
    assert len([number for number in touched if number < healthy[0]]) < len(touched) / 3


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("reads", [3, 40, 90, 130, 150, 200])
def test_a_drive_that_vanishes_in_a_rescue_goes_on_where_it_was(tmp_path: Path, raw: bool, reads: int) -> None:
    size = 1 << 20
    data = media(size, seed=reads)
    truth = map_of(size, [Extent(300 * SECTOR, 5 * SECTOR), Extent(1500 * SECTOR, 20 * SECTOR)])
    expected = filled(data, truth.extents(ReadStatus.UNREADABLE))
    dying = FaultySource(MemorySource(data), truth, Faults(vanish_after_reads=reads))
    writer: Any = RawWriter(tmp_path / "X", size) if raw else MemoryWriter()
    writer.begin()
    first = acquire(dying, tmp_path, writer, target=writer if raw else None, at_once=True)
    assert isinstance(first.failure, SourceLostError)
    saved = load_map(tmp_path / "X.rescue.map", size)
    assert saved == first.media_map
    got = saved.total(ReadStatus.READ)

    again: Any = RawWriter(tmp_path / "X", size) if raw else MemoryWriter()
    if raw:
        again.resume(0, rescued=True)
    back = FaultySource(MemorySource(data), truth)
    second = acquire(back, tmp_path, again, target=again if raw else None, known=saved)
    assert second.complete
    assert ((tmp_path / "X.dd").read_bytes() if raw else bytes(again.stored)) == expected
    assert second.media_map == truth
    read_again = sum(event.length for event in back.events if not event.failed)
    assert read_again == truth.total(ReadStatus.READ) - got


def test_a_stop_request_in_a_rescue_saves_its_state(tmp_path: Path) -> None:
    size = 1 << 20
    stop = threading.Event()

    class Stopping(FaultySource):
        def read_direct(self, offset: int, buffer: memoryview) -> int:
            if len(self.events) == 50:
                stop.set()
            return super().read_direct(offset, buffer)

    source = Stopping(MemorySource(media(size)), map_of(size, [Extent(0, SECTOR)]))
    result = acquire(source, tmp_path, MemoryWriter(), stop=stop)
    assert isinstance(result.failure, Interrupted)
    assert load_map(tmp_path / "X.rescue.map", size) == result.media_map
    assert result.media_map.total(ReadStatus.READ) > 0


def test_a_rescue_begun_with_ddrescue_is_finished_and_its_files_stay_as_they_are(tmp_path: Path) -> None:
    size = 1 << 20
    data = media(size)
    truth = map_of(size, [Extent(300 * SECTOR, 5 * SECTOR)])
    expected = filled(data, truth.extents(ReadStatus.UNREADABLE))
    mapfile = (
        "# Mapfile. Created by GNU ddrescue version 1.27\n"
        "0x00025800     *               1\n"
        "0x00000000  0x00025000  +\n"
        "0x00025000  0x00010000  *\n"
        "0x00035000  0x00080000  +\n"
        f"0x000B5000  0x{size - 0xB5000:08X}  ?\n"
    )
    (tmp_path / "other.map").write_text(mapfile)
    known = load_map(tmp_path / "other.map", size)
    image = bytearray(size)
    for part in known.extents(ReadStatus.READ):
        image[part.offset : part.end] = data[part.offset : part.end]
    source = FaultySource(MemorySource(data), truth)
    writer = MemoryWriter()
    result = acquire(source, tmp_path, writer, earlier=EarlierRescue(MemorySource(bytes(image)), known))
    assert result.complete
    assert bytes(writer.stored) == expected
    assert result.media_map == truth
    asked = merge(Extent(event.offset, event.length) for event in source.events)
    assert not any(piece.overlaps(part) for piece in asked for part in known.extents(ReadStatus.READ))
    ours = load_map(tmp_path / "X.rescue.map", size)  # claims only what is in our own store
    assert not any(ours.at(part.offset).is_data for part in known.extents(ReadStatus.READ))


def test_a_store_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "X.rescue.part").write_bytes(b"precious")
    with pytest.raises(DestinationExistsError):
        RescueStore(tmp_path / "X.rescue.part")


def test_without_room_for_a_store_the_medium_is_read_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RescueStore, "room", lambda _: 1000)
    size = 1 << 20
    data = media(size)
    truth = map_of(size, [Extent(300 * SECTOR, 5 * SECTOR)])
    source = FaultySource(MemorySource(data), truth)
    writer = MemoryWriter()
    result = acquire(source, tmp_path, writer)
    assert result.complete
    assert bytes(writer.stored) == filled(data, truth.extents(ReadStatus.UNREADABLE))
    assert result.media_map == truth
    assert result.reading.strategy.startswith("in order: 1000 bytes are too little")


def test_stale_bytes_of_a_torn_sitting_never_stand_for_an_unreadable_sector(tmp_path: Path) -> None:
    size = 1 << 20
    data = media(size)
    truth = map_of(size, [Extent(300 * SECTOR, 5 * SECTOR)])
    # The sitting before stored bytes that its map does not know of: it was killed before the map was saved.
    (tmp_path / "X.rescue.part").write_bytes(b"\xee" * size)
    source = FaultySource(MemorySource(data), truth)
    writer = MemoryWriter()
    result = acquire(source, tmp_path, writer, known=MediaMap(size))
    assert result.complete
    assert bytes(writer.stored) == filled(data, truth.extents(ReadStatus.UNREADABLE))


class Hanging(FaultySource):
    """Stops answering where a read touches ``places``, as a drive behind an ``ExpendableSource`` does."""

    def __init__(self, data: bytes, truth: MediaMap, places: list[Extent]) -> None:
        super().__init__(MemorySource(data), truth)
        self.places = places
        self.hung: list[Extent] = []

    def _read(self, offset: int, buffer: memoryview, *, direct: bool) -> int:
        wanted = Extent(offset, len(buffer))
        if self.hung or any(place.overlaps(wanted) for place in self.places):
            self.hung.append(wanted)
            raise SourceLostError("the drive is not responding", offset=offset, timeout_s=1.0)
        return super()._read(offset, buffer, direct=direct)


@pytest.mark.parametrize("room", [True, False])
def test_where_a_drive_hangs_is_read_last_and_given_up_after_the_second_time(
    tmp_path: Path, room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not room:
        monkeypatch.setattr(RescueStore, "room", lambda _: 1000)
    size = 4 << 20
    data = media(size)
    bad = [Extent(7000 * SECTOR, 4 * SECTOR)]
    truth = map_of(size, bad)
    place = Extent(2500 * SECTOR, SECTOR)
    sittings: list[PipelineResult] = []
    sources: list[Hanging] = []
    while not sittings or not sittings[-1].complete:
        assert len(sittings) < 3, [str(each.failure) for each in sittings]
        source = Hanging(data, truth, [place])
        known = load_map(tmp_path / "X.rescue.map", size) if (tmp_path / "X.rescue.map").exists() else None
        hung = list(sittings[-1].media_map) if sittings and known is None else []
        writer = MemoryWriter()
        result = acquire(
            source, tmp_path, writer, known=known, hung=[(e, s) for e, s in hung if s in (HUNG, HUNG_AGAIN)]
        )
        sittings.append(result)
        sources.append(source)
        assert len(source.hung) <= 1, "no read is sent to a drive that does not answer"
    final = sittings[-1].media_map
    lost = [part for part, state in final.ranges(ReadStatus.UNREADABLE) if state.errno == errno.ETIMEDOUT]
    assert len(lost) == 1
    assert lost[0].covers(place)
    assert final.at(bad[0].offset).errno == errno.EIO
    assert bytes(writer.stored) == filled(data, (lost[0], *bad))
    assert lost[0].length <= (CLUSTER if room else 64 << 10)
    assert len(sittings) == 3
    assert [len(each.hung) for each in sources] == [1, 1, 0]
    if room:
        # The second sitting has done everything else, the bad sectors too, before it goes back there.
        done = sittings[1].media_map
        assert done.total(ReadStatus.READ) >= size - (1 << 20) - bad[0].length
        assert done.extents(ReadStatus.UNREADABLE) == tuple(bad)


def test_a_slow_area_does_not_hide_where_the_drive_hung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensiq.acquisition.rescue._SLOW_S", 0.01)
    size = 1 << 20
    slow = Extent(200 * SECTOR, 400 * SECTOR)
    place = Extent(CLUSTER * 40, CLUSTER)  # in what is skipped
    known = MediaMap(size)
    known.mark(place, HUNG)
    source = FaultySource(MemorySource(media(size)), faults=Faults(slow={slow: 0.02}))
    (tmp_path / "X.rescue.part").write_bytes(b"")
    assert acquire(source, tmp_path, MemoryWriter(), known=known).complete
    assert source.events[-1].offset == place.offset


def test_retries_that_were_made_are_not_made_again(tmp_path: Path) -> None:
    size = 1 << 20
    truth = map_of(size, [Extent(300 * SECTOR, 5 * SECTOR)])
    assert acquire(FaultySource(MemorySource(media(size)), truth), tmp_path, MemoryWriter(), retries=2).complete
    known, state = load_rescue(tmp_path / "X.rescue.map", size)
    assert retries_made(state) == 2
    for retries, reads in ((2, 0), (3, 5)):
        again = FaultySource(MemorySource(media(size)), truth)
        settings_of = RescueSettings(retries=retries, retried=2, cluster=CLUSTER)
        assert acquire(again, tmp_path, MemoryWriter(), known=known, settings=settings_of).complete
        assert len(again.events) == reads


@pytest.mark.parametrize("kind", ["store", "raw"])
@pytest.mark.parametrize("left", ["nothing", "half"])
def test_a_store_that_is_not_what_its_map_says_is_never_taken_for_zeros(tmp_path: Path, kind: str, left: str) -> None:
    size = 1 << 20
    # The end is zeros: a hole that no write would have made long enough.
    data = media(size)[: size // 2] + bytes(size // 2)
    truth = map_of(size, [Extent(300 * SECTOR, 5 * SECTOR)])
    stop = threading.Event()

    class Stopping(FaultySource):
        def read_direct(self, offset: int, buffer: memoryview) -> int:
            if offset >= 305 * SECTOR and len(buffer) == SECTOR:
                stop.set()
            return super().read_direct(offset, buffer)

    def writer() -> Any:
        return RawWriter(tmp_path / "X", size) if kind == "raw" else MemoryWriter()

    first = writer()
    first.begin()
    target = first if kind == "raw" else None
    assert not acquire(
        Stopping(MemorySource(data), truth), tmp_path, first, target=target, at_once=True, stop=stop
    ).complete
    known = load_map(tmp_path / "X.rescue.map", size)
    path = tmp_path / ("X.dd.part" if kind == "raw" else "X.rescue.part")
    assert path.stat().st_size >= max(part.end for part, _ in known.ranges(ReadStatus.READ))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if left == "half" else b"")
    again = writer()
    if kind == "raw":
        again.resume(0, rescued=True)
    result = acquire(
        FaultySource(MemorySource(data), truth), tmp_path, again, target=again if kind == "raw" else None, known=known
    )
    assert isinstance(result.failure, DestinationError)
    assert "not there any more" in str(result.failure)
    # With the file back, it goes on.
    path.write_bytes(content)
    again = writer()
    if kind == "raw":
        again.resume(0, rescued=True)
    target = again if kind == "raw" else None
    assert acquire(FaultySource(MemorySource(data), truth), tmp_path, again, target=target, known=known).complete
    stored = (tmp_path / "X.dd").read_bytes() if kind == "raw" else bytes(again.stored)
    assert stored == filled(data, truth.extents(ReadStatus.UNREADABLE))


def test_a_store_longer_than_a_file_may_be_is_not_begun(tmp_path: Path) -> None:
    size = 1 << 20
    truth = map_of(size, [Extent(300 * SECTOR, 5 * SECTOR)])
    store = RescueStore(tmp_path / "X.rescue.part", largest=size // 2)
    result = acquire(FaultySource(MemorySource(media(size)), truth), tmp_path, MemoryWriter(), target=store)
    assert result.complete
    assert result.reading.strategy.startswith(f"in order: {size // 2} bytes are too little")
    assert not (tmp_path / "X.rescue.part").exists()


def in_the_order_of_a_rescue(events: list[ReadEvent], bad: list[Extent], size: int) -> bool:
    """Say whether reads came as in a rescue: what can be had with large reads first, single sectors after all of that.

    One bad area is left by jumping, not by reading on sector after sector.
    """
    small = [number for number, event in enumerate(events) if event.length <= SECTOR]
    first = small[0] if small else len(events)
    had = merge(Extent(event.offset, event.length) for event in events[:first] if not event.failed)
    clean = [each for each in Extent(0, size).pieces(CLUSTER) if not any(each.overlaps(b) for b in bad)]
    jumped = all(b.offset != a.offset + a.length for a, b in pairwise(events[:first]) if a.failed and b.failed)
    return jumped and all(any(part.covers(each) for part in had) for each in clean)


def test_a_single_pass_with_retries_would_be_noticed(tmp_path: Path) -> None:
    size = 2 << 20
    bad = [Extent(600 * SECTOR, 40 * SECTOR), Extent(3000 * SECTOR, SECTOR)]
    truth = map_of(size, bad)
    seen: dict[str, list[ReadEvent]] = {}
    for name in ("rescue", "single pass"):
        source = FaultySource(MemorySource(media(size)), truth)
        plan = plan_acquisition(source, chunk_size=4096, pad_last_sector=False, retries=2, block_hash_size=None)
        if name == "rescue":
            assert acquire(source, tmp_path, MemoryWriter(), retries=2, at_once=True).complete
        else:
            assert run_pipeline(
                plan, source, [MemoryWriter()], progress=Progress(0),
                strategy=lambda journal, s=source, p=plan: LinearReader(s, p.extent, 2, journal),  # type: ignore[misc]
            ).complete  # fmt: skip
        seen[name] = source.events
    assert in_the_order_of_a_rescue(seen["rescue"], bad, size)
    assert not in_the_order_of_a_rescue(seen["single pass"], bad, size)


class Watched(FaultySource):
    """Waits at its last retry until the writer has got what lies before it."""

    def __init__(self, data: bytes, truth: MediaMap, at: Extent, reads: int, reached: threading.Event) -> None:
        super().__init__(MemorySource(data), truth)
        self.at = at
        self.reads = reads
        self.reached = reached
        self.in_time: bool | None = None

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        if Extent(offset, len(buffer)) == self.at:
            self.reads -= 1
            if not self.reads:
                self.in_time = self.reached.wait(20)
        return super().read_direct(offset, buffer)


@pytest.mark.parametrize(("retries", "reads"), [(0, 2), (1, 3), (2, 4)])
def test_what_is_final_is_stored_while_the_last_pass_goes_on(
    tmp_path: Path, retries: int, reads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forensiq.acquisition.rescue._SETTLING_S", 0.0)
    size = 16 << 20
    data = media(size)
    first, last = Extent(300 * SECTOR, 3 * SECTOR), Extent(size - 700 * SECTOR, 3 * SECTOR)
    truth = map_of(size, [first, last])
    reached = threading.Event()

    class Writer(MemoryWriter):
        def write(self, encoded: bytes) -> None:
            super().write(encoded)
            if len(self.stored) >= 8 << 20:
                reached.set()

    writer = Writer()
    # The sector in the middle of the last bad area is read when it is scraped, and at each retry.
    middle = Extent(last.offset + SECTOR, SECTOR)
    source = Watched(data, truth, middle, reads - 1, reached)
    result = acquire(source, tmp_path, writer, retries=retries, at_once=True)
    assert result.complete, result.failure
    assert source.in_time is True, "nothing was stored before the last pass had ended"
    assert bytes(writer.stored) == filled(data, (first, last))
    assert result.media_map == truth


def test_a_destination_that_fails_meanwhile_ends_the_rescue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensiq.acquisition.rescue._SETTLING_S", 0.0)
    size = 16 << 20
    truth = map_of(size, [Extent(300 * SECTOR, 3 * SECTOR), Extent(size - 200 * SECTOR, 100 * SECTOR)])
    slow = Faults(slow={Extent(size - 200 * SECTOR, 100 * SECTOR): 0.01})
    source = FaultySource(MemorySource(media(size)), truth, slow)
    result = acquire(source, tmp_path, MemoryWriter(full_at=1 << 20), retries=1, at_once=True)
    assert isinstance(result.failure, DestinationError)
    retried = sum(event.failed and event.offset >= size - 200 * SECTOR for event in source.events)
    assert retried < 190, "the rescue went on although nobody could store anything any more"
    known = load_map(tmp_path / "X.rescue.map", size)
    assert known.total(ReadStatus.READ) == size - 103 * SECTOR
    again = FaultySource(MemorySource(media(size)), truth)
    writer = MemoryWriter()
    assert acquire(again, tmp_path, writer, known=known, retries=0).complete
    assert bytes(writer.stored) == filled(media(size), truth.extents(ReadStatus.UNREADABLE))
    assert not again.events


def test_the_map_is_saved_before_fill_is_handed_over_and_not_again_for_what_it_tells(tmp_path: Path) -> None:
    size = 1 << 20
    truth = map_of(size, [Extent(300 * SECTOR, 3 * SECTOR), Extent(1500 * SECTOR, SECTOR)])
    source = FaultySource(MemorySource(media(size)), truth)
    journal = ReadJournal(MediaMap(size), Progress(0))
    saved: list[MediaMap] = []
    keeper = MapKeeper(LinearReader(source, Extent(0, size), 0, journal), journal, saved.append)
    buffer = memoryview(bytearray(256 << 10))
    counts = []
    for piece in Extent(0, size).pieces(256 << 10):
        keeper.read(piece, buffer)
        counts.append(len(saved))
    assert counts == [1, 1, 2, 2]
    assert saved[-1].extents(ReadStatus.UNREADABLE) == truth.extents(ReadStatus.UNREADABLE)
    keeper.read(Extent(256 << 10, 256 << 10), buffer)
    assert len(saved) == 2
