"""``kill -9`` and a full disk at moments that nobody chose: the image is the one it would have been.

A few of each run always; with ``--long`` hundreds (docs/limits.md says how many were run).
"""

from __future__ import annotations

import errno
import hashlib
import os
import random
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from forensiq.clock import monotonic, sleep
from forensiq.images.ewf import config
from forensiq.images.output import FileCalls, Part
from forensiq.model.digest import HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.model.media_map import READ, MediaMap, RangeStatus, ReadStatus
from forensiq.procedures.acquire import acquire, exit_code_of
from forensiq.procedures.acquire_request import AcquireRequest, CloneRequest
from forensiq.procedures.clone import clone
from tests.scenarios.test_resume import count_calls

pytestmark = pytest.mark.slow

SIZE = 3 << 20
DATA = b"".join(random.Random(9).randbytes(50_000) if at % 3 else bytes(50_000) for at in range(63))[:SIZE]
BAD = (Extent(700 * 512, 512 * 3), Extent(4000 * 512, 512))
KINDS = ("e01", "raw", "raw in parts", "clone over old data", "clone to a new file")


class Trial(Struct, frozen=True):
    """One acquisition of a kind in a folder of its own, from a drive that has bad sectors or none."""

    kind: str
    folder: Path
    failing: bool

    def request(self) -> AcquireRequest:
        self.folder.mkdir(exist_ok=True)
        target = self.folder / "target.bin"
        if self.kind == "clone over old data" and not target.exists():
            target.write_bytes(b"\xa5old" * (SIZE // 4))
        confirm = str(target) if self.kind == "clone over old data" else None
        faults = MediaMap(SIZE, READ)
        for each in BAD if self.failing else ():
            faults.mark(each, RangeStatus(ReadStatus.UNREADABLE, errno.EIO))
        request = AcquireRequest(
            source=str(self.folder.parent / "disk.dd"),
            output=self.folder / "X",
            format="e01" if self.kind == "e01" else "raw",
            segment_size=900_096 if self.kind == "raw in parts" else None,
            practice_faults=faults if self.failing else None,
            resume=(self.folder / "X.state.json").exists() or (self.folder / "X.record.json").exists(),
            probe=False,
        )
        return replace(request, clone=CloneRequest(str(target), confirm=confirm)) if "clone" in self.kind else request

    def run(self) -> Any:
        request = self.request()
        return clone(request) if request.clone is not None else acquire(request)

    def expected(self) -> bytes:
        """Return what the image is to hold."""
        filled = bytearray(DATA)
        for each in BAD if self.failing else ():
            filled[each.offset : each.end] = bytes(each.length)
        return bytes(filled)

    def finish(self) -> None:
        """Run it to its end; check that nothing is lost, nothing old is left, and nothing is lying about."""
        record = self.run()
        expected = self.expected()
        assert exit_code_of(record) == (3 if self.failing else 0), (record.failure, record.verification)
        assert record.digests[HashAlgorithm.SHA256] == hashlib.sha256(expected).hexdigest()
        assert record.verification.verdict == "verified"
        unreadable = [Extent(each.offset, each.length) for each in record.unreadable]
        assert unreadable == (list(BAD) if self.failing else [])
        if "clone" in self.kind:
            assert (self.folder / "target.bin").read_bytes() == expected
        left = [
            each.name for each in self.folder.iterdir() if each.name.endswith((".part", ".json.tmp", ".state.json"))
        ]
        assert [name for name in left if name.endswith((".part", ".state.json"))] == []
        for path in self.folder.iterdir():
            path.unlink()


def say(words: str) -> None:
    sys.stderr.write(words + "\n")


@pytest.fixture(autouse=True)
def only_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes its time and stores nothing."""
    monkeypatch.setattr("forensiq.procedures.acquire.with_impact", lambda record, *_: record)
    monkeypatch.setattr("forensiq.sources.file._writers", lambda *_: ())


def child(action: Callable[[], object]) -> int:
    """Do ``action`` in a child; return its process id."""
    number = os.fork()
    if number == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            config.SECTION_CHUNKS = 5  # small sections: something to go on from
            action()
        finally:
            os._exit(0)
    return number


def killed_after(seconds: float, trial: Trial) -> bool:
    """Let a child work and kill it; say whether it was still at work."""
    trial.request()  # makes the target: that is not what is tested
    number = child(trial.run)
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        if os.waitpid(number, os.WNOHANG)[0]:
            return False
        sleep(0.002)
    os.kill(number, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == -signal.SIGKILL


def kill_often(folder: Path, kind: str, times: int, seed: int) -> None:
    (folder / "disk.dd").write_bytes(DATA)
    rng = random.Random(seed)
    began = monotonic()
    os.waitpid(child(Trial(kind, folder / "measured", failing=True).run), 0)
    whole = monotonic() - began
    kills = trials = 0
    while kills < times:
        trial = Trial(kind, folder / f"{trials}", failing=bool(trials % 2))
        trials += 1
        for _ in range(rng.randint(1, 3)):
            kills += killed_after(rng.random() * whole, trial)
        trial.finish()
    say(f"{kind}: killed {kills} times, {trials} acquisitions")


class Full(FileCalls):
    """Has room for so many more bytes."""

    room = 0

    def pwritev(self, descriptor: int, parts: Sequence[Part], offset: int) -> int:
        data = b"".join(parts)[: max(0, Full.room)]
        Full.room -= len(data)
        if not data:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.pwrite(descriptor, data, offset)


def full_often(folder: Path, kind: str, times: int, seed: int) -> None:
    (folder / "disk.dd").write_bytes(DATA)
    rng = random.Random(seed)
    for number in range(times):
        trial = Trial(kind, folder / f"{number}", failing=bool(number % 2))

        def with_little_room(trial: Trial = trial) -> None:
            Full.room = rng.randrange((3 if trial.failing else 1) * SIZE)
            FileCalls.pwritev = Full.pwritev  # type: ignore[method-assign, assignment]
            trial.run()

        os.waitpid(child(with_little_room), 0)
        rng.random()
        trial.finish()
    say(f"{kind}: full at {times} places")


def stopped_at(number: int, trial: Trial) -> bool:
    """Let a child end before its ``number``-th change of a file; say whether it came so far."""

    def work() -> None:
        calls = 0

        def one_more() -> None:
            nonlocal calls
            calls += 1
            if calls == number:
                os._exit(9)

        count_calls(one_more)
        trial.run()

    return os.waitstatus_to_exitcode(os.waitpid(child(work), 0)[1]) == 9


def stop_everywhere(folder: Path, kind: str, step: int) -> None:
    (folder / "disk.dd").write_bytes(DATA)
    number = 1
    while stopped_at(number, trial := Trial(kind, folder / f"{number}", failing=True)):
        trial.finish()
        number += step
    assert number > 20
    say(f"{kind}: stopped at {number // step} of {number} changes of a file")


@pytest.mark.parametrize("kind", KINDS[:2])
def test_killed_at_a_few_moments(tmp_path: Path, kind: str) -> None:
    kill_often(tmp_path, kind, 1, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_full_at_a_few_bytes(tmp_path: Path, kind: str) -> None:
    full_often(tmp_path, kind, 1, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_rescue_stopped_between_some_changes_of_a_file(tmp_path: Path, kind: str) -> None:
    stop_everywhere(tmp_path, kind, 90)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_hundreds_of_moments(tmp_path: Path, kind: str) -> None:
    kill_often(tmp_path, kind, 60, 3)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_full_at_hundreds_of_bytes(tmp_path: Path, kind: str) -> None:
    full_often(tmp_path, kind, 30, 4)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_a_rescue_stopped_between_any_two_changes_of_a_file(tmp_path: Path, kind: str) -> None:
    stop_everywhere(tmp_path, kind, 1)
