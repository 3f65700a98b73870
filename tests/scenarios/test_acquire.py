"""Acquire, end to end, the way an examiner types it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from forensiq.clock import monotonic, sleep
from forensiq.model.extent import Extent
from forensiq.model.mapfile import parse_mapfile
from forensiq.model.media_map import ReadStatus
from tests.rig import faulty_device, loop_device
from tests.scenarios.program import forensiq

MIB = 1 << 20


def medium(path: Path, size: int, seed: int = 1) -> bytes:
    """A medium with zeros, text and noise in turn."""
    rng = random.Random(seed)
    pieces: list[bytes] = []
    have = 0
    while have < size:
        kind = rng.randrange(3)
        length = rng.randrange(1, 300_000)
        line = b"the quick brown fox %d\n" % have
        piece = bytes(length) if kind == 0 else (line * (length // len(line) + 1))[:length]
        pieces.append(rng.randbytes(length) if kind == 2 else piece)
        have += length
    data = b"".join(pieces)[:size]
    path.write_bytes(data)
    return data


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_file_becomes_a_verified_e01_with_everything_beside_it(tmp_path: Path) -> None:
    data = medium(tmp_path / "disk.dd", 5 * MIB + 512)
    record = (
        forensiq("acquire", "disk.dd", "out/ITEM-1", "--examiner", "Ä. Lee", "--json", folder=tmp_path).expect(0).json
    )
    assert record["schema"] == "forensiq/acquisition/1"
    assert record["status"] == "complete"
    assert record["digests"] == {"md5": md5(data), "sha256": sha256(data)}
    assert record["verification"]["verdict"] == "verified"
    assert record["metadata"]["examiner"] == "Ä. Lee"
    assert record["unreadable"] == []
    assert record["padding_bytes"] == 0
    out = tmp_path / "out"
    assert names(out) == ["ITEM-1.E01", "ITEM-1.blocks.csv", "ITEM-1.log.txt", "ITEM-1.map", "ITEM-1.record.json"]
    segment = record["image"]["segments"][0]
    assert segment["sha256"] == sha256((out / segment["path"]).read_bytes())
    media_map, _ = parse_mapfile((out / "ITEM-1.map").read_text(), len(data))
    assert media_map.total(ReadStatus.READ) == len(data)
    assert "Ä. Lee" in (out / "ITEM-1.log.txt").read_text("utf-8")
    assert forensiq("verify", out / "ITEM-1.E01", "--json").expect(0).json["verdict"] == "verified"


def test_the_block_digests_are_those_of_the_blocks(tmp_path: Path) -> None:
    data = medium(tmp_path / "disk.dd", 3 * MIB)
    record = forensiq("acquire", "disk.dd", "X", "--block-hash-size", "1MiB", "--json", folder=tmp_path).expect(0).json
    lines = (tmp_path / "X.blocks.csv").read_text().splitlines()
    expected = [
        f"{at // 512},{(at + MIB) // 512 - 1},{sha256(data[at : at + MIB])}," for at in range(0, len(data), MIB)
    ]
    assert lines[1:] == expected
    packed = b"".join(hashlib.sha256(data[at : at + MIB]).digest() for at in range(0, len(data), MIB))
    assert record["block_digests"]["root"] == sha256(packed)


@pytest.mark.parametrize("segment_size", [None, "1MiB"])
def test_a_file_becomes_raw(tmp_path: Path, segment_size: str | None) -> None:
    data = medium(tmp_path / "disk.dd", 3 * MIB + 100)
    more = ["--segment-size", segment_size] if segment_size else []
    record = forensiq("acquire", "disk.dd", "X", "--format", "raw", *more, "--json", folder=tmp_path).expect(0).json
    parts = [tmp_path / each["path"] for each in record["image"]["segments"]]
    assert b"".join(part.read_bytes() for part in parts) == data
    assert all(each["sha256"] == sha256((tmp_path / each["path"]).read_bytes()) for each in record["image"]["segments"])
    assert [part.name for part in parts] == (["X.dd"] if not segment_size else ["X.001", "X.002", "X.003", "X.004"])
    assert record["padding_bytes"] == 0
    assert record["verification"]["verdict"] == "verified"


def test_a_source_that_ends_inside_a_sector_is_padded_and_both_digests_are_told(tmp_path: Path) -> None:
    data = medium(tmp_path / "disk.dd", MIB + 100)
    record = forensiq("acquire", "disk.dd", "X", "--json", folder=tmp_path).expect(0).json
    assert record["padding_bytes"] == 412
    assert record["digests"]["sha256"] == sha256(data + bytes(412))
    assert record["source_digests"]["sha256"] == sha256(data)
    assert record["verification"]["verdict"] == "verified"


def test_a_part_of_the_source_says_so(tmp_path: Path) -> None:
    data = medium(tmp_path / "disk.dd", 2 * MIB)
    record = (
        forensiq("acquire", "disk.dd", "X", "--offset", "8s", "--length", "1MiB", "--json", folder=tmp_path)
        .expect(0)
        .json
    )
    assert record["digests"]["md5"] == md5(data[4096 : 4096 + MIB])
    assert record["range"]["whole"] is False
    assert "nothing is said about the rest" in record["range"]["statement"]
    media_map, _ = parse_mapfile((tmp_path / "X.map").read_text())
    assert media_map.extents(ReadStatus.READ) == (Extent(4096, MIB),)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    medium(tmp_path / "disk.dd", MIB)
    fixed = ["--set-guid", "755fe4af-f08c-4d7a-b0fd-db610658687d", "--acquired-at", "2026-11-22T10:00:00Z"]
    for name in ("a/X", "b/X"):
        forensiq("acquire", "disk.dd", name, *fixed, folder=tmp_path).expect(0)
    assert (tmp_path / "a/X.E01").read_bytes() == (tmp_path / "b/X.E01").read_bytes()


def test_a_second_destination_gets_the_same_image_and_its_own_record(tmp_path: Path) -> None:
    medium(tmp_path / "disk.dd", MIB)
    record = forensiq("acquire", "disk.dd", "a/X", "--copy-to", "b/Y", "--json", folder=tmp_path).expect(0).json
    assert (tmp_path / "a/X.E01").read_bytes() == (tmp_path / "b/Y.E01").read_bytes()
    assert record["copies"][0]["verification"]["verdict"] == "verified"
    assert forensiq("verify", tmp_path / "b/Y.E01", "--json").expect(0).json["verdict"] == "verified"
    assert names(tmp_path / "b") == ["Y.E01", "Y.blocks.csv", "Y.log.txt", "Y.map", "Y.record.json"]


def test_a_second_raw_image_is_verified_too(tmp_path: Path) -> None:
    medium(tmp_path / "disk.dd", MIB)
    done = forensiq("acquire", "disk.dd", "a/X", "--copy-to", "b/Y", "--format", "raw", "--json", folder=tmp_path)
    assert done.expect(0).json["copies"][0]["verification"]["verdict"] == "verified"


def test_an_image_is_never_overwritten(tmp_path: Path) -> None:
    medium(tmp_path / "disk.dd", MIB)
    forensiq("acquire", "disk.dd", "X", folder=tmp_path).expect(0)
    before = {each: (tmp_path / each).read_bytes() for each in names(tmp_path)}
    error = forensiq("acquire", "disk.dd", "X", "--json", folder=tmp_path).expect(6).json
    assert error["error"] == "DestinationExistsError"
    assert {each: (tmp_path / each).read_bytes() for each in names(tmp_path)} == before


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    medium(tmp_path / "disk.dd", MIB)
    plan = forensiq("acquire", "disk.dd", "out/X", "--dry-run", "--json", folder=tmp_path).expect(0).json
    assert plan["schema"] == "forensiq/plan/1"
    assert plan["worst_case"] > MIB
    assert names(tmp_path) == ["disk.dd"]


def test_converting_there_and_back_keeps_bytes_digests_and_case_fields(tmp_path: Path) -> None:
    data = medium(tmp_path / "disk.dd", 2 * MIB)
    forensiq("acquire", "disk.dd", "a/X", "--case-number", "Ж-7", "--hash", "sha1", folder=tmp_path).expect(0)
    raw = forensiq("convert", "a/X.E01", "b/X", "--format", "raw", "--json", folder=tmp_path).expect(0).json
    assert (tmp_path / "b/X.dd").read_bytes() == data
    assert raw["digests"]["sha1"] == hashlib.sha1(data, usedforsecurity=False).hexdigest()
    assert raw["derived_from"]["recorded_sha1"] == raw["digests"]["sha1"]
    back = forensiq("convert", "b/X.dd", "c/X", "--format", "e01", "--json", folder=tmp_path).expect(0).json
    assert back["digests"]["sha256"] == sha256(data)
    assert back["metadata"]["case_number"] == "Ж-7"


def test_converting_an_odd_raw_image_compares_without_the_padding_of_e01(tmp_path: Path) -> None:
    data = medium(tmp_path / "disk.dd", MIB)[:100_001]
    (tmp_path / "disk.dd").write_bytes(data)
    forensiq("acquire", "disk.dd", "a/X", "--format", "raw", folder=tmp_path).expect(0)
    record = forensiq("convert", "a/X.dd", "b/X", "--format", "e01", "--json", folder=tmp_path).expect(0).json
    assert record["source_digests"]["sha256"] == sha256(data)


def test_a_part_of_an_image_is_not_compared_with_the_digests_of_the_whole(tmp_path: Path) -> None:
    data = medium(tmp_path / "disk.dd", MIB)
    forensiq("acquire", "disk.dd", "a/X", folder=tmp_path).expect(0)
    part = ("--offset", "512", "--length", "4KiB", "--json")
    record = forensiq("acquire", "a/X.E01", "b/X", *part, folder=tmp_path).expect(0).json
    assert record["digests"]["sha256"] == sha256(data[512:4608])
    assert record["range"]["whole"] is False


def test_a_path_that_ends_with_a_slash_is_no_name_of_an_image(tmp_path: Path) -> None:
    medium(tmp_path / "disk.dd", MIB)
    (tmp_path / "out").mkdir()
    forensiq("acquire", "disk.dd", "out/", "--json", folder=tmp_path).expect(2)
    assert names(tmp_path) == ["disk.dd", "out"]


def test_converting_an_image_that_is_not_what_it_says_is_told(tmp_path: Path) -> None:
    medium(tmp_path / "disk.dd", MIB)
    forensiq("acquire", "disk.dd", "X", "--format", "raw", folder=tmp_path).expect(0)
    with (tmp_path / "X.dd").open("r+b") as file:
        file.write(b"changed")
    record = forensiq("convert", "X.dd", "out/X", "--format", "e01", "--json", folder=tmp_path).expect(4).json
    assert {each["code"] for each in record["findings"]} >= {"convert.digest"}


def test_ctrl_c_leaves_nothing_that_looks_finished_and_a_record_that_says_so(tmp_path: Path) -> None:
    with (tmp_path / "disk.dd").open("wb") as file:
        file.truncate(200 << 30)
    process = subprocess.Popen(
        [sys.executable, "-m", "forensiq", "acquire", "disk.dd", "out/X", "--json", "--allow-low-space"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = monotonic() + 60
    while not (tmp_path / "out/X.E01.part").exists() and monotonic() < deadline:
        sleep(0.05)
    sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    record: dict[str, Any] = json.loads(out)
    assert record["status"] == "interrupted"
    assert record["verification"] is None
    assert "X.E01" not in names(tmp_path / "out")
    assert "X.E01.part" in names(tmp_path / "out")
    assert json.loads((tmp_path / "out/X.record.json").read_text())["status"] == "interrupted"
    log = (tmp_path / "out/X.log.txt").read_text("utf-8")
    assert "interrupted" in log[:400].lower()
    assert "none: the acquisition did not end" in log


@pytest.mark.root
def test_a_loop_device_is_held_read_only_and_does_not_change(tmp_path: Path) -> None:
    data = medium(tmp_path / "disk.dd", 4 * MIB)
    with loop_device(tmp_path / "disk.dd") as device:
        record = (
            forensiq("acquire", device.path, tmp_path / "X", "--blocker", "Tableau T8u 1234", "--json").expect(0).json
        )
        assert device.is_read_only()
    state = record["write_block"]
    assert state["method"] == "kernel_read_only_flag"
    assert (state["kernel_read_only_before"], state["kernel_read_only_after"]) == (False, True)
    assert state["writes_before"] == state["writes_after"]
    assert state["discards_before"] == state["discards_after"]
    assert state["statement"].startswith("no kernel writes")
    assert state["limits"]
    assert state["external_blocker"] == "Tableau T8u 1234"
    assert record["digests"]["sha256"] == sha256(data) == sha256((tmp_path / "disk.dd").read_bytes())
    assert record["source"]["unavailable"]["serial"]


@pytest.mark.root
def test_sectors_of_4096_bytes_stay_sectors_of_4096_bytes(tmp_path: Path) -> None:
    data = medium(tmp_path / "disk.dd", 4 * MIB)
    with loop_device(tmp_path / "disk.dd", sector_size=4096) as device:
        record = forensiq("acquire", device.path, tmp_path / "X", "--json").expect(0).json
    assert record["source"]["sector_size"] == record["image"]["sector_size"] == 4096
    assert record["digests"]["md5"] == md5(data)


@pytest.mark.root
@pytest.mark.parametrize("image_format", ["e01", "raw"])
def test_unreadable_sectors_are_filled_listed_and_nothing_else_is(tmp_path: Path, image_format: str) -> None:
    data = medium(tmp_path / "disk.dd", 2 * MIB)
    bad = [Extent(512 * 100, 512), Extent(512 * 1000, 512 * 3), Extent(2 * MIB - 512, 512)]
    with faulty_device(tmp_path / "disk.dd", tmp_path / "rig", bad=bad) as device:
        done = forensiq("acquire", device.path, tmp_path / "out/X", "--format", image_format, "--json").expect(3)
    record = done.json
    assert record["status"] == "complete_with_unreadable_sectors"
    found = [(each["offset"], each["length"], each["first_lba"], each["sectors"]) for each in record["unreadable"]]
    assert found == [(each.offset, each.length, each.offset // 512, each.length // 512) for each in bad]
    assert {each["errno"] for each in record["unreadable"]} == {5}
    filled = bytearray(data)
    for each in bad:
        filled[each.offset : each.end] = bytes(each.length)
    assert record["digests"]["sha256"] == sha256(bytes(filled))
    assert record["verification"]["verdict"] == "verified"
    media_map, _ = parse_mapfile((tmp_path / "out/X.map").read_text(), len(data))
    assert media_map.extents(ReadStatus.UNREADABLE) == tuple(bad)
    log = (tmp_path / "out/X.log.txt").read_text("utf-8")
    for said in (sha256(bytes(filled)), md5(bytes(filled)), "5 sectors", *(f"{each.offset // 512:,}" for each in bad)):
        assert said in log, said
    if image_format == "e01":
        info = forensiq("info", tmp_path / "out/X.E01", "--json").expect(0).json
        assert [(each["first_lba"], each["sectors"]) for each in info["acquisition_errors"]] == [
            (each.offset // 512, each.length // 512) for each in bad
        ]
        again = (
            forensiq("convert", tmp_path / "out/X.E01", tmp_path / "c/X", "--format", "raw", "--json").expect(3).json
        )
        assert [(each["offset"], each["length"]) for each in again["unreadable"]] == [
            (each.offset, each.length) for each in bad
        ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_source_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    medium(tmp_path / "disk.dd", 4096)
    (tmp_path / "disk.dd").chmod(0)
    assert forensiq("acquire", "disk.dd", "X", "--json", folder=tmp_path).expect(8).json["error"] == "SourceError"


def test_in_a_case_the_image_has_its_place_and_the_ledger_tells_the_story(tmp_path: Path) -> None:
    medium(tmp_path / "disk.dd", MIB)
    home = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "home")}
    forensiq(
        "case", "new", "C", "--number", "2026-14", "--examiner", "A. Lee", folder=tmp_path, environment=home
    ).expect(0)
    done = forensiq("acquire", "disk.dd", "--case", "C", "--item", "I-1", "--json", folder=tmp_path, environment=home)
    record = done.expect(0).json
    assert record["item"] == record["metadata"]["evidence_number"] == "I-1"
    assert record["metadata"]["case_number"] == "2026-14"
    assert record["ledger_head"]["count"] >= 2
    assert (tmp_path / "C/evidence/I-1/I-1.E01").exists()
    events = [json.loads(line) for line in (tmp_path / "C/ledger.jsonl").read_text().splitlines()]
    actions = [each["action"] for each in events]
    assert actions[-2:] == ["acquire.started", "acquire.finished"]
    bound = events[-1]["digests"]
    assert bound["evidence/I-1/I-1.E01"] == record["image"]["segments"][0]["sha256"]
    forensiq("case", "verify", "C", folder=tmp_path, environment=home).expect(0)
    refused = forensiq("acquire", "disk.dd", "--case", "C", "--item", "I-1", folder=tmp_path, environment=home)
    refused.expect(6)
    assert json.loads((tmp_path / "C/ledger.jsonl").read_text().splitlines()[-1])["action"] == "acquire.aborted"


@pytest.mark.root
def test_a_destination_on_the_source_is_refused(tmp_path: Path) -> None:
    medium(tmp_path / "disk.dd", 8 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(tmp_path / "disk.dd")], check=True)
    mount = tmp_path / "mount"
    mount.mkdir()
    with loop_device(tmp_path / "disk.dd") as device:
        subprocess.run(["mount", device.path, str(mount)], check=True)
        try:
            error = forensiq("acquire", device.path, mount / "X", "--json").expect(6).json
        finally:
            subprocess.run(["umount", str(mount)], check=True)
    assert error["error"] == "SourceInUseError"
    assert str(mount) in error["message"]


def test_too_little_room_is_refused_unless_told(tmp_path: Path) -> None:
    with (tmp_path / "disk.dd").open("wb") as file:
        file.truncate(1 << 43)
    error = forensiq("acquire", "disk.dd", "X", "--segment-size", "1GiB", "--json", folder=tmp_path).expect(6).json
    assert error["error"] == "DestinationUnsafeError"
    assert names(tmp_path) == ["disk.dd"]


def test_a_partition_is_acquired_alone_and_the_record_says_so(tmp_path: Path) -> None:
    data = bytearray(medium(tmp_path / "disk.dd", 4 * MIB))
    entry = bytes([0, 0, 0, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (2048).to_bytes(4, "little")
    data[446:512] = entry + bytes(48) + b"\x55\xaa"
    (tmp_path / "disk.dd").write_bytes(data)
    rows = forensiq("partitions", "disk.dd", "--json", folder=tmp_path).expect(0).lines
    number = str(next(row["index"] for row in rows if row["offset"] == MIB))
    record = forensiq("acquire", "disk.dd", "X", "--partition", number, "--json", folder=tmp_path).expect(0).json
    assert record["digests"]["sha256"] == sha256(bytes(data[MIB : 2 * MIB]))
    assert record["range"]["partition"] == int(number)
    error = forensiq("acquire", "disk.dd", "Y", "--partition", "77", "--json", folder=tmp_path).expect(2).json
    assert "77" in error["message"]
