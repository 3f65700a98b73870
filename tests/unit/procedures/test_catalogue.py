"""What a catalogue answers, and when it must not."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forensiq.analysis.explorer import Explorer
from forensiq.errors import ForensiqError, RecordFormatError, UsageError
from forensiq.model.digest import HashAlgorithm
from forensiq.procedures.catalogue import open_listing
from forensiq.procedures.hashing import HashRun, hash_files
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.search import types_of_image
from forensiq.procedures.timeline import EventForm, sorted_events
from tests.support.fat import fat_volume

FILES = {b"A       TXT": b"alpha", b"B       JPG": b"PK\x03\x04", b"GONE    TXT": b"gone"}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "floppy.dd"
    path.write_bytes(fat_volume(FILES, deleted=frozenset({b"GONE    TXT"})))
    return path


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "case/catalogue.sqlite"


def no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Iterator[bytes]:
        raise AssertionError("a walk was made")

    monkeypatch.setattr(Explorer, "walk", refuse)


def everything(listing: Listing) -> list[object]:
    return [
        b"".join(listing.batches(recurse=True)),
        b"".join(listing.batches(recurse=True, deleted=True)),
        b"".join(listing.body("/mnt/")),
        list(sorted_events(listing, EventForm.JSON)),
        list(types_of_image(listing)),
    ]


def digests(listing: Listing) -> list[str]:
    found = hash_files(listing, listing.reference, HashRun(), algorithms=[HashAlgorithm.SHA256], workers=1)
    return sorted(json.dumps(entry) for entry in found)


def test_an_answer_from_the_catalogue_is_the_same_and_needs_no_walk(
    image: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = image_reference(image)
    with open_listing(reference) as listing:
        expected, sums = everything(listing), digests(listing)
    with open_listing(reference, catalogue=kept) as listing:
        assert everything(listing) == expected
        assert digests(listing) == sums
    no_walk(monkeypatch)
    with open_listing(reference, catalogue=kept) as listing:
        assert everything(listing) == expected
        assert digests(listing) == sums
        assert listing.answered is not None


def replaced_by_a_copy(path: Path) -> None:
    path.rename(path.with_suffix(".old"))
    path.write_bytes(path.with_suffix(".old").read_bytes())


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte": lambda path: path.write_bytes(path.read_bytes().replace(b"alpha", b"alphb")),
    "its time": lambda path: os.utime(path, ns=(1, 1)),
    "replaced by a copy": replaced_by_a_copy,
    "a record appears": lambda path: path.with_name("floppy.record.json").write_text("{}"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_image_is_walked_again(image: Path, kept: Path, change: str) -> None:
    reference = image_reference(image)
    with open_listing(reference, catalogue=kept) as listing:
        list(listing.batches(recurse=True))
    CHANGES[change](image)
    with open_listing(reference, catalogue=kept) as listing:
        list(listing.batches(recurse=True))
        assert listing.answered is None
        assert listing.forgotten == 1
    with sqlite3.connect(kept) as base:
        assert base.execute("SELECT count(*) FROM image").fetchone() == (1,)


def test_a_byte_changed_behind_the_modification_time_is_seen(image: Path, kept: Path) -> None:
    reference = image_reference(image)
    with open_listing(reference, catalogue=kept) as listing:
        before = digests(listing)
    facts = image.stat()
    with image.open("r+b") as file:
        file.seek(image.read_bytes().index(b"alpha"))
        file.write(b"ALPHA")
    os.utime(image, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    with open_listing(reference, catalogue=kept) as listing:
        assert digests(listing) != before


def test_an_answer_that_is_not_complete_is_not_kept(image: Path, kept: Path) -> None:
    reference = image_reference(image)
    with open_listing(reference, catalogue=kept) as listing:
        walk = listing.batches(recurse=True)
        next(walk)
        walk.close()  # type: ignore[attr-defined]
    with open_listing(reference, catalogue=kept) as listing:
        list(listing.batches(recurse=True))
        assert listing.answered is None


def test_an_image_that_changes_meanwhile_is_not_kept(image: Path, kept: Path) -> None:
    reference = image_reference(image)
    with open_listing(reference, catalogue=kept) as listing:
        walk = listing.batches(recurse=True)
        next(walk)
        os.utime(image, ns=(5, 5))
        with pytest.raises(UsageError, match="changed"):
            list(walk)
    with open_listing(reference, catalogue=kept) as listing:
        list(listing.batches(recurse=True))
        assert listing.answered is None


def test_losses_are_told_again(image: Path, kept: Path) -> None:
    reference = image_reference(image)
    with open_listing(reference, catalogue=kept) as listing:
        fs = next(iter(listing.file_systems))
        for batch in listing.batches(recurse=True):
            listing.explorer._lost(fs, "made up for this test", 7, "/A.TXT")
            assert batch
        told = list(listing.losses)
    assert told
    with open_listing(reference, catalogue=kept) as listing:
        list(listing.batches(recurse=True))
        assert listing.losses == told


def test_views_for_other_tools(image: Path, kept: Path) -> None:
    with open_listing(image_reference(image), catalogue=kept) as listing:
        everything(listing)
        digests(listing)
    with sqlite3.connect(kept) as base:
        assert ("/A.TXT", 5) in base.execute("SELECT path, size FROM files").fetchall()
        assert ("/B.JPG", "application/zip", 1) in base.execute(
            "SELECT path, content_type, mismatch FROM content_types"
        ).fetchall()
        (digest,) = base.execute("SELECT sha256 FROM digests WHERE path = '/A.TXT'").fetchone()
        assert len(digest) == 64
        assert base.execute('SELECT "index", content FROM volumes').fetchall() == [(0, "FAT12")]
        assert base.execute("SELECT count(*) FROM findings").fetchone() == (0,)


def test_what_is_no_catalogue_is_refused_and_left_alone(image: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as base:
        base.execute("CREATE TABLE t (x)")
    text = tmp_path / "notes.txt"
    text.write_text("notes")
    for path in (other, text, tmp_path):
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises(UsageError):
            open_listing(image_reference(image), catalogue=path)
        assert not path.is_file() or path.read_bytes() == before


def test_lines_that_we_did_not_write_are_not_shown(image: Path, kept: Path) -> None:
    with open_listing(image_reference(image), catalogue=kept) as listing:
        list(listing.batches(recurse=True))
    with sqlite3.connect(kept) as base:
        base.execute('UPDATE line SET text = \'{"path":"\x1b[2J"}\'')
    with open_listing(image_reference(image), catalogue=kept) as listing, pytest.raises(RecordFormatError):
        list(listing.batches(recurse=True))


def test_a_device_is_refused(kept: Path) -> None:
    with pytest.raises(ForensiqError):
        open_listing(image_reference(Path("/dev/zero"), image_format="raw"), catalogue=kept)
    assert not kept.exists()
