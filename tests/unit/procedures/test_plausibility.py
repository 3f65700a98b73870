"""Zeros where a file system says that there is data; and no alarm where zeros are ordinary."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiq.acquisition.uniform import UniformMap
from forensiq.model.extent import Extent
from forensiq.model.finding import Finding, Severity
from forensiq.procedures import plausibility
from forensiq.procedures.acquire import acquire
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.reports.log_text import render_log

UNIT = 32 << 10


def finding(folder: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Finding:
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("not installed: mkfs.ext4")
    monkeypatch.setattr(plausibility, "_LEAST", 4 << 20)
    tree = folder / "tree"
    tree.mkdir()
    for name, content in files.items():
        (tree / name).write_bytes(content)
    disk = folder / "disk.dd"
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-b", "4096", "-O", "^has_journal", "-d", str(tree), str(disk)], check=True
    )
    # mkfs leaves holes for zeros: as a drive that writes them would not.
    for name, content in files.items():
        if not content.strip(b"\0"):
            script = f"rm {name}\nwrite {tree / 'data'} {name}\n"
            subprocess.run(
                ["debugfs", "-w", "-f", "-", str(disk)], input=script.encode(), check=True, capture_output=True
            )
    image = bytearray(disk.read_bytes())
    for name, content in files.items():
        blocks = subprocess.run(["debugfs", "-R", f"blocks {name}", str(disk)], capture_output=True, text=True)
        numbers = [int(number) for number in blocks.stdout.split()]
        keep = 0 if not content.strip(b"\0") else len(numbers) // 2 if name.startswith("half") else len(numbers)
        for block in numbers[keep:]:
            image[block * 4096 : (block + 1) * 4096] = bytes(4096)
    disk.write_bytes(image)
    record = acquire(AcquireRequest(source=str(disk), output=folder / "X", probe=False, verify=False))
    (found,) = [each for each in record.findings if each.code == "plausibility.zeros"]
    assert found.message in render_log(record).replace("\n", " ") or "in use" in render_log(record)
    return found


def test_many_files_that_are_zeros_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = random.Random(1).randbytes(1 << 20)
    files = {f"file{number}": bytes(1 << 20) for number in range(24)} | {"data": data, "more": data[::-1]}
    found = finding(tmp_path, files, monkeypatch)
    assert found.severity is Severity.WARNING
    assert "24 files" in found.message


def test_files_that_are_half_zeros_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = random.Random(1).randbytes(1 << 20)
    found = finding(tmp_path, {f"half{number}": data for number in range(24)}, monkeypatch)
    assert found.severity is Severity.WARNING
    assert "24 files" in found.message


def test_a_few_large_files_of_zeros_are_ordinary_and_their_share_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random.Random(1).randbytes(8 << 20)
    found = finding(tmp_path, {"disk.img": bytes(8 << 20), "swap": bytes(8 << 20), "data": data}, monkeypatch)
    assert found.severity is Severity.INFO
    assert "2 files" in found.message


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 70 * UNIT), st.integers(0, 40 * UNIT))
def test_the_map_counts_whole_groups(units: list[bool], start: int, length: int) -> None:
    seen = UniformMap()
    for number, same in enumerate(units):
        if same:
            seen.mark(Extent(number * UNIT, UNIT))
    groups = [index for index in range(len(units) // 2) if all(units[index * 2 : index * 2 + 2])]
    wanted = Extent(start, length)
    places = [Extent(index * 2 * UNIT, 2 * UNIT) for index in groups]
    assert seen.total() == sum(each.length for each in places)
    assert seen.within([wanted]) == sum(each.intersect(wanted).length for each in places)
    assert sum(each.length for each in seen.extents()) == seen.total()
