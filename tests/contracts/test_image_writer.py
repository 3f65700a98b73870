"""What every :class:`~forensiq.images.base.ImageWriter` has to do, whatever the format.

A format joins by a line in ``FORMATS``: how to make a writer for a stem and a medium, and how to read the medium back
from the files that it left, without the program's own readers where that is possible.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from forensiq.errors import DestinationExistsError
from forensiq.images.base import ImageWriter
from forensiq.images.clone import CloneTarget, CloneWriter
from forensiq.images.container_file import ContainerConfig
from forensiq.images.containers import CONTAINERS, container_path
from forensiq.images.ewf.config import EwfConfig
from forensiq.images.ewf.writer import EwfWriter
from forensiq.model.chunk import Batch
from forensiq.model.image import ClosingFacts, ImageManifest
from tests.interop.peers import need, run
from tests.support.aff4_reading import read_aff4
from tests.support.ewf import IDENTIFIER, METADATA, corpus, digests
from tests.support.ewf_walk import media


class Format(Struct, frozen=True):
    """One implementation under test."""

    make: Callable[[Path, int], ImageWriter[Any]]
    read_back: Callable[[list[Path]], bytes]
    several_files: bool


def _ewf(stem: Path, size: int) -> ImageWriter[Any]:
    return EwfWriter(EwfConfig(stem=stem, media_size=size, metadata=METADATA, set_identifier=IDENTIFIER))


def _split_ewf(stem: Path, size: int) -> ImageWriter[Any]:
    return EwfWriter(
        EwfConfig(stem=stem, media_size=size, metadata=METADATA, set_identifier=IDENTIFIER, segment_size=150_000)
    )


def _clone(stem: Path, size: int) -> ImageWriter[Any]:
    return CloneWriter(CloneTarget(stem, in_place=False), size)


def _container(name: str, compression: str) -> Callable[[Path, int], ImageWriter[Any]]:
    kind = CONTAINERS[name]

    def make(stem: Path, size: int) -> ImageWriter[Any]:
        path = container_path(name, stem)
        return kind.writer(
            ContainerConfig(path=path, media_size=size, compression=compression, identifier=IDENTIFIER.bytes)
        )

    return make


def _by_qemu(reader: str) -> Callable[[list[Path]], bytes]:
    def read(paths: list[Path]) -> bytes:
        need("qemu-img")
        (path,) = paths
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "raw"
            run("qemu-img", "convert", "-f", reader, "-O", "raw", path, target)
            return target.read_bytes()

    return read


CONTAINER_FORMATS = {
    f"{name} {compression}": Format(_container(name, compression), _by_qemu(kind.reader), several_files=False)
    for name, kind in CONTAINERS.items()
    for compression in kind.compressions
    if kind.reader is not None
}

CONTAINER_FORMATS["aff4 fast"] = Format(
    _container("aff4", "fast"), lambda paths: read_aff4(paths[0]), several_files=False
)

FORMATS = CONTAINER_FORMATS | {
    "e01": Format(_ewf, media, several_files=False),
    "clone": Format(_clone, lambda paths: b"".join(path.read_bytes() for path in paths), several_files=False),
    "e01 in segments": Format(_split_ewf, media, several_files=True),
}

DATA = corpus(1_300_480, seed=2)


@pytest.fixture(params=FORMATS, ids=list(FORMATS))
def subject(request: pytest.FixtureRequest) -> Format:
    return FORMATS[request.param]


def pieces(writer: ImageWriter[Any], data: bytes, batch_chunks: int) -> Iterator[Batch]:
    step = writer.chunk_size * batch_chunks
    for number, offset in enumerate(range(0, len(data), step)):
        yield Batch(number, offset, memoryview(data)[offset : offset + step])


def write(
    subject: Format, stem: Path, data: bytes, batch_chunks: int = 64, before_finish: Callable[[], None] = lambda: None
) -> ImageManifest:
    writer = subject.make(stem, len(data))
    writer.begin()
    for batch in pieces(writer, data, batch_chunks):
        writer.write(writer.encode(batch))
    before_finish()
    return writer.finish(ClosingFacts(digests(data)))


def named(manifest: ImageManifest) -> ImageManifest:
    """Return the manifest with bare names: a clone is not beside its record, so its path is absolute."""
    return replace(manifest, segments=tuple(replace(each, path=Path(each.path).name) for each in manifest.segments))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_medium_comes_back(subject: Format, tmp_path: Path) -> None:
    manifest = write(subject, tmp_path / "new" / "folder" / "x", DATA)
    paths = [tmp_path / "new" / "folder" / segment.path for segment in manifest.segments]
    assert subject.read_back(paths) == DATA
    assert (len(paths) > 1) == subject.several_files
    assert names(paths[0].parent) == sorted(path.name for path in paths)


@pytest.mark.parametrize("size", [512, 32768 - 512, 32768, 32768 + 512, 64 * 32768, 64 * 32768 + 512])
def test_sizes_around_the_bounds(subject: Format, tmp_path: Path, size: int) -> None:
    data = corpus(size, seed=size)
    manifest = write(subject, tmp_path / "x", data)
    assert subject.read_back([tmp_path / segment.path for segment in manifest.segments]) == data
    assert manifest.media_size == size


def test_the_manifest_is_true(subject: Format, tmp_path: Path) -> None:
    manifest = write(subject, tmp_path / "x", DATA)
    assert [segment.number for segment in manifest.segments] == list(range(1, len(manifest.segments) + 1))
    position = 0
    for segment in manifest.segments:
        content = (tmp_path / segment.path).read_bytes()
        assert segment.size == len(content)
        assert segment.sha256 in (None, hashlib.sha256(content).hexdigest())
        assert segment.media is not None
        assert segment.media.offset == position
        position = segment.media.end
    assert position == manifest.media_size == len(DATA)


def test_the_same_input_gives_the_same_bytes(subject: Format, tmp_path: Path) -> None:
    first, second = (write(subject, tmp_path / name / "x", DATA) for name in ("a", "b"))
    assert named(first) == named(second)
    for one, other in zip(first.segments, second.segments, strict=True):
        assert (tmp_path / "a" / one.path).read_bytes() == (tmp_path / "b" / other.path).read_bytes()


def test_no_final_name_before_finish(subject: Format, tmp_path: Path) -> None:
    seen: list[str] = []
    manifest = write(subject, tmp_path / "x", DATA, before_finish=lambda: seen.extend(names(tmp_path)))
    assert seen
    assert all(name.endswith(".part") for name in seen)
    assert names(tmp_path) == sorted(Path(segment.path).name for segment in manifest.segments)


def test_encoding_in_many_threads_changes_nothing(subject: Format, tmp_path: Path) -> None:
    expected = write(subject, tmp_path / "one" / "x", DATA, batch_chunks=4)
    writer = subject.make(tmp_path / "many" / "x", len(DATA))
    writer.begin()
    with ThreadPoolExecutor(4) as pool:
        for encoded in pool.map(writer.encode, pieces(writer, DATA, 4)):
            writer.write(encoded)
    manifest = writer.finish(ClosingFacts(digests(DATA)))
    assert named(manifest) == named(expected)
    for one, many in zip(expected.segments, manifest.segments, strict=True):
        assert (tmp_path / "one" / one.path).read_bytes() == (tmp_path / "many" / many.path).read_bytes()


def test_zeros_that_are_known_to_be_zeros_are_stored_as_others(subject: Format, tmp_path: Path) -> None:
    size = 3 * (4 << 20) + 512
    data = bytes(size)
    made = []
    for name, known in (("one", False), ("other", True)):
        writer = subject.make(tmp_path / name / "x", size)
        writer.begin()
        for batch in pieces(writer, data, (4 << 20) // writer.chunk_size):
            writer.write(writer.encode(replace_zeros(batch, known)))
        made.append(named(writer.finish(ClosingFacts(digests(data)))))
    assert made[0] == made[1]
    for segment in made[0].segments:
        one, other = (tmp_path / name / Path(segment.path).name for name in ("one", "other"))
        assert one.read_bytes() == other.read_bytes()


def replace_zeros(batch: Batch, known: bool) -> Batch:
    return Batch(batch.number, batch.offset, batch.data, zeros=known)


def test_the_buffer_may_be_reused_after_write(subject: Format, tmp_path: Path) -> None:
    writer = subject.make(tmp_path / "x", len(DATA))
    writer.begin()
    buffer = bytearray(writer.chunk_size * 3)
    for batch in pieces(writer, DATA, 3):
        buffer[: len(batch.data)] = batch.data
        writer.write(writer.encode(Batch(batch.number, batch.offset, memoryview(buffer)[: len(batch.data)])))
        buffer[:] = os.urandom(len(buffer))
    manifest = writer.finish(ClosingFacts(digests(DATA)))
    assert subject.read_back([tmp_path / segment.path for segment in manifest.segments]) == DATA


def test_an_existing_image_is_refused_before_anything_is_written(subject: Format, tmp_path: Path) -> None:
    manifest = write(subject, tmp_path / "x", DATA)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    writer = subject.make(tmp_path / "x", len(DATA))
    with pytest.raises(DestinationExistsError):
        writer.begin()
    writer.abort()
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before
    assert len(before) == len(manifest.segments)


def test_abort_leaves_nothing(subject: Format, tmp_path: Path) -> None:
    writer = subject.make(tmp_path / "x", len(DATA))
    writer.begin()
    first, *_ = pieces(writer, DATA, 20)
    writer.write(writer.encode(first))
    writer.abort()
    assert names(tmp_path) == []


def test_suspend_keeps_unfinished_files_only(subject: Format, tmp_path: Path) -> None:
    writer = subject.make(tmp_path / "x", len(DATA))
    writer.begin()
    first, *_ = pieces(writer, DATA, 20)
    writer.write(writer.encode(first))
    writer.suspend()
    assert names(tmp_path)
    assert all(name.endswith(".part") for name in names(tmp_path))
