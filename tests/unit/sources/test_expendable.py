"""Reads in another process: the same bytes and errors, and an end to reads that have none."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from forensiq.clock import monotonic, sleep
from forensiq.errors import SourceError, SourceLostError, SourceReadError
from forensiq.sources.expendable import ExpendableSource
from forensiq.sources.file import FileSource
from tests.support.media import media

# A process that serves as the real one does, but for what the case adds to its source.
_PROCESS = """
import sys, time
from forensiq.errors import SourceLostError, SourceReadError
from forensiq.sources import expendable_process
from forensiq.sources.file import FileSource

class Odd(FileSource):
    def read_into(self, offset, buffer):
        if offset == 4096: time.sleep(600)
        if offset == 8192: raise SourceReadError(offset, len(buffer), 61)
        if offset == 12288: raise SourceLostError("gone", errno=19)
        if offset == 16384: sys.exit(3)
        return super().read_into(offset, buffer)

expendable_process.open_source = lambda path, sector_size: Odd(path, sector_size=sector_size)
expendable_process.main()
"""
ODD = [sys.executable, "-c", _PROCESS]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "dïsk"
    path.write_bytes(media(300_001))
    return path


def read(source: ExpendableSource, offset: int, length: int, direct: bool = False) -> bytes:
    buffer = memoryview(bytearray(length))
    return bytes(buffer[: (source.read_direct if direct else source.read_into)(offset, buffer)])


@pytest.mark.parametrize("direct", [False, True])
def test_the_bytes_are_those_of_the_source(disk: Path, direct: bool) -> None:
    data = disk.read_bytes()
    with FileSource(disk) as plain, ExpendableSource(plain, 60) as source:
        assert (source.size, source.sector_size, source.identity) == (len(data), 512, plain.identity)
        for offset, length in [(0, 1), (0, 300_001), (299_008, 4096), (512, 1024), (300_001, 10)]:
            assert read(source, offset, length, direct) == data[offset : offset + length]


def test_errors_are_those_of_the_source(disk: Path) -> None:
    with FileSource(disk) as plain, ExpendableSource(plain, 60, command=ODD) as source:
        with pytest.raises(SourceReadError) as failed:
            read(source, 8192, 512)
        assert (failed.value.offset, failed.value.length, failed.value.errno) == (8192, 512, errno.ENODATA)
        assert read(source, 0, 4096) == disk.read_bytes()[:4096]
        with pytest.raises(SourceLostError, match="gone") as lost:
            read(source, 12288, 512)
        assert lost.value.facts["errno"] == errno.ENODEV


def test_a_read_that_does_not_return_is_given_up_and_no_other_one_is_sent(disk: Path) -> None:
    with FileSource(disk) as plain, ExpendableSource(plain, 0.3, command=ODD) as source:
        process = source._process
        assert process is not None
        started = monotonic()
        for _ in range(3):
            with pytest.raises(SourceLostError, match="not responding") as lost:
                read(source, 4096, 512)
        assert monotonic() - started < 5
        assert (lost.value.facts["offset"], lost.value.facts["timeout_s"]) == (4096, 0.3)
        with pytest.raises(SourceLostError, match="not responding"):
            read(source, 0, 512)
        for _ in range(100):
            if not Path(f"/proc/{process}").exists():
                break
            sleep(0.05)
        assert not Path(f"/proc/{process}").exists()


def test_a_process_that_ends_is_a_lost_source(disk: Path) -> None:
    with (
        FileSource(disk) as plain,
        ExpendableSource(plain, 60, command=ODD) as source,
        pytest.raises(SourceLostError, match="ended"),
    ):
        read(source, 16384, 512)


def test_a_process_that_does_not_start_is_an_error(disk: Path) -> None:
    with FileSource(disk) as plain, pytest.raises(SourceError, match="cannot be read"):
        ExpendableSource(plain, 60, command=["/bin/false"])


def test_nothing_stays_open(disk: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with FileSource(disk) as plain:
        source = ExpendableSource(plain, 60)
        source.close()
        source.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
