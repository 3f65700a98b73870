"""The worker process: what it cannot do, and what its death costs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensiq.analysis.client import RequestFailed, Worker, WorkerDied
from forensiq.analysis.explorer import Explorer, entries_of
from forensiq.analysis.opening import ImageRef
from forensiq.analysis.sandbox import SandboxReport
from forensiq.errors import ImageFormatError
from forensiq.streams.frames import HEADER
from tests.support.fat import fat_volume

PROBE = """
import json, os, socket, sys
from forensiq.analysis.sandbox import enter_sandbox
folder, readable, secret = sys.argv[1:4]
kept = open(readable, "rb")
report = enter_sandbox([sys.prefix, sys.base_prefix, "/usr/lib", "/lib"] , 2 << 30)
outcome = {"landlock": report.landlock, "seccomp": report.seccomp, "kept": kept.read().decode()}
def attempt(name, action):
    try:
        action()
        outcome[name] = "allowed"
    except MemoryError:
        outcome[name] = "MemoryError"
    except OSError as error:
        outcome[name] = type(error).__name__
attempt("create", lambda: os.open(folder + "/new", os.O_CREAT | os.O_WRONLY))
attempt("write", lambda: os.open(readable, os.O_WRONLY))
attempt("read", lambda: os.open(secret, os.O_RDONLY))
attempt("unlink", lambda: os.unlink(readable))
attempt("socket", lambda: socket.socket())
attempt("execute", lambda: os.execv("/bin/true", ["true"]))
attempt("memory", lambda: bytearray(4 << 30))
print(json.dumps(outcome))
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "floppy.dd"
    path.write_bytes(fat_volume({b"A       TXT": b"alpha", b"B       TXT": b"beta" * 500}))
    return path


def test_a_locked_process_can_neither_write_nor_read_elsewhere_nor_talk(tmp_path: Path) -> None:
    readable, secret = tmp_path / "image", tmp_path / "secret"
    readable.write_text("evidence")
    secret.write_text("secret")
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(tmp_path), str(readable), str(secret)],
        capture_output=True,
        text=True,
        check=True,
    )
    outcome = json.loads(done.stdout)
    assert outcome["kept"] == "evidence"
    assert outcome["memory"] == "MemoryError"
    if outcome["landlock"]:
        assert [outcome[each] for each in ("create", "write", "read", "unlink")] == ["PermissionError"] * 4
    if outcome["seccomp"]:
        assert [outcome[each] for each in ("socket", "execute", "unlink")] == ["PermissionError"] * 3
    if not outcome["landlock"] and not outcome["seccomp"]:
        pytest.skip("this kernel has neither Landlock nor seccomp")
    assert readable.read_text() == "evidence"
    assert not (tmp_path / "new").exists()


def test_the_worker_says_what_holds_and_answers(image: Path) -> None:
    with Worker(ImageRef(str(image))) as worker:
        assert set(worker.facts["sandbox"]) == set(SandboxReport.__struct_fields__)
        lines = b"".join(payload for kind, payload in worker.ask("walk", partition=0, offset=0) if kind == 1)
    assert [entry.path for entry in entries_of(lines)][:2] == ["/A.TXT", "/B.TXT"]


def test_what_is_no_image_is_said_as_itself(tmp_path: Path) -> None:
    path = tmp_path / "empty.dd"
    path.write_bytes(b"")
    with pytest.raises(ImageFormatError):
        Worker(ImageRef(str(path)))


def test_a_request_that_fails_leaves_the_worker_well(image: Path) -> None:
    with Worker(ImageRef(str(image))) as worker:
        with pytest.raises(RequestFailed):
            worker.value("open", offset=512 * 40)
        assert worker.value("open", offset=0)["name"] == "fat12"


def test_a_crash_is_told_with_its_place(image: Path) -> None:
    with Worker(ImageRef(str(image))) as worker:
        os.kill(worker._process.pid, signal.SIGSEGV)
        with pytest.raises(WorkerDied, match="SIGSEGV"):
            worker.value("open", offset=0)


def test_a_hang_is_ended(image: Path) -> None:
    with Worker(ImageRef(str(image))) as worker:
        # Short only now: a busy machine takes its time to start a process.
        worker._stall = 1.0
        os.kill(worker._process.pid, signal.SIGSTOP)
        with pytest.raises(WorkerDied, match="did not move"):
            worker.value("open", offset=0)


def test_a_crash_in_the_middle_costs_one_entry(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first worker dies behind its first line, at the second entry of the root; the walk goes on behind it."""
    died = False

    def ask(self: Worker, do: str, **facts: object) -> Iterator[tuple[object, bytes]]:
        nonlocal died
        frames = list(real(self, do, **facts))
        if do == "walk" and not died:
            died = True
            first = frames[0][1].splitlines(keepends=True)[0]
            yield frames[0][0], first
            self._cells[0], self._cells[1] = 2, 1
            raise WorkerDied("crashed (SIGSEGV)", self.place())
        yield from frames

    real = Worker.ask
    monkeypatch.setattr(Worker, "ask", ask)
    with Explorer(ImageRef(str(image))) as explorer:
        (volume,) = explorer.volumes().volumes
        (fs,) = explorer.state(volume).file_systems
        paths = [entry.path for batch in explorer.walk(fs) for entry in entries_of(batch)]
        assert "/A.TXT" in paths
        assert paths.count("/A.TXT") == 1
        assert "/B.TXT" not in paths
        assert any(path == "/$OrphanFiles" for path in paths)
        assert any("crashed" in loss.message for loss in explorer.losses)
        assert any(loss.where.path == "/B.TXT" for loss in explorer.losses)


def test_a_worker_that_breaks_the_protocol_is_not_believed(image: Path) -> None:
    with Worker(ImageRef(str(image))) as worker:
        pair = os.pipe()
        os.write(pair[1], HEADER.pack(13, 1) + b'{"a":"\x1b[2J"}\n')
        worker._output = pair[0]
        with pytest.raises(WorkerDied, match="protocol"):
            next(worker.ask("walk"))
        os.close(pair[0])
        os.close(pair[1])


def test_no_network_is_used(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was made")

    monkeypatch.setattr(socket, "socket", refuse)
    with Worker(ImageRef(str(image))) as worker:
        assert worker.value("open", offset=0)["name"] == "fat12"
