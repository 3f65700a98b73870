"""Nothing is lost: a run that ends anywhere goes on where it was, and the image is the one it would have been."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from forensiq.clock import monotonic, sleep
from forensiq.errors import ExitCode
from forensiq.images.ewf import config
from forensiq.images.output import FileCalls
from forensiq.model.digest import HashAlgorithm
from forensiq.procedures.acquire import acquire, exit_code_of
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.streams import durable
from forensiq.streams.progress import Progress
from tests.scenarios.program import forensiq

pytestmark = pytest.mark.slow

SIZE = 1 << 20
SETTINGS: dict[str, dict[str, Any]] = {
    "e01": {"format": "e01"},
    "e01 in segments": {"format": "e01", "segment_size": 400_000},
    "raw": {"format": "raw"},
    "raw in parts": {"format": "raw", "segment_size": 300_032},
}


def medium(path: Path) -> bytes:
    rng = random.Random(7)
    data = b"".join(rng.randbytes(40_000) if at % 3 else bytes(40_000) for at in range(27))[:SIZE]
    path.write_bytes(data)
    return data


def count_calls(action: Callable[[], None]) -> None:
    """Let ``action`` be called before every call that changes a file of an image or beside it."""
    for name in ("open", "pwritev", "truncate", "fdatasync", "fsync", "rename", "unlink"):
        original = getattr(FileCalls, name)

        def counted(self: FileCalls, *arguments: Any, _original: Any = original) -> Any:
            action()
            return _original(self, *arguments)

        setattr(FileCalls, name, counted)
    for name in ("open", "fsync"):
        original = getattr(os, name)

        def also(*arguments: Any, _original: Any = original, **more: Any) -> Any:
            if sys._getframe(1).f_code.co_filename == durable.__file__:
                action()
            return _original(*arguments, **more)

        setattr(os, name, also)


def run_until(request: AcquireRequest, last: int) -> int | None:
    """Acquire in a child that dies at call number ``last``; return how many calls there were if it lived."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        calls = 0

        def one_more() -> None:
            nonlocal calls
            calls += 1
            if calls == last:
                os._exit(9)

        try:
            config.SECTION_CHUNKS = 5  # small sections: something to go on from
            count_calls(one_more)
            acquire(request)
            os.write(writing, str(calls).encode())
        finally:
            os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    assert os.waitstatus_to_exitcode(status) in (0, 9)
    return int(said) if said else None


@pytest.mark.parametrize("name", SETTINGS)
def test_killed_between_any_two_changes_of_a_file_it_goes_on(tmp_path: Path, name: str) -> None:
    data = medium(tmp_path / "disk.dd")
    source = str(tmp_path / "disk.dd")
    whole = AcquireRequest(source=source, output=tmp_path / "whole/X", verify=False, **SETTINGS[name])
    calls = run_until(whole, -1)
    assert calls is not None
    assert calls > 15
    step = max(1, calls // 8)
    for last in range(1, calls + 1, step):
        output = tmp_path / f"{last}/X"
        request = AcquireRequest(source=source, output=output, verify=False, **SETTINGS[name])
        assert run_until(request, last) is None
        resumed = AcquireRequest(source=source, output=output, resume=True, **SETTINGS[name])
        record = acquire(resumed)
        assert exit_code_of(record) == 0, (last, record.failure, record.verification)
        assert record.digests[HashAlgorithm.SHA256] == hashlib.sha256(data).hexdigest()
        assert record.verification is not None
        assert record.verification.verdict == "verified"
        if record.sittings > 1:
            assert len(record.interruptions) == record.sittings - 1
        left = [each.name for each in output.parent.iterdir() if each.name.endswith((".part", ".state.json"))]
        assert left == []


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "forensiq", "acquire", "disk.dd", "out/X", "--json", "--allow-low-space", *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.parametrize("image_format", ["e01", "raw"])
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_stopped_by_a_signal_it_goes_on(tmp_path: Path, image_format: str, sign: signal.Signals) -> None:
    with (tmp_path / "disk.dd").open("wb") as file:
        file.truncate(5 << 27)
        file.write(b"first sector")
        file.seek((5 << 27) - 512)
        file.write(b"last sector")
    process = start(tmp_path, "--format", image_format, "--hash", "md5", "--block-hash-size", "none", "--no-verify")
    first = tmp_path / ("out/X.E01.part" if image_format == "e01" else "out/X.dd.part")
    deadline = monotonic() + 60
    while not first.exists() and monotonic() < deadline and process.poll() is None:
        sleep(0.02)
    sleep(0.1)
    process.send_signal(sign)
    out, _ = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.fail("it was done before it could be stopped")
    if sign is signal.SIGINT:
        assert process.returncode == 130
        assert json.loads(out)["status"] == "interrupted"
    record = forensiq("acquire", "disk.dd", "out/X", "--resume", "--json", folder=tmp_path).expect(0).json
    assert record["sittings"] == 2
    assert len(record["interruptions"]) == 1
    assert record["interruptions"][0]["reason"]
    assert record["verification"]["verdict"] == "verified"
    with (tmp_path / "disk.dd").open("rb") as file:
        assert record["digests"]["md5"] == hashlib.file_digest(file, "md5").hexdigest()


def test_with_nothing_to_resume_it_starts_and_on_a_finished_image_it_verifies(tmp_path: Path) -> None:
    medium(tmp_path / "disk.dd")
    first = forensiq("acquire", "disk.dd", "X", "--resume", "--json", folder=tmp_path).expect(0).json
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    again = forensiq("acquire", "disk.dd", "X", "--resume", "--json", folder=tmp_path).expect(0).json
    assert again["digests"] == first["digests"]
    assert again["verification"]["verdict"] == "verified"
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_another_source_is_refused(tmp_path: Path) -> None:
    data = medium(tmp_path / "disk.dd")
    request = AcquireRequest(source=str(tmp_path / "disk.dd"), output=tmp_path / "X", verify=False)
    assert run_until(request, 12) is None
    (tmp_path / "disk.dd").write_bytes(b"\1" + data[1:])
    error = forensiq("acquire", "disk.dd", "X", "--resume", "--json", folder=tmp_path).expect(2).json
    assert "content at byte 0" in error["message"]


class _StopAt(Progress):
    """Asks for a stop as soon as one phase begins."""

    def __init__(self, phase: str, stop: threading.Event) -> None:
        super().__init__(0)
        self._at, self._asked = phase, stop

    def begin(self, phase: str, total: int, stages: Sequence[str]) -> None:
        super().begin(phase, total, stages)
        if phase == self._at:
            self._asked.set()


@pytest.mark.parametrize("image_format", ["e01", "raw"])
def test_stopped_while_it_is_read_back_it_is_whole_and_said_to_be_not_verified(
    tmp_path: Path, image_format: str
) -> None:
    medium(tmp_path / "disk.dd")
    stop = threading.Event()
    request = AcquireRequest(source=str(tmp_path / "disk.dd"), output=tmp_path / "X", format=image_format)
    record = acquire(request, progress=_StopAt("verifying", stop), stop=stop)
    assert (record.status, record.verification, exit_code_of(record)) == ("complete", None, ExitCode.INTERRUPTED)
    assert "not verified" in (record.failure or "")
    log = (tmp_path / "X.log.txt").read_text(encoding="utf-8")
    assert "NOT VERIFIED" in log
    again = forensiq("acquire", "disk.dd", "X", "--format", image_format, "--resume", "--json", folder=tmp_path)
    assert again.expect(0).json["verification"]["verdict"] == "verified"
    assert again.json["failure"] is None
