"""The process that makes the lines beside the worker: the same lines, and nothing lost or told twice when one dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from forensiq.analysis.client import Worker, WorkerDied
from forensiq.analysis.events import EventForm, shown_rows
from forensiq.analysis.explorer import Explorer, FileSystemRef
from forensiq.analysis.opening import ImageRef
from forensiq.clock import monotonic, sleep
from forensiq.streams.frames import FrameKind

FORMS: list[dict[str, object]] = [{}, {"rows": True}, {"body": "/"}, {"events": "text"}, {"events": "jsonl"}]
CRASH = """
import ctypes, os
if os.path.exists({victim!r}):
    from forensiq.analysis.slots import FileSlots

    victim = int(open({victim!r}).read())
    load, load_one = FileSlots.load, FileSlots.load_one

    def crash(*addresses):
        if victim in addresses:
            ctypes.string_at(0)

    def loading(self, names, addresses):
        crash(*addresses)
        return load(self, names, addresses)

    def loading_one(self, name, address, *, wanted):
        crash(address)
        return load_one(self, name, address, wanted=wanted)

    FileSlots.load, FileSlots.load_one = loading, loading_one
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("mke2fs") is None:
        pytest.skip("e2fsprogs is not installed")
    folder = tmp_path_factory.mktemp("many")
    for name in ("a", "b", "c"):
        (folder / "tree" / name).mkdir(parents=True)
        for number in range(1200):
            (folder / "tree" / name / f"file-{number}").touch()
    path = folder / "image.dd"
    command = ["mke2fs", "-q", "-t", "ext4", "-N", "6000", "-d", str(folder / "tree"), str(path), "12M"]
    subprocess.run(command, check=True, capture_output=True)
    return path


def opened(image: Path, *, formatter: bool) -> tuple[Explorer, FileSystemRef]:
    explorer = Explorer(ImageRef(str(image)), formatter=formatter)
    (volume,) = explorer.volumes().volumes
    (fs,) = explorer.state(volume).file_systems
    return explorer, fs


def lines(image: Path, form: dict[str, object], *, formatter: bool) -> tuple[list[bytes], list[str]]:
    explorer, fs = opened(image, formatter=formatter)
    with explorer:
        found = b"".join(explorer.walk(fs, **form)).splitlines()  # type: ignore[arg-type]
        if form.get("events") == "jsonl":
            found = shown_rows(found, EventForm.JSON, bytes)
        return (sorted(found) if "events" in form else found), [str(loss.where.path) for loss in explorer.losses]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_it_makes_the_lines_that_the_worker_makes(form: dict[str, object], image: Path) -> None:
    beside, alone = lines(image, form, formatter=True), lines(image, form, formatter=False)
    assert len(alone[0]) > 3600
    assert beside == alone


@pytest.mark.parametrize("form", [{}, {"body": "/"}, {"events": "jsonl"}], ids=str)
def test_a_crash_in_the_middle_costs_one_entry(
    form: dict[str, object], image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = lines(image, form, formatter=True)
    with opened(image, formatter=False)[0] as explorer:
        (volume,) = explorer.volumes().volumes
        (found, *_) = explorer.find(FileSystemRef(volume, ""), "/c/file-700")
    victim, hooks = image.parent / "victim", tmp_path / "hooks"
    hooks.mkdir()
    victim.write_text(str(found.inode))
    (hooks / "sitecustomize.py").write_text(CRASH.format(victim=str(victim)))
    monkeypatch.setenv("PYTHONPATH", str(hooks))
    try:
        left, lost = lines(image, form, formatter=True)
    finally:
        victim.unlink()
    missing = set(whole) - set(left)
    assert len(left) == len(whole) - len(missing)
    assert missing
    assert all(b"c/file-700" in line for line in missing)
    assert "/c/file-700" in lost


def test_neither_outlives_the_other(image: Path) -> None:
    with Worker(ImageRef(str(image)), formatter=True) as worker:
        (child,) = _children(worker._process.pid)
        os.kill(child, signal.SIGKILL)
        with pytest.raises(WorkerDied):
            list(worker.ask("walk", partition=0, offset=0))
    with Worker(ImageRef(str(image)), formatter=True) as worker:
        frames = list(worker.ask("walk", partition=0, offset=0))
        assert {kind for kind, _ in frames} == {FrameKind.LINES}
        (child,) = _children(worker._process.pid)
    until = monotonic() + 20
    while _runs(child) and monotonic() < until:
        sleep(0.05)
    assert not _runs(child)


def _children(parent: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
