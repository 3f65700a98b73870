"""GNU ddrescue and forensiq on one failing device: the same sectors, maps that agree, no more reads of bad areas."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from forensiq.acquisition.pipeline import run_pipeline
from forensiq.acquisition.plan import plan_acquisition
from forensiq.acquisition.reader import ReadJournal, ReadStrategy
from forensiq.acquisition.rescue import RescueSettings
from forensiq.acquisition.rescue_reader import EarlierRescue, RescueReader, RescueSetup
from forensiq.acquisition.rescue_store import load_map, map_saver
from forensiq.acquisition.result import PipelineResult
from forensiq.errors import SourceLostError
from forensiq.images.raw import RawImage
from forensiq.images.raw_writer import RawWriter
from forensiq.model.extent import Extent
from forensiq.model.media_map import MediaMap, ReadStatus
from forensiq.sources.base import Source
from forensiq.sources.block_device import BlockDeviceSource
from forensiq.sources.expendable import ExpendableSource
from forensiq.streams.progress import Progress
from tests.rig import FaultyDevice, faulty_device, need_tools
from tests.support.media import media

pytestmark = pytest.mark.root

SECTOR = 512
SIZE = 24 << 20
CASES = {
    "single sectors": [Extent(n * SECTOR, SECTOR) for n in (5000, 21000, 40007)],
    "a scratch": [Extent(9000 * SECTOR + n * 64 * 1024, 8 * SECTOR) for n in range(20)],
    "a dead zone": [Extent(16000 * SECTOR, 900 * SECTOR)],
    "first and last": [Extent(0, SECTOR), Extent(SIZE - SECTOR, SECTOR)],
}


def acquire(source: Source, folder: Path, *, retries: int = 0, resume: bool = False, **setup: object) -> PipelineResult:
    folder.mkdir(exist_ok=True)
    plan = plan_acquisition(source, chunk_size=64 << 10, pad_last_sector=False, retries=retries)
    progress, stop = Progress(0), threading.Event()
    writer = RawWriter(folder / "X", source.size)
    if resume:
        writer.resume(0, rescued=True)
        setup["known"] = load_map(folder / "X.rescue.map", source.size)
    else:
        writer.begin()
    made = RescueSetup(
        writer, map_saver(folder / "X.rescue.map"), RescueSettings(retries=retries), stop, **setup  # type: ignore[arg-type]
    )  # fmt: skip

    def strategy(journal: ReadJournal) -> ReadStrategy:
        return RescueReader(source, plan.extent, journal, progress, made)

    return run_pipeline(plan, source, [writer], progress=progress, stop=stop, strategy=strategy)


def ddrescue(device: str, folder: Path, *options: str) -> MediaMap:
    folder.mkdir(exist_ok=True)
    command = ["ddrescue", "-d", "-q", "-r0", *options, device, str(folder / "d.img"), str(folder / "d.map")]
    subprocess.run(command, check=True, capture_output=True)
    return load_map(folder / "d.map", SIZE)


def bad_reads(device: FaultyDevice, bad: list[Extent], since: int) -> int:
    return sum(any(read.overlaps(each) for each in bad) for read in device.reads()[since:])


def filled(disk: Path, bad: list[Extent]) -> bytes:
    expected = bytearray(disk.read_bytes())
    for each in bad:
        expected[each.offset : each.end] = bytes(each.length)
    return bytes(expected)


def first_difference(path: Path, expected: bytes) -> int | None:
    """Return the first sector that differs: a comparison of megabytes as such would be told byte by byte."""
    found = path.read_bytes()
    if found == expected:
        return None
    length = max(len(found), len(expected))
    return next(
        at // SECTOR for at in range(0, length, SECTOR) if found[at : at + SECTOR] != expected[at : at + SECTOR]
    )


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(media(SIZE))
    return path


@pytest.mark.parametrize("name", CASES)
def test_the_same_sectors_are_saved_with_no_more_reads_of_bad_areas(disk: Path, tmp_path: Path, name: str) -> None:
    need_tools("ddrescue")
    bad = CASES[name]
    with faulty_device(disk, tmp_path / "rig", bad=bad) as device:
        theirs = ddrescue(device.path, tmp_path / "d")
        their_reads = len(device.reads())
        their_bad = bad_reads(device, bad, 0)
        with BlockDeviceSource(device.path) as source:
            result = acquire(source, tmp_path / "f")
        our_bad = bad_reads(device, bad, their_reads)
    assert result.complete, result.failure
    assert result.media_map.extents(ReadStatus.UNREADABLE) == theirs.extents(ReadStatus.UNREADABLE)
    # ddrescue leaves a file short that ends in bad sectors.
    theirs_padded = (tmp_path / "d" / "d.img").read_bytes().ljust(SIZE, b"\0")
    assert first_difference(tmp_path / "f" / "X.dd", theirs_padded) is None
    # The first failure comes from reading in order; the kernel may split that large read.
    assert our_bad <= their_bad + max(2, their_bad // 50), f"{our_bad} reads of bad areas, ddrescue {their_bad}"


def test_forensiq_finishes_what_ddrescue_began(disk: Path, tmp_path: Path) -> None:
    need_tools("ddrescue")
    bad = CASES["a scratch"] + CASES["a dead zone"]
    with faulty_device(disk, tmp_path / "rig", bad=bad) as device:
        half = ddrescue(device.path, tmp_path / "d", "--no-trim", "--no-scrape")
        assert half.total(ReadStatus.SKIPPED) > 0
        before = len(device.reads())
        with BlockDeviceSource(device.path) as source, RawImage(tmp_path / "d" / "d.img") as image:
            result = acquire(source, tmp_path / "f", earlier=EarlierRescue(image, half))
        assert result.complete
        read = sum(each.length for each in device.reads()[before:])
        assert read < SIZE / 4
    assert result.media_map.extents(ReadStatus.UNREADABLE) == tuple(sorted(bad))
    assert first_difference(tmp_path / "f" / "X.dd", filled(disk, bad)) is None


def test_a_device_that_vanishes_and_comes_back(disk: Path, tmp_path: Path) -> None:
    bad = CASES["a scratch"]
    with faulty_device(disk, tmp_path / "rig", bad=bad) as device, BlockDeviceSource(device.path) as source:
        reads = 0

        class Vanishing:
            parallel_reads = 1
            size, sector_size, identity = source.size, source.sector_size, source.identity

            def read_direct(self, offset: int, buffer: memoryview) -> int:
                nonlocal reads
                reads += 1
                if reads == 100:
                    device.vanish()
                return source.read_direct(offset, buffer)

            read_into = read_direct

        first = acquire(Vanishing(), tmp_path / "f", at_once=True)  # type: ignore[arg-type]
        assert isinstance(first.failure, SourceLostError)
        assert "fails everywhere" in str(first.failure)
        device.come_back()
        # What was saved so far can be taken up by ddrescue: it agrees with the map and reads only the rest.
        kept = load_map(tmp_path / "f" / "X.rescue.map", SIZE)
        assert kept.total(ReadStatus.READ) > 0
        second = acquire(source, tmp_path / "f", resume=True)
    assert second.complete, second.failure
    assert first_difference(tmp_path / "f" / "X.dd", filled(disk, bad)) is None
    assert second.media_map.extents(ReadStatus.UNREADABLE) == tuple(bad)


def test_ddrescue_finishes_what_forensiq_began(disk: Path, tmp_path: Path) -> None:
    need_tools("ddrescue")
    bad = CASES["a scratch"]
    folder = tmp_path / "f"
    with faulty_device(disk, tmp_path / "rig", bad=bad) as device:
        with BlockDeviceSource(device.path) as source:
            stop = threading.Event()
            plan = plan_acquisition(source, chunk_size=64 << 10, pad_last_sector=False)
            folder.mkdir()
            writer = RawWriter(folder / "X", source.size)
            writer.begin()
            progress = Progress(0)
            made = RescueSetup(
                writer, map_saver(folder / "X.map"), RescueSettings(retries=0), stop, at_once=True
            )  # fmt: skip

            def stopping(journal: ReadJournal) -> ReadStrategy:
                return RescueReader(source, plan.extent, journal, progress, made)

            def watch() -> None:
                if progress.snapshot().done > SIZE // 3:
                    stop.set()

            run_pipeline(
                plan, source, [writer], progress=progress, stop=stop, strategy=stopping,
                on_read_error=lambda _: watch(),
            )  # fmt: skip
        before = len(device.reads())
        kept = load_map(folder / "X.map", SIZE)
        command = ["ddrescue", "-d", "-q", "-r0", device.path, str(folder / "X.dd.part"), str(folder / "X.map")]
        subprocess.run(command, check=True, capture_output=True)
        rest = sum(each.length for each in device.reads()[before:])
    assert 0 < kept.total(ReadStatus.READ) < SIZE
    assert rest <= SIZE - kept.total(ReadStatus.READ) + (4 << 20)
    assert load_map(folder / "X.map", SIZE).extents(ReadStatus.UNREADABLE) == tuple(bad)
    assert first_difference(folder / "X.dd.part", filled(disk, bad)) is None


def test_a_device_that_hangs_is_given_up_and_goes_on_later(disk: Path, tmp_path: Path) -> None:
    hanging = Extent(20000 * SECTOR, 8 * SECTOR)
    with faulty_device(disk, tmp_path / "rig", hanging=[hanging]) as device, BlockDeviceSource(device.path) as plain:
        with ExpendableSource(plain, 1.5) as source:
            first = acquire(source, tmp_path / "f", at_once=True)
        assert isinstance(first.failure, SourceLostError)
        assert "not responding" in str(first.failure)
        assert first.media_map.at(hanging.offset).detail == "hung"
        assert first.media_map.at(hanging.offset).status is ReadStatus.NOT_TRIED
        device.let_go()
        with ExpendableSource(plain, 10) as source:
            second = acquire(source, tmp_path / "f", resume=True)
    assert second.complete, second.failure
    assert first_difference(tmp_path / "f" / "X.dd", disk.read_bytes()) is None
