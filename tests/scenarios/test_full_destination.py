"""A destination that is really full (small file systems in memory): nothing is lost, and the image can go on elsewhere.

DA-AO-04: too little room is told, before and during the run. DA-AO-10: the image goes on on another disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from forensiq.errors import DestinationError, DestinationFullError, DestinationUnsafeError
from forensiq.images.ewf import config
from forensiq.model.digest import HashAlgorithm
from forensiq.model.preflight import CheckVerdict, PreflightCheck
from forensiq.model.records import AcquisitionRecord
from forensiq.procedures.acquire import acquire, exit_code_of
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.preflight_destination import check_place
from tests.rig import loop_device, need_tools
from tests.scenarios.program import forensiq

pytestmark = pytest.mark.slow

DATA = random.Random(3).randbytes(12 << 20)
FORMATS: dict[str, dict[str, Any]] = {
    "e01": {"format": "e01"},
    "e01 in segments": {"format": "e01", "segment_size": 3_000_000},
    "raw": {"format": "raw"},
    "raw in parts": {"format": "raw", "segment_size": 2_500_096},
}
SmallDisk = Callable[[str, int], Path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Give disks of a size in KiB; asked again for the same name, the disk changes its size."""
    mounted: list[Path] = []

    def make(name: str, size: int) -> Path:
        folder = tmp_path / name
        option = f"size={size}k"
        if folder in mounted:
            subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)
            return folder
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip(f"tmpfs cannot be mounted here: {done.stderr.decode().strip()}")
        mounted.append(folder)
        return folder

    try:
        yield make
    finally:
        for folder in mounted:
            subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> str:
    (tmp_path / "disk.dd").write_bytes(DATA)
    return str(tmp_path / "disk.dd")


def check_whole(record: AcquisitionRecord) -> None:
    assert exit_code_of(record) == 0, (record.failure, record.verification)
    assert record.digests[HashAlgorithm.SHA256] == hashlib.sha256(DATA).hexdigest()
    assert record.verification is not None
    assert record.verification.verdict == "verified"


@pytest.mark.root
@pytest.mark.parametrize("name", FORMATS)
def test_da_ao_04_full_at_any_byte_and_resumed(
    tmp_path: Path, disk: str, small_disk: SmallDisk, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "SECTION_CHUNKS", 8)
    failed = 0
    for number, size in enumerate(sorted(random.Random(4).sample(range(1500, 13_000, 4), 3))):
        output = small_disk("small", size) / f"{number}/X"
        request = AcquireRequest(source=disk, output=output, allow_low_space=True, verify=False, **FORMATS[name])
        try:
            record = acquire(request)
        except DestinationFullError:
            assert not output.with_name("X.state.json").exists()
        else:
            assert exit_code_of(record) == 7, size
            assert record.status == "failed"
            state = json.loads(output.with_name("X.state.json").read_text())
            assert state["running"] is False
            assert len(state["interruptions"]) == 1
            assert json.loads(output.with_name("X.record.json").read_text())["status"] == "failed"
            assert "no room" in output.with_name("X.log.txt").read_text()
            failed += 1
        small_disk("small", 32_000)
        check_whole(acquire(AcquireRequest(source=disk, output=output, resume=True, **FORMATS[name])))
        assert sorted(each.name for each in output.parent.iterdir() if each.suffix in (".part", ".tmp")) == []
        for each in output.parent.iterdir():
            each.unlink()
    assert failed >= 2


@pytest.mark.root
@pytest.mark.parametrize("name", [each for each in FORMATS if each != "raw"])
def test_da_ao_10_goes_on_in_another_folder(tmp_path: Path, disk: str, small_disk: SmallDisk, name: str) -> None:
    home, second, third = small_disk("home", 7000), small_disk("second", 5600), tmp_path / "third"
    words: list[str | Path] = [
        disk,
        home / "X",
        "--format",
        FORMATS[name]["format"],
        "--spill",
        second,
        "--spill",
        third,
        "--reread",
        "--json",
    ]
    if size := FORMATS[name].get("segment_size"):
        words += ["--segment-size", str(size)]
    record = forensiq("acquire", *words).expect(0).json
    assert record["verification"]["verdict"] == "verified"
    assert record["digests"]["sha256"] == hashlib.sha256(DATA).hexdigest()
    # The second look finds the segments in the other folders, before there is a record.
    assert [each["code"] for each in record["findings"] if "reread" in each["code"]] == ["source.reread"]
    paths = [Path(each["path"]) for each in record["image"]["segments"]]
    assert not paths[0].is_absolute()
    spilled = [path for path in paths if path.is_absolute()]
    assert {path.parent for path in spilled} == {second, third}
    assert any("because the destination was full" in note for note in record["notes"])
    assert all(path.exists() for path in spilled)
    # Without the record, the folders have to be named.
    first = home / paths[0]
    forensiq("verify", first).expect(0)
    (home / "X.record.json").rename(home / "away.json")
    verdict = {"e01": 0, "raw": 10}[FORMATS[name]["format"]]
    found = forensiq("verify", first, "--segments-in", second, "--segments-in", third, "--json").expect(verdict).json
    assert found["size"] == len(DATA)
    assert found["digests"]["md5"]["computed"] == hashlib.md5(DATA).hexdigest()


@pytest.mark.root
def test_a_first_part_that_had_to_go_elsewhere_has_its_record_beside_it(
    tmp_path: Path, disk: str, small_disk: SmallDisk
) -> None:
    home = small_disk("home", 3000)
    more: list[str | Path] = ["--format", "raw", "--segment-size", "6MiB", "--spill", tmp_path / "more", "--json"]
    forensiq("acquire", disk, home / "X", *more).expect(0)
    assert not (home / "X.001").exists()
    found = forensiq("verify", tmp_path / "more/X.001", "--json").expect(0).json
    assert found["verdict"] == "verified"
    assert found["digests"]["sha256"]["record"] == hashlib.sha256(DATA).hexdigest()


@pytest.mark.root
def test_the_copy_goes_on_elsewhere_too(tmp_path: Path, disk: str, small_disk: SmallDisk) -> None:
    home, second = small_disk("home", 7000), small_disk("second", 8000)
    words: list[str | Path] = [disk, home / "X", "--copy-to", second / "X", "--spill", tmp_path / "more"]
    record = forensiq("acquire", *words, "--segment-size", "3MB", "--json").expect(0).json
    copy = record["copies"][0]
    assert copy["failure"] is None
    assert copy["verification"]["verdict"] == record["verification"]["verdict"] == "verified"
    folders = [{Path(each["path"]).parent for each in image["segments"]} for image in (record["image"], copy["image"])]
    assert folders == [{Path(), tmp_path / "more"}, {Path(), tmp_path / "more/copy"}]
    forensiq("verify", second / "X.E01").expect(0)


@pytest.mark.root
@pytest.mark.parametrize("name", [each for each in FORMATS if each != "raw"])
def test_a_full_disk_is_resumed_with_a_folder_for_the_rest(
    tmp_path: Path, disk: str, small_disk: SmallDisk, name: str
) -> None:
    output = small_disk("home", 8000) / "X"
    request = AcquireRequest(source=disk, output=output, allow_low_space=True, **FORMATS[name])
    assert exit_code_of(acquire(request)) == 7
    more = small_disk("second", 5600)
    request = AcquireRequest(source=disk, output=output, resume=True, spill=(more,), **FORMATS[name])
    assert exit_code_of(acquire(request)) == 7
    # The folder of the second sitting is known to the third one.
    small_disk("second", 16_000)
    record = acquire(AcquireRequest(source=disk, output=output, resume=True, **FORMATS[name]))
    check_whole(record)
    assert record.image is not None
    assert {Path(each.path).parent for each in record.image.segments} == {Path(), more}


def test_da_ao_04_too_little_room_is_refused_unless_the_rest_may_go_elsewhere(tmp_path: Path) -> None:
    with (tmp_path / "huge.dd").open("wb") as file:
        file.truncate(1 << 43)
    words: list[str | Path] = ["acquire", "huge.dd", "X", "--block-hash-size", "none", "--dry-run", "--json"]
    refused = forensiq(*words, folder=tmp_path).expect(6).json
    assert "--spill" in json.dumps(refused)
    forensiq(*words, "--spill", "more", folder=tmp_path).expect(0)
    forensiq(*words, "--allow-low-space", folder=tmp_path).expect(0)


def test_a_raw_image_in_one_file_cannot_go_on_elsewhere(tmp_path: Path) -> None:
    disk = tmp_path / "disk.dd"
    disk.write_bytes(DATA[:100_352])
    words: list[str | Path] = ["acquire", disk, tmp_path / "X", "--format", "raw", "--spill", tmp_path / "more"]
    assert "--segment-size" in forensiq(*words).expect(2).err
    assert not (tmp_path / "more").exists()
    forensiq(*words, "--segment-size", "1MiB").expect(0)


@pytest.mark.root
def test_a_folder_for_the_rest_that_lies_on_the_source_is_refused(tmp_path: Path) -> None:
    need_tools("mkfs.ext4")
    disk, mount = tmp_path / "disk.dd", tmp_path / "mnt"
    mount.mkdir()
    with disk.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    with loop_device(disk) as device:
        subprocess.run(["mount", device.path, str(mount)], check=True)
        try:
            # Mounted it is refused for that alone: what is asked here is the place.
            place = check_place(device.path, mount)
            error = forensiq("acquire", device.path, tmp_path / "X", "--spill", mount / "more", "--json").expect(6).json
            files = sorted(each.name for each in mount.iterdir())
        finally:
            subprocess.run(["umount", str(mount)], check=True)
    assert place.verdict is CheckVerdict.NO_GO
    assert error["exit_code"] == 6
    assert files == ["lost+found"]
    assert not list(tmp_path.glob("X.*"))


def test_every_folder_for_the_rest_is_looked_at_before_the_first_read(
    disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def on_source(source: str, folder: Path) -> PreflightCheck:
        asked.append(folder)
        verdict = CheckVerdict.NO_GO if folder.name == "second" else CheckVerdict.GO
        return PreflightCheck("destination.place", verdict, f"{folder} lies on the source")

    monkeypatch.setattr("forensiq.procedures.acquire_preflight.check_place", on_source)
    monkeypatch.setattr("forensiq.procedures.acquire_preflight._is_drive", lambda _: True)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    spill = (tmp_path / "first", tmp_path / "second/deeper")
    with pytest.raises(DestinationUnsafeError, match="second lies on the source"):
        acquire(AcquireRequest(source=disk, output=tmp_path / "X", spill=spill))
    assert asked == [tmp_path / "first", tmp_path / "second"]
    assert not list(tmp_path.glob("X.*"))


def test_a_folder_for_the_rest_that_cannot_be_written_to_is_refused(
    disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more").mkdir()
    original = os.access
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "more" and original(path, mode))
    with pytest.raises(DestinationError, match="more cannot be written to"):
        acquire(AcquireRequest(source=disk, output=tmp_path / "X", spill=(tmp_path / "more",)))


def test_a_taken_name_in_the_other_folder_is_refused(disk: str, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/X.E02").write_bytes(b"another's")
    error = forensiq("acquire", disk, tmp_path / "X", "--spill", tmp_path / "more", "--json").expect(6).json
    assert error["path"] == str(tmp_path / "more/X.E02")
    assert (tmp_path / "more/X.E02").read_bytes() == b"another's"
