"""Writing evidence out: nothing gets out of the folder, nothing is lost, everything is told."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiq.errors import DestinationExistsError, UsageError
from forensiq.model.digest import HashAlgorithm
from forensiq.procedures.extract import extract_files
from forensiq.procedures.hashing import HashRun, hash_files
from forensiq.procedures.known_files import KnownFiles
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.reading import find_stream, read_stream
from forensiq.procedures.safe_tree import SafeTree, safe_name
from tests.support.fat import fat_volume

FILES = {b"A       TXT": b"alpha", b"EMPTY   BIN": b"", b"B       TXT": b"beta" * 500, b"GONE    TXT": b"gone" * 200}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "floppy.dd"
    path.write_bytes(fat_volume(FILES, deleted=frozenset({b"GONE    TXT"})))
    return path


@settings(max_examples=300)
@given(st.binary(max_size=400).filter(lambda raw: b"\0" not in raw and b"/" not in raw))
def test_a_safe_name_is_one_harmless_component(raw: bytes) -> None:
    name = safe_name(raw)
    assert name
    assert len(name.encode()) <= 255
    assert name not in (".", "..")
    assert not set(name) & set('<>:"/\\|?*')
    assert all(character.isprintable() for character in name)
    assert name == name.rstrip(". ")
    assert name.upper().split(".")[0] not in ("CON", "NUL", "AUX", "PRN")


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"..", "%2E%2E"),
        (b"report.txt", "report.txt"),
        ("größe".encode(), "größe"),
        (b"a\x1b[2Jb", "a%1B[2Jb"),
        (b"con.txt", "%63on.txt"),
        (b"x:y", "x%3Ay"),
        (b"bad\xff", "bad%FF"),
        (b"dot.", "dot%2E"),
        (b"100%", "100%25"),
    ],
)
def test_names_are_escaped_with_one_reading(raw: bytes, name: str) -> None:
    assert safe_name(raw) == name


def test_names_that_differ_only_in_case_are_kept_apart(tmp_path: Path) -> None:
    tree = SafeTree(tmp_path / "out")
    for raw in (b"Name", b"name", b"NAME"):
        with tree.file((b"top", raw)) as (_, out):
            out.write(raw)
    tree.close()
    assert sorted(path.name for path in (tmp_path / "out" / "top").iterdir()) == ["NAME~3", "Name", "name~2"]


def test_a_link_planted_in_the_output_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    tree = SafeTree(tmp_path / "out")
    tree.folder((b"top",))
    (tmp_path / "out" / "top").rmdir()
    (tmp_path / "out" / "top").symlink_to(outside)
    with pytest.raises(OSError, match="top"), tree.file((b"top", b"file")):
        pass
    tree.close()
    assert not list(outside.iterdir())


def test_everything_is_written_with_a_manifest(image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = extract_files(image_reference(image), out)
    assert (out / "medium" / "A.TXT").read_bytes() == b"alpha"
    assert (out / "medium" / "B.TXT").read_bytes() == b"beta" * 500
    assert (out / "medium" / "EMPTY.BIN").read_bytes() == b""
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    written = {line["output"]: line for line in lines if line["status"] == "written"}
    assert written["medium/B.TXT"]["sha256"] == hashlib.sha256(b"beta" * 500).hexdigest()
    assert summary.manifest_sha256 == hashlib.sha256((out / "manifest.jsonl").read_bytes()).hexdigest()
    assert (out / "medium" / "A.TXT").stat().st_mtime == 1735732800
    assert not list(out.rglob("*GONE*"))


def test_deleted_files_are_apart(image: Path, tmp_path: Path) -> None:
    extract_files(image_reference(image), tmp_path / "out", deleted=True)
    gone = tmp_path / "out" / "medium-deleted" / "_ONE.TXT"
    assert gone.read_bytes() == b"gone" * 200


def test_a_folder_that_holds_something_is_refused(image: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(DestinationExistsError):
        extract_files(image_reference(image), tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "mine"


def test_one_path_alone(image: Path, tmp_path: Path) -> None:
    extract_files(image_reference(image), tmp_path / "out", path="/A.TXT")
    assert [path.name for path in (tmp_path / "out" / "medium").iterdir()] == ["A.TXT"]
    with pytest.raises(UsageError):
        extract_files(image_reference(image), tmp_path / "other", path="/NOT.TXT")


def test_a_file_is_found_by_path_and_by_inode(image: Path) -> None:
    with Listing(image_reference(image)) as listing:
        by_path = find_stream(listing, "/B.TXT")
        assert b"".join(read_stream(listing, by_path)) == b"beta" * 500
        by_inode = find_stream(listing, None, inode=by_path.entry.inode)
        assert b"".join(read_stream(listing, by_inode)) == b"beta" * 500
        assert b"".join(read_stream(listing, by_path, slack=True)) == (b"beta" * 500).ljust(2048, b"\0")
        with pytest.raises(UsageError):
            find_stream(listing, "/nothing")


def test_digests_and_known_files(image: Path, tmp_path: Path) -> None:
    known = tmp_path / "known.txt"
    known.write_text(f"# list\n{hashlib.sha1(b'alpha').hexdigest().upper()}  alpha.txt\n")
    base = tmp_path / "rds.db"
    with sqlite3.connect(base) as connection:
        connection.execute("CREATE TABLE FILE (sha256 TEXT, sha1 TEXT, md5 TEXT, file_name TEXT, PRIMARY KEY (md5))")
        connection.execute(
            "INSERT INTO FILE VALUES (?, ?, ?, 'b.txt')",
            tuple(hashlib.new(name, b"beta" * 500).hexdigest().upper() for name in ("sha256", "sha1", "md5")),
        )
    connection.close()
    before = base.read_bytes()
    run = HashRun()
    reference = image_reference(image)
    with Listing(reference) as listing:
        found = {
            entry["path"]: entry
            for entry in hash_files(listing, reference, run, algorithms=[HashAlgorithm.SHA256], known=[known, base])
        }
    assert found["/A.TXT"]["known"] == ["known.txt"]
    assert found["/B.TXT"]["known"] == ["rds.db"]
    assert found["/EMPTY.BIN"]["known"] == []
    assert found["/B.TXT"]["digests"]["sha256"] == hashlib.sha256(b"beta" * 500).hexdigest()
    assert found["/_ONE.TXT"]["digests"]["sha256"] == hashlib.sha256(b"gone" * 200).hexdigest()
    assert (run.known, run.unread) == (2, 0)
    assert base.read_bytes() == before


def test_a_known_set_without_digests_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("nothing here\n")
    with pytest.raises(UsageError):
        KnownFiles([empty])
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE NOTFILE (x)")
    connection.close()
    with pytest.raises(UsageError):
        KnownFiles([other])
