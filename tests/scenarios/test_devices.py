"""``forensiq devices`` and ``forensiq doctor``, as a user runs them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.rig import loop_device
from tests.scenarios.program import forensiq


@pytest.mark.root
def test_devices_tells_what_a_drive_is_and_who_uses_it(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(4 << 20)
    with loop_device(disk, read_only=True) as device, loop_device(Path(device.path), read_only=True) as above:
        entries = {entry["path"]: entry for entry in forensiq("devices", "--json").expect(0).lines}
        entry = entries[device.path]
        assert entry["schema"] == "forensiq/device/1"
        assert entry["identity"]["size"] == 4 << 20
        assert entry["read_only"] is True
        assert entry["backing_file"] == str(disk)
        assert [use["kind"] for use in entry["usage"]["uses"]] == ["loop"]
        told = forensiq("devices", device.path).expect(0).out
        assert f"IN USE      {device.path} is part of {above.path}" in told
        assert "kernel read-only flag set" in told
        assert above.path not in told.splitlines()[0]


def test_a_file_is_no_device(tmp_path: Path) -> None:
    done = forensiq("devices", tmp_path, "--json").expect(2)
    assert done.json["error"] == "UsageError"


def test_a_device_that_is_not_there() -> None:
    assert forensiq("devices", "/dev/no-such-drive", "--json").expect(2).json["errno"] == 2


def test_doctor_says_what_works_here() -> None:
    report = forensiq("doctor", "--json").expect(0).json
    assert report["schema"] == "forensiq/doctor/1"
    assert report["ready"] is True
    assert report["drives"] is (os.geteuid() == 0)
    assert {check["section"] for check in report["checks"]} == {
        "bindings",
        "programs",
        "rights",
        "write blocking",
        "kernel",
    }


def test_doctor_reads_well_in_80_columns() -> None:
    told = forensiq("doctor").expect(0).out
    lines = [line for line in told.splitlines() if "SHA-256" not in line and "/" not in line]
    assert lines
    assert max(map(len, lines)) <= 100
