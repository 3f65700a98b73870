"""What the E01 writer stores is the medium, whatever its size and cut; nothing unfinished has a name."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import struct
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from forensiq.errors import (
    DestinationError,
    DestinationExistsError,
    DestinationFullError,
    ForensiqError,
    UsageError,
)
from forensiq.images.ewf import closing, config, layout
from forensiq.images.ewf.chunk import Compression
from forensiq.images.ewf.config import EwfConfig, segment_count_worst_case, worst_case_size
from forensiq.images.ewf.reader import EwfImage
from forensiq.images.ewf.writer import EwfWriter
from forensiq.images.output import FileCalls
from forensiq.model.digest import HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.model.image import ClosingFacts
from tests.support.ewf import IDENTIFIER, METADATA, batches, corpus, digests, feed, files_of, write_image
from tests.support.ewf_walk import media, sections
from tests.support.failing_disk import LimitedDisk, StopsAfter

SECTOR = 512
CHUNK = 4 * SECTOR
DATA = corpus(1_500_160)


def kinds(path: Path) -> list[str]:
    return [section.kind for section in sections(path)]


def named(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".part"))


def test_sections_of_one_segment(tmp_path: Path) -> None:
    manifest = write_image(tmp_path / "x", DATA, unreadable=(Extent(0, 512),))
    (path,) = files_of(tmp_path / "x", manifest)
    assert kinds(path) == [
        *("header2", "header2", "header", "volume", "sectors", "table", "table2"),
        *("data", "error2", "digest", "hash", "done"),
    ]
    assert media([path]) == DATA
    assert named(tmp_path) == ["x.E01"]


def test_sections_of_several_segments(tmp_path: Path) -> None:
    manifest = write_image(tmp_path / "x", DATA, segment_size=300_000)
    paths = files_of(tmp_path / "x", manifest)
    assert len(paths) > 2
    assert [kinds(path)[0] for path in paths] == ["header2"] + ["data"] * (len(paths) - 1)
    assert [kinds(path)[-1] for path in paths] == ["next"] * (len(paths) - 1) + ["done"]
    assert kinds(paths[-1])[-3:] == ["digest", "hash", "done"]
    assert media(paths) == DATA
    assert all(path.stat().st_size <= 300_000 for path in paths)


def test_the_manifest_tells_the_files_as_they_are(tmp_path: Path) -> None:
    manifest = write_image(tmp_path / "x", DATA, segment_size=300_000)
    for segment, path in zip(manifest.segments, files_of(tmp_path / "x", manifest), strict=True):
        assert (segment.size, segment.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    extents = [segment.media for segment in manifest.segments if segment.media]
    assert extents[0].offset == 0
    assert extents[-1].end == len(DATA) == manifest.media_size
    assert all(here.end == there.offset for here, there in pairwise(extents))
    assert manifest.set_identifier == str(IDENTIFIER)
    assert (manifest.format, manifest.chunk_size, manifest.compression) == ("e01", 32768, "fast")


def test_segment_digests_can_be_left_out(tmp_path: Path) -> None:
    manifest = write_image(tmp_path / "x", DATA, hash_segments=False)
    assert [segment.sha256 for segment in manifest.segments] == [None]


@pytest.mark.parametrize("compression", list(Compression))
def test_the_same_input_gives_the_same_bytes(tmp_path: Path, compression: Compression) -> None:
    one = write_image(tmp_path / "a" / "x", DATA, batch_chunks=32, compression=compression, segment_size=400_000)
    two = write_image(tmp_path / "b" / "x", DATA, batch_chunks=64, compression=compression, segment_size=400_000)
    assert one == two
    for path in files_of(tmp_path / "a" / "x", one):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_set_identifier_is_random_unless_given(tmp_path: Path) -> None:
    found = {write_image(tmp_path / name, DATA[:512], set_identifier=None).set_identifier for name in "ab"}
    assert len(found) == 2


def whole(writer: EwfWriter, data: bytes, chunks: int) -> None:
    writer.begin()
    feed(writer, data, chunks=chunks)
    writer.finish(ClosingFacts(digests(data)))


AROUND = sorted({sectors for edge in (1, 4, 8, 40, 41) for sectors in (edge - 1, edge, edge + 1) if sectors > 0})


@pytest.mark.parametrize("sector_size", [512, 2048, 4096])
@pytest.mark.parametrize("sectors", AROUND)
def test_sizes_around_chunk_and_section_bounds(
    tmp_path: Path, sectors: int, sector_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "SECTION_CHUNKS", 10)
    data = corpus(sectors * sector_size)
    manifest = write_image(tmp_path / "x", data, sectors_per_chunk=4, sector_size=sector_size, batch_chunks=3)
    paths = files_of(tmp_path / "x", manifest)
    assert media(paths, sector_size) == data
    assert kinds(paths[0]).count("table") == -(-sectors // 40)


@given(
    sectors=st.integers(1, 200),
    per_chunk=st.sampled_from([1, 2, 7, 64]),
    spare=st.integers(0, 3000),
    batch_chunks=st.integers(1, 9),
    entries=st.integers(1, 12),
    compression=st.sampled_from(Compression),
    seed=st.integers(0, 9),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_geometry_gives_the_medium_back(
    tmp_path_factory: pytest.TempPathFactory,
    sectors: int,
    per_chunk: int,
    spare: int,
    batch_chunks: int,
    entries: int,
    compression: Compression,
    seed: int,
) -> None:
    stem = tmp_path_factory.mktemp("any") / "x"
    data = corpus(sectors * SECTOR, seed)
    common = EwfConfig(stem=stem, media_size=len(data), sectors_per_chunk=per_chunk, metadata=METADATA, segment_size=0)
    with pytest.raises(UsageError) as refused:
        common.check()
    least = refused.value.facts["least"]
    assert isinstance(least, int)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "SECTION_CHUNKS", entries)
        manifest = write_image(
            stem,
            data,
            sectors_per_chunk=per_chunk,
            segment_size=least + spare,
            batch_chunks=batch_chunks,
            compression=compression,
        )
        limits = EwfConfig(
            stem=stem,
            media_size=len(data),
            sectors_per_chunk=per_chunk,
            segment_size=least + spare,
            metadata=METADATA,
            compression=compression,
        )
        assert len(manifest.segments) <= segment_count_worst_case(limits)
        assert sum(segment.size for segment in manifest.segments) <= worst_case_size(limits)
        if compression is Compression.NONE and sectors % per_chunk == 0:
            assert len(manifest.segments) == segment_count_worst_case(limits)
    paths = files_of(stem, manifest)
    assert media(paths) == data
    assert all(path.stat().st_size <= least + spare for path in paths)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"media_size": 0}, "0 bytes"),
        ({"media_size": 513}, "whole number of sectors"),
        ({"sector_size": 0}, "sector size"),
        ({"sectors_per_chunk": 0}, "sectors in a chunk"),
        ({"sectors_per_chunk": 32769}, "sectors in a chunk"),
        ({"segment_size": 5000}, "no room for one chunk"),
        ({"media_size": 1 << 50}, "at most"),
        ({"media_size": 1 << 40, "segment_size": 1 << 20}, "names for 14971"),
    ],
)
def test_what_cannot_be_an_e01_is_refused_before_anything_is_written(
    tmp_path: Path, change: dict[str, int], words: str
) -> None:
    values = {"media_size": 512, **change}
    with pytest.raises(UsageError, match=words):
        EwfWriter(EwfConfig(stem=tmp_path / "x", **values))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.E01", "x.e01", "x.E07", "x.E01.part", "x.E02.part"])
def test_an_existing_segment_is_refused_and_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"someone's")
    writer = EwfWriter(EwfConfig(stem=tmp_path / "x", media_size=512))
    with pytest.raises(DestinationExistsError):
        writer.begin()
    writer.abort()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"someone's")]


@pytest.mark.parametrize("name", ["x.dd", "x.map", "x.raw", "xy.E01", "x.E01.txt", "x.record.json"])
def test_other_names_do_not_matter(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"other")
    write_image(tmp_path / "x", DATA[:512])
    assert (tmp_path / name).read_bytes() == b"other"


def test_a_name_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    writer = EwfWriter(EwfConfig(stem=tmp_path / "x", media_size=len(DATA), segment_size=300_000))
    writer.begin()
    feed(writer, DATA)
    (tmp_path / "x.E01").write_bytes(b"someone's")
    with pytest.raises(DestinationError) as caught:
        writer.finish(ClosingFacts(digests(DATA)))
    assert caught.value.facts["errno"] == errno.EEXIST
    writer.suspend()
    assert (tmp_path / "x.E01").read_bytes() == b"someone's"
    assert (tmp_path / "x.E01.part").exists()


def test_nothing_has_a_final_name_before_the_end(tmp_path: Path) -> None:
    writer = EwfWriter(EwfConfig(stem=tmp_path / "x", media_size=len(DATA), segment_size=300_000))
    writer.begin()
    for batch in batches(DATA, writer.chunk_size):
        writer.write(writer.encode(batch))
        assert named(tmp_path) == []
    order: list[str] = []

    class Watched(FileCalls):
        def rename(self, source: Path, target: Path) -> None:
            order.append(target.name)
            super().rename(source, target)

    writer._calls = Watched()
    writer.finish(ClosingFacts(digests(DATA)))
    assert order[-1] == "x.E01"
    assert sorted(order) == named(tmp_path)


def test_abort_removes_what_it_made_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "y.E01").write_bytes(b"other")
    writer = EwfWriter(EwfConfig(stem=tmp_path / "x", media_size=len(DATA), segment_size=300_000))
    writer.begin()
    feed(writer, DATA[: 32 * 32768])
    writer.abort()
    assert [path.name for path in tmp_path.iterdir()] == ["y.E01"]


def test_batches_out_of_order_and_an_early_end_are_faults(tmp_path: Path) -> None:
    writer = EwfWriter(EwfConfig(stem=tmp_path / "x", media_size=len(DATA)))
    writer.begin()
    first, second, *_ = (writer.encode(batch) for batch in batches(DATA, writer.chunk_size, chunks=4))
    with pytest.raises(ForensiqError, match="out of order"):
        writer.write(second)
    writer.write(first)
    with pytest.raises(ForensiqError, match="before all of it"):
        writer.finish(ClosingFacts(digests(DATA)))
    writer.abort()


def test_a_second_writer_takes_what_the_first_encoded(tmp_path: Path) -> None:
    writers = [
        EwfWriter(EwfConfig(stem=tmp_path / name / "x", media_size=len(DATA), set_identifier=IDENTIFIER))
        for name in "ab"
    ]
    for writer in writers:
        writer.begin()
    for batch in batches(DATA, writers[0].chunk_size):
        encoded = writers[0].encode(batch)
        for writer in writers:
            writer.write(encoded)
    for writer in writers:
        writer.finish(ClosingFacts(digests(DATA)))
    assert (tmp_path / "a" / "x.E01").read_bytes() == (tmp_path / "b" / "x.E01").read_bytes()


@pytest.mark.parametrize(
    ("algorithms", "expected"),
    [
        ((), []),
        ((HashAlgorithm.SHA256,), []),
        ((HashAlgorithm.SHA1,), []),
        ((HashAlgorithm.MD5, HashAlgorithm.SHA256), ["hash"]),
        ((HashAlgorithm.MD5, HashAlgorithm.SHA1), ["digest", "hash"]),
    ],
)
def test_only_computed_digests_are_stored(
    tmp_path: Path, algorithms: tuple[HashAlgorithm, ...], expected: list[str]
) -> None:
    writer = EwfWriter(EwfConfig(stem=tmp_path / "x", media_size=1024))
    writer.begin()
    feed(writer, bytes(1024))
    writer.finish(ClosingFacts(digests(bytes(1024), algorithms)))
    found = sections(tmp_path / "x.E01")
    assert [item.kind for item in found if item.kind in ("digest", "hash", "xhash")] == expected
    for item in found:
        if item.kind in ("digest", "hash"):
            assert item.body[:16] == hashlib.md5(bytes(1024)).digest()
        if item.kind == "digest":
            assert item.body[16:36] == hashlib.sha1(bytes(1024)).digest()


def test_unreadable_ranges_are_sectors_sorted_and_merged(tmp_path: Path) -> None:
    unreadable = (Extent(5120, 512), Extent(0, 1), Extent(600, 100), Extent(5632, 1024))
    manifest = write_image(tmp_path / "x", DATA, unreadable=unreadable)
    body = next(item.body for item in sections(tmp_path / "x.E01") if item.kind == "error2")
    assert struct.unpack_from("<I", body)[0] == 2
    assert struct.unpack_from("<4I", body, 520) == (0, 2, 10, 3)
    assert manifest.findings == ()


def test_sectors_beyond_32_bits_never_wrap() -> None:
    last = 0xFFFF_FFFF
    inside = Extent((last - 1) * 512, 2 * 512)
    across = Extent(last * 512, 3 * 512)
    beyond = Extent((last + 10) * 512, 512)
    assert closing.error_ranges([inside], 512) == ([(last - 1, 2)], ())
    ranges, (finding,) = closing.error_ranges([across, beyond], 512)
    assert ranges == [(last, 1)]
    assert (finding.code, finding.found) == ("ewf.error2.limit", "3")
    everything, _ = closing.error_ranges([Extent(0, 1 << 60)], 512)
    assert everything == [(0, last), (last, 1)]
    layout.ErrorTable(everything).pack()


def test_tables_stay_below_31_bits_however_large_the_segment() -> None:
    huge = EwfConfig(stem=Path("x"), media_size=1 << 44, sectors_per_chunk=32768, segment_size=1 << 43)
    huge.check()
    assert config.section_chunks(huge) * (huge.chunk_size + 4) + 76 <= layout.MAX_TABLE_OFFSET
    assert segment_count_worst_case(huge) == 3


@pytest.mark.parametrize("size", [1 << 44, 1 << 46])
def test_reckoning_of_huge_media_is_cheap(size: int) -> None:
    limits = EwfConfig(stem=Path("x"), media_size=size, segment_size=8 << 30)
    limits.check()
    assert size < worst_case_size(limits) < size * 1.0005


def test_a_cut_field_is_told(tmp_path: Path) -> None:
    manifest = write_image(tmp_path / "x", DATA[:512], metadata=structs.replace(METADATA, software="forensiq 0.1.0"))
    assert [finding.code for finding in manifest.findings] == ["ewf.header.truncated"]


def test_an_error_at_any_step_leaves_nothing_named_as_an_image(tmp_path: Path) -> None:
    data = DATA[:600_064]
    step, unfinished = 0, True
    while unfinished:
        folder = tmp_path / str(step)
        calls = StopsAfter(step, lambda: OSError(errno.EIO, "injected"))
        writer = EwfWriter(EwfConfig(stem=folder / "x", media_size=len(data), segment_size=200_000), calls=calls)
        try:
            whole(writer, data, chunks=4)
            unfinished = False
        except DestinationError:
            with contextlib.suppress(DestinationError):
                writer.suspend()
            assert not folder.exists() or "x.E01" not in named(folder) or media(sorted(folder.glob("x.E*"))) == data
            step += 1
    assert step > 20
    assert media(sorted(folder.glob("x.E*"))) == data


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("room", [0, 100_000, 524_288, 700_000, 900_000, 1_100_000, 1_300_000])
def test_a_full_destination_keeps_what_fits_in_complete_sections(tmp_path: Path, room: int, number: int) -> None:
    calls = LimitedDisk({tmp_path: room}, number)
    writer = EwfWriter(
        EwfConfig(stem=tmp_path / "x", media_size=len(DATA), segment_size=200_000, compression=Compression.NONE),
        calls=calls,
    )
    with pytest.raises(DestinationFullError):
        whole(writer, DATA, chunks=2)
    writer.suspend()
    assert named(tmp_path) == []
    stored = 0
    for path in sorted(tmp_path.glob("*.part")):
        data = path.read_bytes()
        offset = 13
        while offset < len(data):
            kind, following = struct.unpack_from("<16sQ", data, offset)
            name = kind.rstrip(b"\0")
            assert name, "a section without a descriptor was left"
            if name == b"table":
                stored += struct.unpack_from("<I", data, offset + 76)[0] * 32768
            offset = following if name != b"next" else offset + 76
        assert offset == len(data)
    assert stored == writer.stored
    assert (stored > 0) == (room > 600_000)


@pytest.mark.parametrize("room", [0, 530_000, 560_000, 600_000, 720_000, 800_000, 900_000, 1_200_000])
def test_the_rest_goes_on_in_another_folder(tmp_path: Path, room: int) -> None:
    first, second, third = (tmp_path / name for name in ("one", "two", "three"))
    calls = LimitedDisk({first: room, second: 900_000}, errno.ENOSPC)
    others = [second, third]
    asked: list[int] = []

    def spill(number: int, error: DestinationFullError) -> Path | None:
        asked.append(number)
        return others.pop(0) if others else None

    writer = EwfWriter(
        EwfConfig(stem=first / "x", media_size=len(DATA), segment_size=250_000, compression=Compression.NONE),
        spill=spill,
        calls=calls,
    )
    writer.begin()
    feed(writer, DATA, chunks=3)
    manifest = writer.finish(ClosingFacts(digests(DATA)))
    paths = [(first / segment.path) for segment in manifest.segments]
    assert len({path.parent for path in paths}) >= 2
    assert media(paths) == DATA
    assert asked
    for path, segment in zip(paths, manifest.segments, strict=True):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == segment.sha256
    assert not list(tmp_path.rglob("*.part"))


def test_a_full_destination_without_another_place_is_an_error(tmp_path: Path) -> None:
    calls = LimitedDisk({tmp_path: 700_000}, errno.ENOSPC)
    writer = EwfWriter(EwfConfig(stem=tmp_path / "x", media_size=len(DATA)), spill=lambda *_: None, calls=calls)
    with pytest.raises(DestinationFullError):
        whole(writer, corpus(len(DATA), 3), chunks=32)
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_our_own_reader_finds_nothing_wrong(tmp_path: Path) -> None:
    unreadable = (Extent(512, 1024),)
    manifest = write_image(tmp_path / "x", DATA, segment_size=300_000, unreadable=unreadable)
    with EwfImage.open(tmp_path / "x.E01") as image:
        buffer = bytearray(len(DATA))
        assert image.read_into(0, memoryview(buffer)) == len(DATA)
        assert bytes(buffer) == DATA
        assert [*image.findings(), *image.check_structure()] == []
        assert tuple(image.acquisition_errors) == unreadable
        assert image.stored_digests == digests(DATA, (HashAlgorithm.MD5, HashAlgorithm.SHA1))
        assert image.metadata == structs.replace(METADATA, notes="two lines of notes", other=image.metadata.other)
        assert [segment.media for segment in image.segments] == [segment.media for segment in manifest.segments]


def test_flush_section_puts_everything_stored_into_tables(tmp_path: Path) -> None:
    writer = EwfWriter(EwfConfig(stem=tmp_path / "x", media_size=len(DATA)))
    writer.begin()
    for batch in batches(DATA, writer.chunk_size):
        writer.write(writer.encode(batch))
        writer.flush_section()
        writer.flush_section()
    manifest = writer.finish(ClosingFacts(digests(DATA)))
    paths = files_of(tmp_path / "x", manifest)
    assert kinds(paths[0]).count("table") == 2
    assert media(paths) == DATA
    assert manifest.segments[0].sha256 == hashlib.sha256(paths[0].read_bytes()).hexdigest()
