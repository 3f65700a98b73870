"""The block device source on real devices, healthy and failing."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensiq.errors import SourceLostError, SourceReadError, UsageError
from forensiq.model.extent import Extent
from forensiq.sources.block_device import BlockDeviceSource
from tests.rig import LoopDevice, faulty_device, loop_device

pytestmark = pytest.mark.root

_SIZE = 5 * (1 << 20) + 512


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(random.Random(1).randbytes(_SIZE))
    return path


@pytest.fixture
def device(disk: Path) -> Iterator[LoopDevice]:
    with loop_device(disk, read_only=True) as device:
        yield device


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, 4096),
        (0, _SIZE),
        (1, 1),
        (511, 2),
        (4095, 8193),
        (_SIZE - 512, 512),
        (_SIZE - 512, 4096),
        (_SIZE - 1, 10),
        (_SIZE, 10),
        (_SIZE + 5, 10),
        (0, 0),
    ],
)
def test_any_range_at_any_place(device: LoopDevice, direct: bool, offset: int, length: int) -> None:
    expected = device.file.read_bytes()[offset : offset + length]
    with BlockDeviceSource(device.path) as source:
        buffer = bytearray(length + 1)
        view = memoryview(buffer)[1:]  # as badly aligned as it can be
        read = source.read_direct if direct else source.read_into
        assert read(offset, view) == len(expected)
        assert bytes(view[: len(expected)]) == expected


def test_direct_mode_reads_the_same(device: LoopDevice) -> None:
    with BlockDeviceSource(device.path, direct=True) as source:
        buffer = bytearray(_SIZE)
        assert source.read_into(0, memoryview(buffer)) == _SIZE
        assert bytes(buffer) == device.file.read_bytes()


def test_what_is_known_of_it(device: LoopDevice) -> None:
    with BlockDeviceSource(device.path) as source:
        assert (source.size, source.sector_size, source.parallel_reads) == (_SIZE, 512, 1)
        assert source.identity.path == device.path
        assert source.identity.bus == "loop"


def test_a_partition_is_a_source_too(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(random.Random(2).randbytes(8 << 20))
    table = "label: gpt\nstart=2048,size=4096\n"
    subprocess.run(["sfdisk", "-q", str(path)], input=table, text=True, check=True, capture_output=True)
    with loop_device(path, partitions=True) as device, BlockDeviceSource(device.partitions[0]) as source:
        buffer = bytearray(source.size)
        assert source.read_into(0, memoryview(buffer)) == 4096 * 512
        assert bytes(buffer) == path.read_bytes()[1 << 20 : (1 << 20) + 4096 * 512]


def test_sectors_of_4096_bytes(disk: Path) -> None:
    with disk.open("r+b") as file:
        file.truncate(1 << 20)
    with loop_device(disk, sector_size=4096) as device, BlockDeviceSource(device.path) as source:
        assert source.sector_size == 4096
        buffer = bytearray(100)
        assert source.read_direct(5000, memoryview(buffer)) == 100
        assert bytes(buffer) == disk.read_bytes()[5000:5100]


def test_the_page_cache_is_given_back_behind_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "big.raw"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    with loop_device(path, read_only=True) as device, BlockDeviceSource(device.path) as source:
        buffer = memoryview(bytearray(1 << 20))
        for offset in range(0, source.size, len(buffer)):
            source.read_into(offset, buffer)
        assert 0 < _cached(device.path, source.size) <= 70 << 20


def _cached(path: str, size: int) -> int:
    """Return how many bytes of a device are in the page cache: mincore(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    descriptor = os.open(path, os.O_RDONLY)
    try:
        address = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
        pages = (ctypes.c_ubyte * (size // mmap.PAGESIZE))()
        assert libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), pages) == 0
        libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
    finally:
        os.close(descriptor)
    return sum(page & 1 for page in pages) * mmap.PAGESIZE


def test_direct_reads_save_the_neighbours_of_a_bad_sector(tmp_path: Path, disk: Path) -> None:
    bad = Extent(100 * 512, 512)
    with faulty_device(disk, tmp_path / "rig", bad=[bad]) as device, BlockDeviceSource(device.path) as source:
        buffer = memoryview(bytearray(512))
        with pytest.raises(SourceReadError):
            source.read_into(101 * 512, buffer)
        for sector in (98, 99, 101, 102):
            assert source.read_direct(sector * 512, buffer) == 512
            assert bytes(buffer) == disk.read_bytes()[sector * 512 : sector * 512 + 512]
        with pytest.raises(SourceReadError) as caught:
            source.read_direct(bad.offset, buffer)
        assert (caught.value.offset, caught.value.length, caught.value.errno) == (bad.offset, 512, errno.EIO)


def test_an_error_in_the_midst_of_a_long_read_is_told_for_the_whole_range(tmp_path: Path, disk: Path) -> None:
    bad = [Extent(3 << 20, 512)]
    with faulty_device(disk, tmp_path / "rig", bad=bad) as device, BlockDeviceSource(device.path) as source:
        with pytest.raises(SourceReadError) as caught:
            source.read_into(0, memoryview(bytearray(4 << 20)))
        assert (caught.value.offset, caught.value.length) == (0, 4 << 20)


def test_a_device_that_changes_its_size_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "shrinking.raw"
    path.write_bytes(bytes(4 << 20))
    with loop_device(path) as device, BlockDeviceSource(device.path) as source:
        with path.open("r+b") as file:
            file.truncate(1 << 20)
        device.follow_file()
        with pytest.raises(SourceLostError, match="its size was 4194304 bytes and is now 1048576"):
            source.read_into(2 << 20, memoryview(bytearray(4096)))


def test_closing_twice_and_what_cannot_be_opened(device: LoopDevice, disk: Path, tmp_path: Path) -> None:
    source = BlockDeviceSource(device.path)
    source.close()
    source.close()
    with pytest.raises(UsageError):
        BlockDeviceSource(str(disk))
    with pytest.raises(UsageError):
        BlockDeviceSource(str(tmp_path / "nothing"))
