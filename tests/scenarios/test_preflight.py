"""``forensiq preflight`` on real devices and files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.rig import loop_device, need_tools
from tests.scenarios.program import forensiq

_MIB = 1 << 20


def _blank(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def _checks(result: dict[str, object], code: str) -> list[dict[str, object]]:
    checks = result["checks"]
    assert isinstance(checks, list)
    return [check for check in checks if check["code"] == code]


@pytest.mark.root
def test_go_and_nothing_is_changed(tmp_path: Path) -> None:
    disk = _blank(tmp_path / "disk.raw", 4 * _MIB)
    with loop_device(disk) as device:
        result = forensiq("preflight", device.path, tmp_path / "out/ITEM-1", "--json").expect(0).json
        assert not device.is_read_only(), "a preflight sets nothing"
    assert result["schema"] == "forensiq/preflight/1"
    assert result["verdict"] == "go"
    assert not (tmp_path / "out").exists()
    assert _checks(result, "destination.room")[0]["verdict"] == "go"
    assert result["health"]["commands"] == [], "a loop device is no drive: nothing was sent"


@pytest.mark.root
def test_a_mounted_partition_is_no_go(tmp_path: Path) -> None:
    need_tools("mkfs.ext4")
    disk, mount = _blank(tmp_path / "disk.raw", 8 * _MIB), tmp_path / "mnt"
    mount.mkdir()
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True, capture_output=True)
    with loop_device(disk) as device:
        subprocess.run(["mount", device.path, str(mount)], check=True)
        try:
            done = forensiq("preflight", device.path, mount / "case/ITEM-1", "--json").expect(6)
            told = forensiq("preflight", device.path, mount / "case/ITEM-1").expect(6)
        finally:
            subprocess.run(["umount", str(mount)], check=True)
    assert _checks(done.json, "source.in_use")[0]["message"] == f"{device.path} is mounted on {mount} (ext4)"
    assert _checks(done.json, "destination.place")[0]["verdict"] == "no_go"
    assert "NO-GO" in told.out
    assert "lies on the source" in " ".join(told.out.split())
    assert max(map(len, told.out.splitlines()[1:-1])) <= 80


@pytest.mark.root
def test_a_fat_destination_takes_no_large_files(tmp_path: Path) -> None:
    need_tools("mkfs.vfat")
    small, mount = _blank(tmp_path / "fat.raw", 64 * _MIB), tmp_path / "mnt"
    mount.mkdir()
    subprocess.run(["mkfs.vfat", str(small)], check=True, capture_output=True)
    source = _blank(tmp_path / "big.raw", 5 << 30)
    with loop_device(small) as device:
        mounted = subprocess.run(["mount", "-t", "vfat", device.path, str(mount)], capture_output=True, check=False)
        if mounted.returncode:
            pytest.skip("the kernel here has no FAT file system")
        try:
            whole = forensiq("preflight", source, mount / "X", "--format", "raw", "--json").expect(6).json
            split = forensiq("preflight", source, mount / "X", "--format", "raw", "--segment-size", "1GiB", "--json")
        finally:
            subprocess.run(["umount", str(mount)], check=True)
    assert _checks(whole, "destination.file_size")[0]["verdict"] == "no_go"
    assert _checks(split.json, "destination.file_size")[0]["verdict"] == "go"
    assert _checks(split.json, "destination.room")[0]["verdict"] == "no_go"


def test_more_segments_than_there_are_names_is_no_go(tmp_path: Path) -> None:
    source = _blank(tmp_path / "huge.raw", 8 << 40)
    result = forensiq("preflight", source, tmp_path / "X", "--segment-size", "100MiB", "--allow-low-space", "--json")
    assert _checks(result.expect(6).json, "destination.format")[0]["verdict"] == "no_go"


def test_a_file_can_be_asked_about_too(tmp_path: Path) -> None:
    source = _blank(tmp_path / "disk.raw", _MIB)
    result = forensiq("preflight", source, "--json").expect(0).json
    assert (result["usage"], result["health"], result["destination"]) == (None, None, None)


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    forensiq("preflight", tmp_path / "nothing", "--json").expect(2)
