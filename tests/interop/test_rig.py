"""The fault rig does what it says: a test on it proves nothing else."""

from __future__ import annotations

import errno
import mmap
import os
import threading
from pathlib import Path

import pytest

from forensiq.clock import monotonic
from forensiq.model.extent import Extent
from tests.rig import faulty_device, loop_device

pytestmark = pytest.mark.root

_SECTOR = 512


def _disk(path: Path, sectors: int) -> Path:
    path.write_bytes(b"".join(number.to_bytes(4, "big") * (_SECTOR // 4) for number in range(sectors)))
    return path


def _read(path: str, sector: int, *, direct: bool = True) -> int | None:
    """Return the number that stands in a sector, ``None`` where it could not be read."""
    descriptor = os.open(path, os.O_RDONLY | (os.O_DIRECT if direct else 0))
    try:
        with mmap.mmap(-1, 4096) as memory, memoryview(memory) as view, view[:_SECTOR] as piece:
            try:
                os.preadv(descriptor, [piece], sector * _SECTOR)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                return None
            return int.from_bytes(piece[:4], "big")
    finally:
        os.close(descriptor)


def test_only_the_bad_sectors_fail_and_only_direct_reads_see_single_ones(tmp_path: Path) -> None:
    disk = _disk(tmp_path / "disk.raw", 64)
    with faulty_device(disk, tmp_path / "rig", bad=[Extent(9 * _SECTOR, _SECTOR)]) as device:
        assert [n for n in range(64) if _read(device.path, n) != n] == [9]
        assert _read(device.path, 10, direct=False) is None
        assert Extent(9 * _SECTOR, _SECTOR) in device.reads()


def test_a_transient_error_goes_away(tmp_path: Path) -> None:
    disk = _disk(tmp_path / "disk.raw", 64)
    with faulty_device(disk, tmp_path / "rig", transient=[Extent(8 * _SECTOR, _SECTOR)], failures=2) as device:
        assert [_read(device.path, 8) for _ in range(4)] == [None, None, 8, 8]


def test_a_device_that_vanishes_comes_back(tmp_path: Path) -> None:
    disk = _disk(tmp_path / "disk.raw", 64)
    with faulty_device(disk, tmp_path / "rig") as device:
        assert _read(device.path, 3) == 3
        device.vanish()
        assert _read(device.path, 3) is None
        device.come_back()
        assert _read(device.path, 3) == 3


def test_slow_and_hanging_areas(tmp_path: Path) -> None:
    disk = _disk(tmp_path / "disk.raw", 64)
    slow, hanging = Extent(8 * _SECTOR, _SECTOR), Extent(16 * _SECTOR, _SECTOR)
    with faulty_device(disk, tmp_path / "rig", slow=[slow], delay_s=0.3, hanging=[hanging]) as device:
        start = monotonic()
        assert _read(device.path, 8) == 8
        assert monotonic() - start >= 0.3
        seen: list[int | None] = []
        reader = threading.Thread(target=lambda: seen.append(_read(device.path, 16)))
        reader.start()
        reader.join(0.3)
        assert reader.is_alive()
        device.let_go()
        reader.join(10)
        assert seen == [16]


def test_a_loop_device_is_made_anew_and_removed(tmp_path: Path) -> None:
    disk = _disk(tmp_path / "disk.raw", 64)
    with loop_device(disk, read_only=True) as device:
        assert device.is_read_only()
        backing = Path("/sys/block", Path(device.path).name, "loop/backing_file")
        assert backing.read_text().strip() == str(disk)
    assert not backing.exists() or backing.read_text().strip() != str(disk)
    with loop_device(disk) as device:
        assert not device.is_read_only()
