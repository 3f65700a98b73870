"""The corpus of damaged volumes, and hostile ones: no crash, no hang, nothing written outside the output folder."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fixtures.build import HERE
from fixtures.damaged_volumes import DAMAGED
from fixtures.ext2 import DIRECTORY, FILE, ROOT, Ext2
from forensiq.analysis.explorer import entries_of
from forensiq.errors import UnsupportedContentError, VerificationFailed
from forensiq.procedures.extract import extract_files
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference, list_partitions
from forensiq.procedures.reading import find_stream, read_stream

TOLD = {
    "ext2-folder-in-itself.dd": "contains itself",
    "ext2-folders-with-very-many-paths.dd": "further paths to folders",
    "fat12-folder-in-itself.dd": "contains itself",
    "xfs-folder-in-itself.dd": "contains itself",
    "xfs-root-outside.dd": "not in this file system",
    "xfs-one-million-groups.dd": "behind the end of the medium",
}
"""What is said of a file system that can be listed."""
REFUSED = {
    "ext2-block-size-out-of-range.dd": "recognised, but cannot be opened",
    "ext2-no-inodes-in-a-group.dd": "recognised, but cannot be opened",
    "xfs-block-size-0.dd": "do not fit together",
}
"""What is said where nothing can be listed."""
HANGS = ("ext2-indirect-block-in-itself.dd",)
"""Volumes with a file that the library does not come back from: it costs that file."""
BAD_CONTENT = ("ext2-file-of-16-eib.dd", "fat12-chain-in-a-circle.dd")
"""Volumes with a file that claims more than can be read: it must not look whole."""


def outside(folder: Path, inside: Path) -> set[str]:
    """Every path below ``folder`` that is not below ``inside``."""
    found = set()
    for place, _, names in os.walk(folder):
        if not Path(place).is_relative_to(inside):
            found |= {str(Path(place) / name) for name in names}
    return found


@pytest.mark.parametrize("name", DAMAGED)
def test_every_damaged_volume(name: str, tmp_path: Path) -> None:
    image = HERE / "damaged" / name
    before = image.read_bytes()
    reference = image_reference(image)
    begun = time.monotonic()  # noqa: TID251
    if name.startswith(("gpt", "mbr")):
        assert list_partitions(reference).rows
        return
    try:
        with Listing(reference, stall=4 if name in HANGS else 30) as listing:
            (fs,) = listing.file_systems
            entries = [entry for batch in listing.explorer.walk(fs) for entry in entries_of(batch)]
            assert len(entries) < 100_000
            asked = {"texts": ["good"], "expressions": [], "hexes": [], "free": True}
            list(listing.explorer.walk(fs, do="scan", **asked))  # type: ignore[arg-type]
            list(listing.explorer.walk(fs, do="digest", algorithms=["md5"]))
            messages = [loss.message for loss in listing.losses]
    except UnsupportedContentError as refused:
        why = refused.message
        assert name not in TOLD
        assert REFUSED.get(name, "") in why
    else:
        assert name not in REFUSED
        assert bool([message for message in messages if "did not move" in message]) == (name in HANGS)
        assert not [message for message in messages if "crashed (" in message or "unexpectedly" in message]
        assert any(TOLD.get(name, "") in message for message in messages) or name not in TOLD
    if name in ("ext2-hostile-names.dd", "ext2-hostile-links.dd", *BAD_CONTENT):
        summary = extract_files(reference, tmp_path / "out", deleted=True)
        assert summary.written
        assert bool(summary.incomplete) == (name in BAD_CONTENT)
        assert not outside(tmp_path, tmp_path / "out")
        assert not [path for path in (tmp_path / "out").rglob("*") if path.is_symlink()]
    assert image.read_bytes() == before
    assert time.monotonic() - begun < 120  # noqa: TID251


def build(volume: Ext2, path: Path) -> Path:
    volume.finish()
    with path.open("wb") as file:
        volume.write(file)
    return path


def test_ten_thousand_folders_deep(tmp_path: Path) -> None:
    volume = Ext2(block=4096, blocks=20_000, inodes=10_100)
    at = ROOT
    for _ in range(10_000):
        at = volume.folder(at, b"d")
    volume.file(at, b"bottom.txt", b"here")
    with Listing(image_reference(build(volume, tmp_path / "deep.dd"))) as listing:
        paths = [entry.path for entry in listing.entries() if entry.type == "file"]
        assert paths == ["/d" * 10_000 + "/bottom.txt"]
        assert not listing.losses


def test_a_folder_of_many_entries(tmp_path: Path) -> None:
    many_entries(tmp_path, 20_000)


def many_entries(folder: Path, count: int) -> None:
    volume = Ext2(block=4096, blocks=count // 100 + 200, inodes=32)
    one = volume.file(ROOT, b"one.txt", b"one")
    inside = volume.folder(ROOT, b"many")
    for number in range(count):
        volume.name(inside, b"n%07d" % number, one, FILE)
    with Listing(image_reference(build(volume, folder / "many.dd"))) as listing:
        found = sum(batch.count(b'"path":"/many/n') for batch in listing.batches(recurse=True))
        assert not listing.losses
    assert found == count


def test_a_sparse_file_of_many_terabytes_is_named_and_not_read(tmp_path: Path) -> None:
    volume = Ext2()
    volume.name(ROOT, b"huge.bin", volume.inode(FILE, (1 << 63) - 1, ()), FILE)
    volume.name(ROOT, b"itself", ROOT, DIRECTORY)
    reference = image_reference(build(volume, tmp_path / "sparse.dd"))
    summary = extract_files(reference, tmp_path / "out")
    assert summary.bytes < 1 << 20
    assert summary.incomplete
    with Listing(reference) as listing:
        found = find_stream(listing, "/huge.bin")
        with pytest.raises(VerificationFailed, match=r"no content that can be read|far more than the medium"):
            list(read_stream(listing, found))
