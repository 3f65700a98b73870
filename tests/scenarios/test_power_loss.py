"""Power goes while an image is written: what was said to be durable is there, and ``--resume`` makes the same image.

The file system (ext4) lies on a disk that remembers its writes and flushes (:mod:`tests.support.power_cut`). One
acquisition is recorded; then the power goes at places in it, with any part of what had not been flushed lost.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from forensiq.procedures.verify import verify_image
from tests.scenarios.test_kill import DATA, KINDS, Trial, child, say
from tests.support.linux_volumes import mounted, needs_kernel
from tests.support.power_cut import PowerCut, after_power_cut, load, recorded

pytestmark = [pytest.mark.root, pytest.mark.slow]
DISK_SIZE = 48 << 20


def written_by(folder: Path, kind: str, *, failing: bool) -> PowerCut:
    """Record one acquisition on a disk of its own, from its first write to the last flush of the unmounting."""
    disk = folder / "disk.img"
    with disk.open("wb") as file:
        file.truncate(DISK_SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
    with mounted(disk, folder / "during") as top:
        (top / "disk.dd").write_bytes(DATA)
        Trial(kind, top / "0", failing).request()
    before = disk.read_bytes()
    with recorded(disk, folder / "served") as (served, log), mounted(served, folder / "during") as top:
        os.waitpid(child(Trial(kind, top / "0", failing).run), 0)
        assert json.loads((top / "0/X.record.json").read_text())["verification"]["verdict"] == "verified"
    return load(before, log)


def whole_or_unfinished(folder: Path, kind: str, expected: bytes) -> None:
    """Check that what has the name of a finished image is one."""
    if kind == "e01" and (folder / "X.E01").exists():
        assert verify_image(folder / "X.E01").verdict == "verified"
    parts = {"raw": ["X.dd"], "raw in parts": [f"X.{number:03}" for number in range(1, 5)]}.get(kind, [])
    if parts and (folder / parts[0]).exists():
        assert b"".join((folder / part).read_bytes() for part in parts) == expected


def cut_at(folder: Path, kind: str, seed: int, times: int | None) -> None:
    """Let power go at ``times`` places of one acquisition; ``None``: at every one."""
    needs_kernel("ext4")
    cut = written_by(folder, kind, failing=bool(seed % 2))
    assert len(cut.flushes()) > 20
    rng = random.Random(seed)
    steps = range(len(cut.steps)) if times is None else rng.sample(range(len(cut.steps)), times)
    for step in steps:
        with after_power_cut(cut, step, rng, folder / "during") as top:
            trial = Trial(kind, top / "0", bool(seed % 2))
            whole_or_unfinished(trial.folder, kind, trial.expected())
            trial.finish()
    say(f"{kind}: power went at {len(steps)} of {len(cut.steps)} places, {len(cut.flushes())} flushes among them")


@pytest.mark.parametrize(("kind", "seed"), [("e01", 1), ("raw", 2), ("clone over old data", 3)])
def test_power_goes_at_a_few_places(tmp_path: Path, kind: str, seed: int) -> None:
    cut_at(tmp_path, kind, seed, 3)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [5, 6])
def test_power_goes_everywhere(tmp_path: Path, kind: str, seed: int) -> None:
    cut_at(tmp_path, kind, seed, None)
