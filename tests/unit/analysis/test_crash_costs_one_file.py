"""A C library that really crashes on one file: that file is lost, with its locator, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forensiq.procedures.hashing import HashRun, hash_files
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.search import search_image, types_of_image
from tests.support.fat import fat_volume

CRASH = """
import ctypes, os
if os.path.exists({victim!r}):
    import forensiq.analysis.content as content

    real = content.opened_stream

    def opened_stream(fs, inode, attribute):
        if inode == int(open({victim!r}).read()):
            ctypes.string_at(0)
        return real(fs, inode, attribute)

    content.opened_stream = opened_stream
    content.digest_stream.__globals__["opened_stream"] = opened_stream
"""

NAMES = [f"/F{number:07d}.TXT" for number in range(20)]


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image whose file 12 crashes every worker that opens it."""
    files = {b"F%07dTXT" % number: b"secret %d" % number for number in range(20)}
    path = tmp_path / "floppy.dd"
    path.write_bytes(fat_volume(files))
    with Listing(image_reference(path)) as listing:
        inode = next(entry.inode for entry in listing.entries() if entry.path == NAMES[12])
    # Beside the image, because the locked-in worker can read there.
    victim = tmp_path / "victim"
    victim.write_text(str(inode))
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(CRASH.format(victim=str(victim)))
    monkeypatch.setenv("PYTHONPATH", str(hooks))
    return path


@pytest.mark.parametrize("workers", [1, 2])
def test_hash(image: Path, workers: int) -> None:
    run = HashRun()
    with Listing(image_reference(image)) as listing:
        entries = list(hash_files(listing, image_reference(image), run, workers=workers))
    done = [entry["path"] for entry in entries if entry["digests"]]
    assert sorted(done) == [name for name in NAMES if name != NAMES[12]]
    assert any("SIGSEGV" in loss.message for loss in run.losses)
    assert any(loss.where.path == NAMES[12] for loss in run.losses)


def test_search_and_types(image: Path) -> None:
    with Listing(image_reference(image)) as listing:
        hits = [hit for hit in search_image(listing, texts=["secret"]) if hit["area"] == "file"]
        assert sorted(hit["path"] for hit in hits) == [name for name in NAMES if name != NAMES[12]]
        kinds = [entry["path"] for entry in types_of_image(listing)]
        assert sorted(kinds) == [name for name in NAMES if name != NAMES[12]]
        assert {loss.where.path for loss in listing.losses if "crashed" in loss.message} >= {NAMES[12]}


def test_lines_are_sent_by_entry_and_none_twice(image: Path) -> None:
    with Listing(image_reference(image)) as listing:
        fs = next(iter(listing.file_systems))
        frames = [json.loads(line) for batch in listing.explorer.walk(fs, do="types") for line in batch.splitlines()]
    assert len({frame["path"] for frame in frames}) == len(frames) == 19
