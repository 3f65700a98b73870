"""Files and split sets as sources, and which path gives which source."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from forensiq.errors import MissingSegmentError, SourceError, SourceLostError, UsageError
from forensiq.model.source import SourceKind
from forensiq.sources import open_source
from forensiq.sources.file import FileSource
from forensiq.sources.split import SplitSource
from tests.support.media import media


def read(source: FileSource, offset: int, length: int, direct: bool = False) -> bytes:
    buffer = memoryview(bytearray(length))
    return bytes(buffer[: (source.read_direct if direct else source.read_into)(offset, buffer)])


@pytest.mark.parametrize("direct", [False, True])
def test_bytes_at_every_place(tmp_path: Path, direct: bool) -> None:
    data = media(3_000_001)
    (tmp_path / "disk").write_bytes(data)
    with FileSource(tmp_path / "disk") as source:
        assert source.size == len(data)
        for offset, length in [
            (0, 1),
            (0, len(data)),
            (512, 2 << 20),
            (3_000_000, 100),
            (3_000_001, 5),
            (9_000_000, 5),
        ]:
            assert read(source, offset, length, direct) == data[offset : offset + length]


def test_a_split_set_is_one_medium(tmp_path: Path) -> None:
    data = media(1_000_000)
    for number in range(10):
        (tmp_path / f"x.{number:03d}").write_bytes(data[number * 100_000 : (number + 1) * 100_000])
    source = open_source(tmp_path / "x.000")
    assert isinstance(source, SplitSource)
    with source:
        assert source.identity.kind is SourceKind.SPLIT_RAW
        assert source.size == len(data)
        assert read(source, 99_999, 500_002) == data[99_999:600_001]
        assert read(source, 100_000, 100_000, direct=True) == data[100_000:200_000]


def test_a_first_part_alone_is_a_file_and_a_gap_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.001").write_bytes(b"1")
    with open_source(tmp_path / "x.001") as source:
        assert source.identity.kind is SourceKind.FILE
    (tmp_path / "x.003").write_bytes(b"3")
    with pytest.raises(MissingSegmentError, match=r"x\.002"):
        open_source(tmp_path / "x.001")


@pytest.mark.parametrize(
    ("name", "what"), [("nothing", "No such file"), ("folder", "a folder"), ("empty", "empty"), ("pipe", "is a pipe")]
)
def test_what_is_no_source_is_wrong_usage(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=what):
        open_source(tmp_path / name)


def test_a_character_device_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="character device"):
        open_source(Path("/dev/null"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_a_source_error(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(b"1")
    (tmp_path / "disk").chmod(0)
    with pytest.raises(SourceError, match="Permission denied"):
        open_source(tmp_path / "disk")


def test_a_file_that_shrinks_is_a_lost_source(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(10_000))
    with FileSource(tmp_path / "disk") as source:
        os.truncate(tmp_path / "disk", 5_000)
        assert read(source, 0, 5_000) == bytes(5_000)
        with pytest.raises(SourceLostError, match="smaller"):
            read(source, 4_000, 6_000)


def test_mode_times_and_writers_are_observed_and_reading_changes_none_of_them(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(100_000))
    path.chmod(0o440)
    os.utime(path, ns=(1_000_000_000_123_456_789, 1_100_000_000_000_000_000))
    with FileSource(path) as source:
        before = source.times()
        read(source, 0, 100_000)
        read(source, 0, 100_000, direct=True)
        assert source.times() == before
        assert before.mode == stat.filemode(stat.S_IFREG | 0o440)
        assert before.accessed == "2001-09-09T01:46:40.123456Z"
        assert before.modified == "2004-11-09T11:33:20.000000Z"
        assert not before.writers
        path.chmod(0o640)
        with path.open("ab"):
            writers = source.times().writers
    assert writers is not None
    assert [name.rsplit(" ", 1)[1] for name in writers] == [f"({os.getpid()})"]
