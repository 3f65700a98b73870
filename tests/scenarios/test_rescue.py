"""Failing drives through the whole program: passes, interruptions, hanging reads, exchange with GNU ddrescue."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from forensiq.clock import monotonic, sleep
from forensiq.model.extent import Extent
from tests.rig import faulty_device, need_tools
from tests.scenarios.program import forensiq

SIZE = 4 << 20
BAD = [Extent(512 * 1000, 512 * 40), Extent(512 * 4000, 512), Extent(512 * 6000, 512 * 8)]

pytestmark = [pytest.mark.root, pytest.mark.slow]


def medium(path: Path) -> bytes:
    data = random.Random(11).randbytes(SIZE)
    path.write_bytes(data)
    return data


def filled(data: bytes) -> str:
    image = bytearray(data)
    for each in BAD:
        image[each.offset : each.end] = bytes(each.length)
    return hashlib.sha256(image).hexdigest()


@pytest.mark.parametrize("image_format", ["e01", "raw"])
def test_killed_in_the_middle_of_a_rescue_it_goes_on(tmp_path: Path, image_format: str) -> None:
    data = medium(tmp_path / "disk.dd")
    slow = [Extent(512 * 4100, 512 * 1000)]
    with faulty_device(tmp_path / "disk.dd", tmp_path / "rig", bad=BAD, slow=slow, delay_s=0.3) as device:
        command = [sys.executable, "-m", "forensiq", "acquire", device.path, str(tmp_path / "out/X"), "--quiet"]
        process = subprocess.Popen([*command, "--format", image_format], stdout=subprocess.DEVNULL)
        deadline = monotonic() + 60
        while not (tmp_path / "out/X.state.json").exists() and monotonic() < deadline:
            sleep(0.05)
        begun = len(device.reads())
        while len(device.reads()) < begun + 12 and monotonic() < deadline:
            sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "out" / ("X.E01" if image_format == "e01" else "X.dd")).exists()
        again = forensiq("acquire", device.path, tmp_path / "out/X", "--resume", "--json").expect(3).json
    assert again["digests"]["sha256"] == filled(data)
    assert [(each["offset"], each["length"]) for each in again["unreadable"]] == [(e.offset, e.length) for e in BAD]
    assert again["verification"]["verdict"] == "verified"
    assert again["sittings"] == 2
    left = {each.name for each in (tmp_path / "out").iterdir()}
    assert not {name for name in left if name.endswith((".part", ".state.json", ".rescue.map"))}


def test_a_read_that_does_not_return_ends_the_run_and_it_can_be_resumed(tmp_path: Path) -> None:
    data = medium(tmp_path / "disk.dd")
    with faulty_device(tmp_path / "disk.dd", tmp_path / "rig", hanging=[Extent(512 * 5000, 512)]) as device:
        arguments = ["acquire", device.path, str(tmp_path / "X"), "--read-timeout", "2", "--json"]
        record = forensiq(*arguments).expect(8).json
        assert record["status"] == "failed"
        assert "not respond" in record["failure"]
        device.let_go()
        sleep(1.0)
        again = forensiq(*arguments, "--resume").expect(0).json
    assert again["digests"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert len(again["interruptions"]) == 1


def test_a_rescue_begun_with_ddrescue_is_finished_sealed_and_hashed(tmp_path: Path) -> None:
    need_tools("ddrescue")
    data = medium(tmp_path / "disk.dd")
    with faulty_device(tmp_path / "disk.dd", tmp_path / "rig", bad=BAD) as device:
        begun = [
            "ddrescue",
            "-q",
            "-d",
            "-n",
            "-s",
            "2MiB",
            device.path,
            str(tmp_path / "dd.img"),
            str(tmp_path / "dd.map"),
        ]
        subprocess.run(begun, check=True, timeout=120)
        before = len(device.reads())
        more = ["--continue-ddrescue", str(tmp_path / "dd.img"), str(tmp_path / "dd.map")]
        record = forensiq("acquire", device.path, tmp_path / "X", *more, "--json").expect(3).json
        known = Extent(1 << 20, 1 << 20)
        again = [each.intersect(known) for each in device.reads()[before:]]
    assert record["digests"]["sha256"] == filled(data)
    assert [(each["offset"], each["length"]) for each in record["unreadable"]] == [(e.offset, e.length) for e in BAD]
    # What ddrescue has read is not read again, but for the samples by which the source is known.
    assert sum(each.length for each in again) < (1 << 17)


def test_a_rescue_of_a_part_goes_to_ddrescue_and_comes_back(tmp_path: Path) -> None:
    need_tools("ddrescue")
    data = medium(tmp_path / "disk.dd")
    part = Extent(1 << 20, 2 << 20)
    inside = [each for each in BAD if part.covers(each)]
    with faulty_device(tmp_path / "disk.dd", tmp_path / "rig", bad=BAD, hanging=[Extent(512 * 5000, 512)]) as device:
        where = ["--offset", str(part.offset), "--length", str(part.length)]
        words = ["acquire", device.path, str(tmp_path / "X"), *where, "--json"]
        forensiq(*words, "--read-timeout", "2").expect(8)
        device.let_go()
        sleep(1.0)
        store, mapfile = tmp_path / "X.rescue.part", tmp_path / "X.rescue.map"
        begun = ["ddrescue", "-q", "-d", "-r0", "-i", str(part.offset), "-s", str(part.length), "-o", "0"]
        subprocess.run([*begun, device.path, str(store), str(mapfile)], check=True, timeout=120)
        before = len(device.reads())
        record = forensiq(*words, "--resume").expect(3).json
        read = sum(each.intersect(part).length for each in device.reads()[before:])
    image = bytearray(data)
    for each in inside:
        image[each.offset : each.end] = bytes(each.length)
    assert record["digests"]["sha256"] == hashlib.sha256(image[part.offset : part.end]).hexdigest()
    assert [each["offset"] for each in record["unreadable"]] == [each.offset for each in inside]
    assert read < (1 << 20)  # samples, and the bad sectors once more


def test_our_map_is_taken_up_by_ddrescue(tmp_path: Path) -> None:
    need_tools("ddrescue", "ddrescuelog")
    medium(tmp_path / "disk.dd")
    with faulty_device(tmp_path / "disk.dd", tmp_path / "rig", bad=BAD) as device:
        forensiq("acquire", device.path, tmp_path / "X", "--format", "raw").expect(3)
        shown = subprocess.run(
            ["ddrescuelog", "-l", "-", str(tmp_path / "X.map")], capture_output=True, text=True, check=True
        )
        blocks = [int(line) for line in shown.stdout.split()]
        assert blocks == [lba for each in BAD for lba in range(each.offset // 512, each.end // 512)]
        subprocess.run(
            ["ddrescue", "-q", "-d", "-r1", device.path, str(tmp_path / "X.dd"), str(tmp_path / "X.map")],
            check=True,
            timeout=120,
        )


def test_a_second_look_at_a_stable_source_finds_nothing_and_says_so(tmp_path: Path) -> None:
    medium(tmp_path / "disk.dd")
    with faulty_device(tmp_path / "disk.dd", tmp_path / "rig", bad=BAD[1:2]) as device:
        record = forensiq("acquire", device.path, tmp_path / "X", "--reread", "--json").expect(3).json
    codes = [each["code"] for each in record["findings"]]
    assert codes.count("source.reread") == 1
    assert "source.unstable" not in codes


@pytest.mark.parametrize("image_format", ["e01", "raw"])
def test_a_drive_that_fails_every_read_is_gone_and_not_bad(tmp_path: Path, image_format: str) -> None:
    data = medium(tmp_path / "disk.dd")
    slow = [Extent(512 * 4100, 512 * 1000)]
    with faulty_device(tmp_path / "disk.dd", tmp_path / "rig", bad=BAD, slow=slow, delay_s=0.1) as device:
        words = ["acquire", device.path, str(tmp_path / "out/X"), "--quiet", "--format", image_format]
        process = subprocess.Popen([sys.executable, "-m", "forensiq", *words], stderr=subprocess.PIPE, text=True)
        deadline = monotonic() + 60
        while not any(read.overlaps(slow[0]) for read in device.reads()) and monotonic() < deadline:
            sleep(0.02)
        device.vanish()
        _, said = process.communicate(timeout=100)
        assert process.returncode == 8, said
        device.come_back()
        again = forensiq(*words, "--resume", "--json").expect(3).json
    assert again["digests"]["sha256"] == filled(data)
    assert [(each["offset"], each["length"]) for each in again["unreadable"]] == [(e.offset, e.length) for e in BAD]
    assert "fails everywhere" in again["interruptions"][0]["reason"]
