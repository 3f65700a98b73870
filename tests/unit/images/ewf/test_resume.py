"""An interrupted E01 goes on where its last complete section ends, and holds the same medium in the end."""

from __future__ import annotations

import contextlib
import errno
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec import structs

from forensiq.errors import DestinationExistsError, DestinationFullError, ForensiqError, ImageDamageError
from forensiq.images.ewf.chunk import Compression
from forensiq.images.ewf.config import EwfConfig
from forensiq.images.ewf.writer import EwfWriter
from forensiq.images.output import FileCalls
from forensiq.model.chunk import Batch
from forensiq.model.image import ClosingFacts, ImageManifest
from tests.support.ewf import METADATA, corpus, digests, feed
from tests.support.ewf_walk import media
from tests.support.failing_disk import LimitedDisk, StopsAfter

DATA = corpus(1_000_448, seed=2)


class PowerCut(BaseException):
    """Nothing may catch this but the test: the process is gone."""


def settings(folder: Path, segment_size: int = 150_000) -> EwfConfig:
    return EwfConfig(stem=folder / "x", media_size=len(DATA), segment_size=segment_size, metadata=METADATA)


def run(writer: EwfWriter, chunks: int = 3) -> ImageManifest:
    """Go on from what is stored; flush a section now and then, as a checkpoint would."""
    start = writer.stored
    view = memoryview(DATA)
    step = writer.chunk_size * chunks
    for number, offset in enumerate(range(start, len(DATA), step)):
        writer.write(writer.encode(Batch(number, offset, view[offset : offset + step])))
        if number % 3 == 2:
            writer.flush_section()
    return writer.finish(ClosingFacts(digests(DATA)))


def stored_bytes(writer: EwfWriter) -> bytes:
    with writer.stored_media() as source:
        buffer = bytearray(source.size)
        assert source.read_into(0, memoryview(buffer)) == source.size == writer.stored
        return bytes(buffer)


def check(manifest: ImageManifest, folder: Path) -> None:
    paths = [folder / segment.path for segment in manifest.segments]
    assert media(paths) == DATA
    for path, segment in zip(paths, manifest.segments, strict=True):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == segment.sha256
        assert path.stat().st_size == segment.size


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_power_cut_at_any_step_loses_no_complete_section(tmp_path: Path) -> None:
    step, cut = 0, True
    furthest = 0
    while cut:
        folder = tmp_path / str(step)
        writer = EwfWriter(settings(folder), calls=StopsAfter(step, PowerCut))
        try:
            writer.begin()
            run(writer)
            cut = False
        except (PowerCut, ForensiqError):
            writer._close_files()
            if (folder / "x.E01").exists():
                assert media(sorted(folder.glob("x.E*"))) == DATA
            else:
                resumed = EwfWriter.resume(settings(folder))
                assert stored_bytes(resumed) == DATA[: resumed.stored]
                assert resumed.stored >= furthest - 4 * 3 * 32768
                furthest = max(furthest, resumed.stored)
                check(run(resumed), folder)
            assert not list(folder.glob("*.part"))
        step += 1
    assert step > 40
    assert furthest == len(DATA)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_two_cuts_in_a_row(tmp_path: Path) -> None:
    for first, second in ((12, 3), (20, 10), (30, 20), (25, 1), (40, 6)):
        folder = tmp_path / f"{first}-{second}"
        writer = EwfWriter(settings(folder), calls=StopsAfter(first, PowerCut))
        with contextlib.suppress(PowerCut, ForensiqError):
            writer.begin()
            run(writer)
        writer._close_files()
        with contextlib.suppress(PowerCut, ForensiqError):
            run(EwfWriter.resume(settings(folder), calls=StopsAfter(second, PowerCut)))
        check(run(EwfWriter.resume(settings(folder))), folder)


@pytest.mark.parametrize("upto", [0, 1, 7, 20, 30, 31])
def test_suspend_keeps_every_chunk(tmp_path: Path, upto: int) -> None:
    writer = EwfWriter(settings(tmp_path))
    writer.begin()
    feed(writer, DATA[: upto * 32768], chunks=2)
    stored = writer.stored
    writer.suspend()
    resumed = EwfWriter.resume(settings(tmp_path))
    assert resumed.stored == stored == min(upto * 32768, len(DATA))
    assert resumed.config.set_identifier == writer.config.set_identifier or upto == 0
    assert stored_bytes(resumed) == DATA[:stored]
    check(run(resumed), tmp_path)


def test_nothing_to_resume_begins(tmp_path: Path) -> None:
    writer = EwfWriter.resume(settings(tmp_path / "new"))
    assert writer.stored == 0
    check(run(writer), tmp_path / "new")


def test_a_finished_image_is_not_resumed(tmp_path: Path) -> None:
    writer = EwfWriter.resume(settings(tmp_path))
    run(writer)
    before = files(tmp_path)
    with pytest.raises(DestinationExistsError):
        EwfWriter.resume(settings(tmp_path))
    assert files(tmp_path) == before


def test_what_belongs_to_others_is_kept(tmp_path: Path) -> None:
    writer = EwfWriter(settings(tmp_path))
    writer.begin()
    feed(writer, DATA[: 10 * 32768])
    writer.suspend()
    before = files(tmp_path)
    other = EwfConfig(stem=tmp_path / "x", media_size=len(DATA) * 2, segment_size=150_000)
    with pytest.raises(DestinationExistsError, match="another acquisition"):
        EwfWriter.resume(other)
    assert files(tmp_path) == before
    (tmp_path / "y.E01.part").write_bytes(b"a thesis")
    with pytest.raises(DestinationExistsError, match="is kept"):
        EwfWriter.resume(EwfConfig(stem=tmp_path / "y", media_size=len(DATA)))
    assert (tmp_path / "y.E01.part").read_bytes() == b"a thesis"


def test_a_damaged_chunk_drops_its_section_and_what_follows(tmp_path: Path) -> None:
    writer = EwfWriter(settings(tmp_path, 1 << 20))
    writer.begin()
    for upto in range(0, 24, 8):
        feed(writer, DATA[: (upto + 8) * 32768], start=upto * 32768, chunks=8)
        writer.flush_section()
    writer.suspend()
    path = tmp_path / "x.E01.part"
    data = bytearray(path.read_bytes())
    second = [index for index in range(len(data)) if data.startswith(b"sectors\0", index)][1]
    data[second + 76 + 30] ^= 1
    path.write_bytes(data)
    resumed = EwfWriter.resume(settings(tmp_path, 1 << 20))
    assert resumed.stored == 8 * 32768
    check(run(resumed), tmp_path)


def test_a_limit_drops_what_lies_beyond_it(tmp_path: Path) -> None:
    writer = EwfWriter(settings(tmp_path))
    writer.begin()
    for upto in range(4, 28, 4):
        feed(writer, DATA[: upto * 32768], start=(upto - 4) * 32768, chunks=2)
        writer.flush_section()
    writer.suspend()
    resumed = EwfWriter.resume(settings(tmp_path), limit=13 * 32768)
    assert resumed.stored == 12 * 32768
    check(run(resumed), tmp_path)


def test_stored_media_names_a_chunk_that_changed(tmp_path: Path) -> None:
    writer = EwfWriter(settings(tmp_path, 1 << 20))
    writer.begin()
    feed(writer, DATA[: 8 * 32768])
    writer.suspend()
    resumed = EwfWriter.resume(settings(tmp_path, 1 << 20))
    path = tmp_path / "x.E01.part"
    data = bytearray(path.read_bytes())
    data[data.index(b"sectors\0") + 76 + 30] ^= 1
    path.write_bytes(data)
    with resumed.stored_media() as source, pytest.raises(ImageDamageError) as caught:
        source.read_into(0, memoryview(bytearray(32768)))
    assert caught.value.facts["offset"] == 0
    resumed.abort()


@pytest.mark.parametrize("room", [540_000, 620_000, 700_000, 800_000, 900_000])
def test_a_full_destination_is_resumed_here_or_elsewhere(tmp_path: Path, room: int) -> None:
    for name in ("here", "elsewhere"):
        folder, other = tmp_path / name, tmp_path / f"{name}-more"
        config = EwfConfig(
            stem=folder / "x",
            media_size=len(DATA),
            segment_size=250_000,
            compression=Compression.NONE,
            metadata=METADATA,
        )
        writer = EwfWriter(config, calls=LimitedDisk({folder: room}, errno.ENOSPC))
        with pytest.raises(DestinationFullError):
            _begin_and_run(writer)
        writer.suspend()
        calls: FileCalls = FileCalls()
        places: Sequence[Path] = ()
        if name == "elsewhere":
            calls = LimitedDisk({folder: room}, errno.ENOSPC)
            places = (other,)
        rest = list(places)
        resumed = EwfWriter.resume(config, calls=calls, spill=lambda *_, rest=rest: rest.pop() if rest else None)
        assert resumed.stored >= writer.stored
        assert stored_bytes(resumed) == DATA[: resumed.stored]
        check(run(resumed), folder)


def test_a_spilled_image_is_resumed_from_both_folders(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    config = structs.replace(settings(first, 250_000), compression=Compression.NONE)
    writer = EwfWriter(config, calls=LimitedDisk({first: 900_000}, errno.ENOSPC), spill=lambda *_: second)
    writer.begin()
    feed(writer, DATA[: 25 * 32768], chunks=2)
    assert list(second.iterdir())
    writer.suspend()
    resumed = EwfWriter.resume(config, folders=[second])
    assert resumed.stored == 25 * 32768
    manifest = run(resumed)
    check(manifest, first)
    assert {(first / segment.path).parent for segment in manifest.segments} == {first, second}


def _begin_and_run(writer: EwfWriter) -> None:
    writer.begin()
    run(writer)
