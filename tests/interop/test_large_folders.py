"""Large folders of ext, which are read here, against The Sleuth Kit's own reading of the same folders."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from forensiq.analysis import ext_folders
from forensiq.analysis.levels import Level
from forensiq.analysis.opening import ImageRef, open_reference
from forensiq.analysis.tsk import TskFileSystem, TskImage, library
from forensiq.analysis.tsk_structs import NAME
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference

Rows = list[tuple[bytes, int, int, int]]


def rows(level: Level) -> Rows:
    found: Rows = []
    for index in range(level.count):
        _, name, inode, _, kind, flags = NAME.unpack_from(level.raw, index * NAME.size)
        found.append((ctypes.string_at(name), inode, kind, flags))
    return found


def make(image: Path, tree: Path, *options: str) -> None:
    if shutil.which("mke2fs") is None:
        pytest.skip("e2fsprogs is not installed")
    subprocess.run(["mke2fs", "-q", "-F", *options, "-d", tree, image, "24M"], check=True, capture_output=True)


@pytest.mark.parametrize("options", [("-t", "ext4"), ("-t", "ext2", "-b", "1024"), ("-t", "ext4", "-O", "^filetype")])
def test_the_same_entries_in_the_same_order(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted names in the gaps included: debugfs removes every third file."""
    tree, image = tmp_path / "tree", tmp_path / "image.dd"
    (tree / "many").mkdir(parents=True)
    for number in range(2000):
        (tree / "many" / f"file-{number:05d}{'-long' * (number % 7)}").touch()
    (tree / "many" / "link").symlink_to("x")
    (tree / "many" / "folder").mkdir()
    make(image, tree, *options)
    kills = "\n".join(f"rm /many/file-{n:05d}{'-long' * (n % 7)}" for n in range(0, 2000, 3))
    subprocess.run(["debugfs", "-w", "-f", "-", image], input=kills.encode(), check=True, capture_output=True)
    opened = open_reference(ImageRef(str(image)))
    fs = TskFileSystem(TskImage(library(), opened, 512), 0)
    monkeypatch.setattr(ext_folders, "LARGE_FOLDER", 0)
    compared = 0
    for inode in range(2, 40):
        listed = ext_folders.large_folder(fs, inode)
        pointer = fs.lib.fs_dir_open_meta(fs.pointer, inode)
        if listed is None or not pointer:
            continue
        theirs = rows(Level(pointer, inode, "/", None, orphan=False))
        assert rows(Level(0, inode, "/", None, orphan=False, listed=listed)) == theirs
        compared += len(theirs)
        fs.lib.fs_dir_close(pointer)
    assert compared > 2000
    fs.close()


def test_a_folder_that_the_library_would_take_minutes_for(tmp_path: Path) -> None:
    """A file that is made of blocks of a directory becomes a folder: nothing else makes so many names in a second."""
    tree, image = tmp_path / "tree", tmp_path / "image.dd"
    tree.mkdir()
    (tree / "one").touch()
    names = [b"file-%07d" % number for number in range(150_000)]
    blocks: list[bytes] = []
    for start in range(0, len(names), 200):
        block = b"".join(struct.pack("<IHBB", 12, 20, len(each), 1) + each for each in names[start : start + 200])
        # The last name of a block has what is left of it.
        last = len(block) - 20
        blocks.append(block[: last + 4] + struct.pack("<H", 4096 - last) + block[last + 6 :] + bytes(96))
    (tree / "many").write_bytes(b"".join(blocks))
    make(image, tree, "-t", "ext2", "-b", "4096")
    change = b"sif /many mode 040755\nln /many /folder\nunlink /many\n"
    subprocess.run(["debugfs", "-w", "-f", "-", image], input=change, check=True, capture_output=True)
    with Listing(image_reference(image), stall=20) as listing:
        entries = sum(batch.count(b"\n") for batch in listing.batches(recurse=True))
        assert not listing.losses
    assert entries > len(names)
