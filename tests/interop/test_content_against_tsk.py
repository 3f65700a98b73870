"""Bytes and time lines against The Sleuth Kit's icat and fls -m, on real images."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from forensiq.analysis.content import has_content
from forensiq.analysis.explorer import FileSystemRef, entries_of
from forensiq.model.jsonable import to_json
from forensiq.model.listing import FileEntry
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.timeline import EventForm, shown_rows, sorted_events
from forensiq.streams.frames import FrameKind
from tests.interop.test_listings_against_tsk import unpacked
from tests.support.real_images import real_images

pytestmark = pytest.mark.skipif(shutil.which("icat") is None, reason="The Sleuth Kit is not installed")

IMAGES = [
    "dfvfs/ext4.raw.xz", "dfvfs/fat12.raw.xz", "dfvfs/hfsplus.raw.xz", "dfvfs/iso9660.raw", "dfvfs/ntfs.raw.xz",
    "dissect/fat/exfat.bin.xz", "dfir_ntfs/ntfs_index.raw.gz", "sleuthkit/image.dd", "go-ext4/hierarchy_64.ext4.xz",
]  # fmt: skip


def image_of(name: str, folder: Path) -> Path:
    stored = real_images() / name
    if not stored.exists():
        pytest.skip(f"{name} is not among the real images")
    image = unpacked(stored, folder)
    assert image is not None
    return image


@pytest.mark.parametrize("name", IMAGES)
def test_the_same_bytes_as_icat(name: str, tmp_path: Path) -> None:
    image = image_of(name, tmp_path)
    with Listing(image_reference(image, image_format="raw")) as listing:
        for fs in listing.file_systems:
            entries = [entry for batch in listing.explorer.walk(fs) for entry in entries_of(batch)]
            chosen = [entry for entry in entries if _readable(entry)][:25]
            for entry in chosen:
                place = f"{entry.inode}-{entry.attribute}" if entry.attribute else str(entry.inode)
                theirs = _icat(image, fs, place)
                if theirs is None:
                    assert not entry.size, f"icat cannot read {entry.path}"
                    continue
                ours = hashlib.sha256()
                for piece in listing.explorer.read(fs, entry.inode, entry.attribute):
                    ours.update(piece)
                assert ours.hexdigest() == hashlib.sha256(theirs).hexdigest(), entry.path


def _readable(entry: FileEntry) -> bool:
    value = to_json(entry)
    return isinstance(value, dict) and has_content(value) and (entry.size or 0) < 1 << 22


def _icat(image: Path, fs: FileSystemRef, place: str) -> bytes | None:
    command = ["icat", "-i", "raw", "-o", str(fs.volume.offset // 512), str(image), place]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


BEFORE_1970 = "TSK 4.11 prints times before 1970 as if they were after; 4.15 (pytsk3) and we do not"


@pytest.mark.parametrize("name", [name for name in IMAGES if "exfat" not in name])
def test_the_same_body_file_as_fls(name: str, tmp_path: Path) -> None:
    image = image_of(name, tmp_path)
    with Listing(image_reference(image, image_format="raw")) as listing:
        systems = list(listing.file_systems)
        ours = sorted(b"".join(listing.body()).decode().splitlines())
    theirs: list[str] = []
    for fs in systems:
        command = ["fls", "-r", "-m", "/", "-i", "raw", "-o", str(fs.volume.offset // 512), str(image)]
        done = subprocess.run(command, capture_output=True, check=True)
        theirs += done.stdout.decode("utf-8", "replace").splitlines()
    different = set(ours) ^ set(theirs)
    unexplained = [line for line in different if not _before_1970(line, different)]
    assert not unexplained
    assert len(ours) == len(theirs)


def _before_1970(line: str, different: set[str]) -> bool:
    """See BEFORE_1970: the same line but for its times, which are 0 with us."""
    head = line.rsplit("|", 4)[0]
    return sum(each.rsplit("|", 4)[0] == head for each in different) == 2 and (head + "|0|0|0|0") in different


def test_events_are_sorted_and_complete(tmp_path: Path) -> None:
    image = image_of("dfvfs/ntfs.raw.xz", tmp_path)
    with Listing(image_reference(image, image_format="raw")) as listing:
        together = [row for batch in sorted_events(listing, EventForm.JSON) for row in batch]
        from_disk = [row for batch in sorted_events(listing, EventForm.JSON, run_bytes=4000) for row in batch]
        entries = list(listing.entries())
    assert together == from_disk == sorted(together)
    values = [json.loads(row) for row in shown_rows(together, EventForm.JSON, bytes)]
    assert any(value["source"] == "$FILE_NAME" for value in values)
    expected = {
        (entry.inode, entry.stream, entry.path, time)
        for entry in entries
        for time in (entry.mtime, entry.atime, entry.ctime, entry.crtime)
        if time
    }
    assert {(v["inode"], v["stream"], v["path"], v["time"]) for v in values if v["source"] == "inode"} == expected


@pytest.mark.parametrize("name", IMAGES)
def test_entries_loaded_one_by_one_give_the_same_lines_as_batches(name: str, tmp_path: Path) -> None:
    image = image_of(name, tmp_path)
    with Listing(image_reference(image, image_format="raw")) as listing:
        for fs in listing.file_systems:
            folders = {0} | {entry.inode for entry in listing.entries() if "directory" in entry.type}
            folders |= set(range(1, 8))
            for form in ({}, {"body": "/"}, {"rows": True}, {"events": "text"}, {"events": "csv"}, {"events": "jsonl"}):
                together = b"".join(listing.explorer.walk(fs, **form))
                frames = listing.explorer.worker.ask("walk", **fs.request(), **form, careful=sorted(folders))
                single = b"".join(payload for kind, payload in frames if kind is not FrameKind.REPORT)
                if form.get("rows") or form.get("events") in ("text", "csv"):
                    # An entry that was not in a batch comes as JSON; what is shown of it is compared elsewhere.
                    assert single.count(b"\n") == together.count(b"\n")
                elif form.get("events"):
                    assert _shown(single) == _shown(together)
                else:
                    assert single == together


def _shown(rows: bytes) -> list[bytes]:
    return sorted(shown_rows(rows.splitlines(), EventForm.JSON, bytes))
