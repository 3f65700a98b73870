"""Whole runs of the program over an image with hostile names, deleted files and more than one volume."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from forensiq.cli.ls import _line as row_of
from forensiq.model.jsonable import Json
from forensiq.model.listing import FileEntry
from tests.support.disks import mbr_entry, mbr_sector
from tests.support.fat import fat_volume

EXT_START, FAT_START = 2048, 40960
HOSTILE = [
    b"esc\x1b[2J",
    b"bad\xff\xfe",
    b"new\nline",
    b'quote"back\\slash',
    b"-rf",
    b"|bar",
    b" (deleted)",
    b"\xe2\x80\xae",
]


def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "forensiq", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert done.returncode == code, done.stderr.decode("utf-8", "replace")
    return done


def lines(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, Json]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MBR with an ext4 volume of hostile names, a FAT volume with a deleted file, and one of random bytes."""
    if shutil.which("mke2fs") is None:
        pytest.skip("e2fsprogs is not installed")
    folder = tmp_path_factory.mktemp("disk")
    tree = folder / "tree"
    tree.mkdir()
    for number, name in enumerate(HOSTILE):
        (tree / os.fsdecode(name)).write_bytes(b"content %d" % number)
    (tree / "out").symlink_to("/etc")
    (tree / "up").symlink_to("../../..")
    deep = tree
    for _ in range(300):
        deep = deep / "d"
        deep.mkdir()
    (deep / "bottom.txt").write_text("bottom")
    (tree / "sparse.bin").touch()
    os.truncate(tree / "sparse.bin", 1 << 43)
    ext = folder / "ext4"
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", tree, ext, "16M"], check=True, capture_output=True
    )
    image = folder / "disk.dd"
    table = mbr_sector(
        mbr_entry(0x83, EXT_START, 32768), mbr_entry(0x01, FAT_START, 128), mbr_entry(0x83, FAT_START + 128, 64)
    )
    with image.open("wb") as out:
        out.write(table)
        out.seek(EXT_START * 512)
        out.write(ext.read_bytes())
        out.seek(FAT_START * 512)
        out.write(fat_volume({b"GONE    TXT": b"gone", b"KEPT    TXT": b"kept"}, deleted=frozenset({b"GONE    TXT"})))
        out.write(hashlib.shake_256(b"noise").digest(64 * 512))
    shutil.rmtree(tree)
    return image


def test_partitions_tell_all_volumes_and_gaps(disk: Path) -> None:
    rows = lines(run("partitions", disk, "--json"))
    volumes = {row["index"]: row for row in rows if row["index"] is not None}
    assert [volumes[number]["filesystem"] for number in (1, 2, 3)] == ["ext4", "FAT12", None]
    assert volumes[1]["offset"] == EXT_START * 512
    assert volumes[1]["uuid"]
    assert "not recognised" in run("partitions", disk).stdout.decode()
    assert any(row["kind"] == "unpartitioned" for row in rows)


def test_hostile_names_are_exact_in_json_and_harmless_on_a_terminal(disk: Path) -> None:
    done = run("ls", disk, "-r", "--partition", 1, "--json")
    assert all(0x20 <= byte < 0x7F or byte == 0x0A for byte in done.stdout)
    entries = lines(done)
    exact = {
        bytes.fromhex(str(entry["path_hex"])) if "path_hex" in entry else str(entry["path"]).encode()
        for entry in entries
    }
    assert {b"/" + name for name in HOSTILE} <= exact
    bad = next(entry for entry in entries if entry.get("path_hex") == b"/bad\xff\xfe".hex())
    assert bad["path"] == "/bad\ufffd\ufffd"
    shown = run("ls", disk, "-r", "--partition", 1).stdout
    assert b"\x1b" not in shown
    assert "\u202e".encode() not in shown
    assert any(str(entry["path"]).count("/d/d") and str(entry["path"]).endswith("bottom.txt") for entry in entries)


def test_what_cannot_be_listed_is_said_and_never_shown_as_empty(disk: Path) -> None:
    done = run("ls", disk, "--json")
    assert {entry["partition"] for entry in lines(done)} == {1, 2}
    assert b"partition 3 is not in this listing" in done.stderr
    failed = run("ls", disk, "--partition", 3, "--json", code=9)
    assert json.loads(failed.stdout)["error"] == "UnsupportedContentError"
    assert run("ls", disk, "--partition", 9, code=2).stderr


def test_deleted_entries_alone(disk: Path) -> None:
    entries = lines(run("ls", disk, "-r", "--deleted", "--partition", 2, "--json"))
    assert [(entry["path"], entry["allocated"], entry["recovery"]) for entry in entries] == [
        ("/_ONE.TXT", False, "recoverable")
    ]


def test_the_bytes_of_a_file_by_path(disk: Path) -> None:
    assert run("cat", disk, "/KEPT.TXT").stdout == b"kept"
    assert run("cat", disk, "/_ONE.TXT", "--deleted").stdout == b"gone"
    assert run("cat", disk, "/nothing", code=2).stdout == b""


def test_extraction_stays_in_its_folder(disk: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("extract", disk, out, "--partition", 1, "--json", code=3)
    summary = json.loads(done.stdout)
    assert summary["incomplete"] == 1, "the sparse file of 8 TiB is named and not read"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert not [path for path in out.rglob("*") if path.is_symlink()]
    names = {path.name for path in (out / "partition-1").iterdir()}
    assert {"esc%1B[2J", "bad%FF%FE", "new%0Aline", "-rf", "%7Cbar", "%E2%80%AE"} <= names
    manifest = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    links = {line["entry"]["path"] for line in manifest if line["status"] == "not_written"}
    assert {"/out", "/up"} <= links
    assert len(list(out.rglob("bottom.txt"))) == 1


def test_a_time_line_is_sorted(disk: Path) -> None:
    events = lines(run("timeline", disk, "--json"))
    times = [str(event["time"]) for event in events]
    assert times == sorted(
        times, key=lambda text: text[:-1].ljust(29, "0") if "." in text else text[:-1] + ".000000000"
    )
    shown = [line[:19] for line in run("timeline", disk, "--format", "text").stdout.decode().splitlines()]
    assert shown == [str(event["time"])[:19].replace("T", " ") for event in events]
    csv = run("timeline", disk, "--format", "csv", "--partition", 2).stdout.decode().splitlines()
    assert csv[0].startswith("time,activity,partition,path")
    assert any("KEPT.TXT" in line for line in csv)


def test_damage_is_told_by_file(disk: Path) -> None:
    data = FAT_START * 512 + 5 * 512 + 512
    record = json.loads(run("impact", disk, "--range", data, 512, "--json").stdout)
    assert record["schema"] == "forensiq/impact/1"
    assert [(hit["path"], hit["kind"]) for hit in record["files"]] == [("/KEPT.TXT", "content"), ("/KEPT.TXT", "slack")]


@pytest.mark.root
@pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="FUSE cannot be used here")
def test_an_image_is_shown_as_files(disk: Path, tmp_path: Path) -> None:
    place = tmp_path / "mnt"
    run("mount", disk, place, "--deleted")
    try:
        assert (place / "media.raw").stat().st_size == disk.stat().st_size
        digest = hashlib.sha256((place / "media.raw").read_bytes()).hexdigest()
        assert digest == hashlib.sha256(disk.read_bytes()).hexdigest()
        assert (place / "partition-2" / "KEPT.TXT").read_bytes() == b"kept"
        assert (place / "partition-2-deleted" / "_ONE.TXT").read_bytes() == b"gone"
        with pytest.raises(OSError, match="Read-only"):
            (place / "partition-2" / "new").write_text("x")
    finally:
        run("unmount", place)
    assert not list(place.iterdir())


@pytest.mark.root
@pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="FUSE cannot be used here")
def test_a_mount_that_died_can_be_ended(disk: Path, tmp_path: Path) -> None:
    place = tmp_path / "mnt"
    server = subprocess.Popen([sys.executable, "-m", "forensiq", "mount", "--foreground", disk, place])
    for _ in range(200):
        if (place / "media.raw").exists():
            break
        subprocess.run(["sleep", "0.1"], check=True)
    server.kill()
    server.wait()
    assert json.loads(run("unmount", place, "--json").stdout)["left_behind"] is True
    assert not list(place.iterdir())


def test_rows_made_in_the_worker_are_those_made_from_json(disk: Path) -> None:
    entries = [FileEntry.from_json(each) for each in lines(run("ls", disk, "-r", "--json"))]
    shown = run("ls", disk, "-r", "--quiet").stdout.decode().splitlines()
    rows = [row for row in shown if " · from byte " not in row]
    assert any(row.endswith("/bottom.txt") for row in rows)
    assert rows == [row_of(each) for each in entries]


def test_event_rows_made_in_the_worker_are_those_made_from_json(disk: Path) -> None:
    entries = [FileEntry.from_json(each) for each in lines(run("ls", disk, "-r", "--json"))]
    events = [json.loads(line) for line in run("timeline", disk, "--format", "jsonl", "--quiet").stdout.splitlines()]
    plain = {each.path for each in entries if each.allocated and each.stream is None and each.mtime}
    modified = {each["path"]: each["time"] for each in events if "m" in each["activity"] and each["source"] == "inode"}
    assert plain
    assert {path: modified[path] for path in plain} == {
        each.path: each.mtime for each in entries if each.path in plain and each.stream is None
    }
