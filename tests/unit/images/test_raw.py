"""Raw images: what is written comes back, in parts and with holes; nothing half done has a final name."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensiq.errors import (
    DestinationError,
    DestinationExistsError,
    DestinationFullError,
    ImageDamageError,
    ImageFormatError,
    MissingSegmentError,
    SourceReadError,
    UsageError,
)
from forensiq.images.output import FileCalls
from forensiq.images.raw import RawImage
from forensiq.images.raw_writer import RawWriter
from forensiq.model.chunk import Batch
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.model.image import ClosingFacts, ImageManifest
from forensiq.streams.files import FileSequence
from tests.support.media import media

UNIT = 64 << 10


def facts(data: bytes) -> ClosingFacts:
    return ClosingFacts(DigestSet.of({HashAlgorithm.SHA256: hashlib.sha256(data).hexdigest()}))


def feed(writer: RawWriter, data: bytes, start: int = 0, batch: int = UNIT, upto: int | None = None) -> None:
    end = len(data) if upto is None else upto
    for number, offset in enumerate(range(start, end, batch)):
        writer.write(writer.encode(Batch(number, offset, memoryview(data)[offset : min(offset + batch, end)])))


class Unsynced(FileCalls):
    def fsync(self, descriptor: int) -> None:
        return None


def write(stem: Path, data: bytes, segment_size: int | None = None, batch: int = UNIT) -> ImageManifest:
    writer = RawWriter(stem, len(data), segment_size=segment_size, calls=Unsynced())
    writer.begin()
    feed(writer, data, batch=batch)
    return writer.finish(facts(data))


def read(path: Path) -> bytes:
    with RawImage(path) as image:
        data = bytearray(image.size)
        assert image.read_into(0, memoryview(data)) == image.size
        return bytes(data)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(1, 700_000),
    seed=st.integers(0, 99),
    segment=st.none() | st.integers(30_000, 300_000),
    batch=st.integers(1, 5).map(lambda n: n * UNIT),
)
def test_what_is_written_comes_back(tmp_path: Path, size: int, seed: int, segment: int | None, batch: int) -> None:
    data = media(size, seed)
    folder = tmp_path / f"{size}-{seed}-{segment}-{batch}"
    manifest = write(folder / "X", data, segment, batch)
    for path in folder.iterdir():
        assert segment is None or path.stat().st_size <= segment
    assert read(folder / manifest.segments[0].path) == data
    assert b"".join((folder / each.path).read_bytes() for each in manifest.segments) == data
    for each in manifest.segments:
        content = (folder / each.path).read_bytes()
        assert (each.size, each.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert each.media is not None
        assert data[each.media.offset : each.media.end] == content
    assert len(manifest.segments) == len(list(folder.iterdir()))


def test_zeros_take_no_room(tmp_path: Path) -> None:
    data = bytes(4 << 20) + b"x" * 4096 + bytes((4 << 20) - 4096)
    write(tmp_path / "X", data)
    facts_of_file = (tmp_path / "X.dd").stat()
    assert facts_of_file.st_size == 8 << 20
    assert facts_of_file.st_blocks * 512 <= 256 << 10


def test_only_part_names_exist_until_the_end_and_the_first_part_is_named_last(tmp_path: Path) -> None:
    data = media(300_000)
    named: list[str] = []

    class Watching(FileCalls):
        def rename(self, source: Path, target: Path) -> None:
            assert not any(path.suffix == ".001" for path in tmp_path.iterdir())
            super().rename(source, target)
            named.append(target.name)

    writer = RawWriter(tmp_path / "X", len(data), segment_size=100_000, calls=Watching())
    writer.begin()
    feed(writer, data)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["X.001.part", "X.002.part", "X.003.part"]
    writer.finish(facts(data))
    assert named == ["X.003", "X.002", "X.001"]


@pytest.mark.parametrize("segment", [None, 100_000])
@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_suspended_image_goes_on_where_it_was(tmp_path: Path, segment: int | None, cut: int) -> None:
    data = media(300_000, seed=cut)
    first = RawWriter(tmp_path / "X", len(data), segment_size=segment)
    first.begin()
    feed(first, data, upto=cut * UNIT)
    first.suspend()
    assert not any(path.suffix != ".part" for path in tmp_path.iterdir())
    parts = sorted(path for path in tmp_path.iterdir())
    with parts[-1].open("ab") as torn:
        torn.write(b"torn tail")
    second = RawWriter(tmp_path / "X", len(data), segment_size=segment)
    second.resume(first.written)
    feed(second, data, start=first.written)
    manifest = second.finish(facts(data))
    assert read(tmp_path / manifest.segments[0].path) == data
    plain = write(tmp_path / "plain" / "X", data, segment)
    assert plain == manifest


def test_resuming_from_files_that_lost_bytes_is_refused(tmp_path: Path) -> None:
    data = media(300_000)
    first = RawWriter(tmp_path / "X", len(data))
    first.begin()
    feed(first, data, upto=2 * UNIT)
    first.suspend()
    os.truncate(tmp_path / "X.dd.part", 2 * UNIT - 1)
    with pytest.raises(DestinationError, match="were written"):
        RawWriter(tmp_path / "X", len(data)).resume(2 * UNIT)


@pytest.mark.parametrize("name", ["X.dd", "X.dd.part"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(DestinationExistsError):
        RawWriter(tmp_path / "X", 1000).begin()
    assert (tmp_path / name).read_bytes() == b"precious"
    assert len(list(tmp_path.iterdir())) == 1


def test_abort_removes_only_what_it_made(tmp_path: Path) -> None:
    (tmp_path / "X.record.json").write_text("{}")
    writer = RawWriter(tmp_path / "X", 300_000, segment_size=100_000)
    writer.begin()
    feed(writer, media(300_000), upto=2 * UNIT)
    writer.abort()
    assert [path.name for path in tmp_path.iterdir()] == ["X.record.json"]


def test_a_full_destination_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    class Full(FileCalls):
        def pwritev(self, descriptor: int, parts: Sequence[bytes | bytearray | memoryview], offset: int) -> int:
            if offset >= 2 * UNIT:
                raise OSError(errno.ENOSPC, "planted")
            return super().pwritev(descriptor, parts, offset)

    data = os.urandom(300_000)
    writer = RawWriter(tmp_path / "X", len(data), calls=Full())
    writer.begin()
    with pytest.raises(DestinationFullError):
        feed(writer, data)
    assert writer.written == 2 * UNIT
    writer.suspend()
    assert (tmp_path / "X.dd.part").read_bytes() == data[: 2 * UNIT]


def test_too_many_parts_and_tiny_parts_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        RawWriter(tmp_path / "X", 512 * 100_000, segment_size=512)
    with pytest.raises(UsageError):
        RawWriter(tmp_path / "X", 512 * 100_000, segment_size=511)


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (["x.001", "x.002", "x.003"], "x.001"),
        (["x.000", "x.001"], "x.000"),
        (["x.00", "x.01"], "x.00"),
        (["disk.raw.aa", "disk.raw.ab"], "disk.raw.aa"),
        (["ímynd.AAA", "ímynd.AAB"], "ímynd.AAA"),
        ([f"x.{n:03d}" for n in range(1, 1003)], "x.001"),
    ],
)
def test_split_sets_of_other_tools_are_read_as_one(tmp_path: Path, names: list[str], first: str) -> None:
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(bytes([number % 251]) * 512)
    (tmp_path / "x.log").write_text("not a part")
    with RawImage(tmp_path / first) as image:
        assert [Path(each.path).name for each in image.segments] == names
        assert not image.findings()
    assert read(tmp_path / first) == b"".join(bytes([number % 251]) * 512 for number in range(len(names)))


@pytest.mark.parametrize(("first", "named"), [("X.001", "X.003"), ("X.000", "X.002"), ("X.01", "X.02")])
def test_a_later_part_stands_for_its_set(tmp_path: Path, first: str, named: str) -> None:
    stem, start = first.rsplit(".", 1)
    for number in range(3):
        (tmp_path / f"{stem}.{int(start) + number:0{len(start)}d}").write_bytes(bytes([number]) * 512)
    with RawImage(tmp_path / named) as image:
        assert image.segments[0].path == first
        assert image.size == 1536


def test_a_numbered_file_without_a_first_one_stands_for_itself(tmp_path: Path) -> None:
    (tmp_path / "X.003").write_bytes(b"3" * 512)
    with RawImage(tmp_path / "X.003") as image:
        assert image.size == 512


@pytest.mark.parametrize("missing", ["x.002", "x.004"])
def test_a_gap_in_a_set_is_named(tmp_path: Path, missing: str) -> None:
    for number in range(1, 7):
        if f"x.{number:03d}" != missing:
            (tmp_path / f"x.{number:03d}").write_bytes(b"1")
    with pytest.raises(MissingSegmentError, match=missing):
        RawImage(tmp_path / "x.001")


def test_parts_of_unlike_size_are_remarked(tmp_path: Path) -> None:
    for number, size in enumerate([512, 100, 512], 1):
        (tmp_path / f"x.{number:03d}").write_bytes(bytes(size))
    with RawImage(tmp_path / "x.001") as image:
        assert [(each.code, each.segment) for each in image.findings()] == [
            ("raw.part.size", "x.002"),
            ("raw.size", None),
        ]


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for path in (tmp_path, tmp_path / "empty"):
        with pytest.raises(ImageFormatError):
            RawImage(path)


def test_sectors_that_the_disk_cannot_read_are_damage_and_the_rest_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = media(200_000)
    (tmp_path / "x.dd").write_bytes(data)
    bad = Extent(512 * 100, 1024)
    plain = FileSequence.read_into

    def failing(self: FileSequence, offset: int, buffer: memoryview) -> int:
        if Extent(offset, len(buffer)).overlaps(bad):
            raise SourceReadError(offset, len(buffer), errno.EIO)
        return plain(self, offset, buffer)

    monkeypatch.setattr(FileSequence, "read_into", failing)
    with RawImage(tmp_path / "x.dd") as image:
        buffer = bytearray(len(data))
        count, damage = image.read_checked(0, memoryview(buffer))
        assert count == len(data)
        assert [(each.media, each.segment, each.code) for each in damage] == [(bad, "x.dd", "file.read")]
        assert bytes(buffer) == data[: bad.offset] + bytes(1024) + data[bad.end :]
        with pytest.raises(ImageDamageError):
            image.read_into(0, memoryview(buffer))
