"""A destination that is really full: a small file system in memory."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensiq.errors import DestinationFullError
from forensiq.images.ewf.config import EwfConfig
from forensiq.images.ewf.writer import EwfWriter
from forensiq.model.image import ClosingFacts
from tests.support.ewf import digests, feed
from tests.support.ewf_walk import media

DATA = random.Random(11).randbytes(6 << 20)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"tmpfs cannot be mounted here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.root
@pytest.mark.parametrize("segment_size", [1 << 30, 900_000])
def test_stop_and_resume_on_another_disk(small_disk: Path, tmp_path: Path, segment_size: int) -> None:
    config = EwfConfig(stem=small_disk / "x", media_size=len(DATA), segment_size=segment_size)
    writer = EwfWriter(config)
    writer.begin()
    with pytest.raises(DestinationFullError):
        feed(writer, DATA, chunks=8)
    writer.suspend()
    assert writer.stored > 3 << 20
    resumed = EwfWriter.resume(config, spill=lambda *_: tmp_path / "more")
    assert resumed.stored == writer.stored
    feed(resumed, DATA, start=resumed.stored, chunks=8)
    manifest = resumed.finish(ClosingFacts(digests(DATA)))
    paths = [small_disk / segment.path for segment in manifest.segments]
    assert media(paths) == DATA
    assert {path.parent for path in paths} == {small_disk, tmp_path / "more"}
