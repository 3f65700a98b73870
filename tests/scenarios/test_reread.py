"""``--reread``: the second look at the source never costs the image its record, whatever becomes of it."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from forensiq.errors import SourceLostError
from forensiq.model.digest import HashAlgorithm
from forensiq.model.finding import Severity
from forensiq.model.records import AcquisitionRecord
from forensiq.procedures.acquire import acquire, exit_code_of
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.sources.file import FileSource
from forensiq.streams.progress import Progress
from tests.scenarios.program import forensiq

DATA = random.Random(31).randbytes(3 << 20)
PHASE = "reading again"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.dd"
    path.write_bytes(DATA)
    return path


class Second(Progress):
    """Does something when the second look begins."""

    def __init__(self) -> None:
        super().__init__(0)
        self.begun = False
        self.stop = threading.Event()
        self.stops = False

    def begin(self, phase: str, total: int, stages: Sequence[str]) -> None:
        super().begin(phase, total, stages)
        self.begun = self.begun or phase == PHASE
        if phase == PHASE and self.stops:
            self.stop.set()


def codes(record: AcquisitionRecord, prefix: str = "source.") -> list[str]:
    return [each.code for each in record.findings if each.code.startswith(prefix)]


def look(disk: Path, progress: Second) -> AcquisitionRecord:
    request = AcquireRequest(source=str(disk), output=disk.with_name("X"), reread=True, probe=False)
    record = acquire(request, progress=progress, stop=progress.stop)
    assert record.digests[HashAlgorithm.SHA256] == hashlib.sha256(DATA).hexdigest()
    assert record.status == "complete"
    saved = json.loads(disk.with_name("X.record.json").read_text())
    assert [each["code"] for each in saved["findings"]] == [each.code for each in record.findings]
    assert not disk.with_name("X.state.json").exists()
    return record


def test_what_reads_differently_is_named_and_nothing_else(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Second()
    original = FileSource.read_direct

    def changing(self: FileSource, offset: int, buffer: memoryview) -> int:
        count = original(self, offset, buffer)
        for sector in (1000, 1001, 4000):
            at = sector * 512 - offset
            if progress.begun and 0 <= at < count:
                buffer[at] ^= 1
        return count

    monkeypatch.setattr(FileSource, "read_direct", changing)
    record = look(disk, progress)
    unstable = [each for each in record.findings if each.code == "source.unstable"]
    assert [(each.media.offset // 512, each.media.length // 512) for each in unstable if each.media] == [
        (1000, 2),
        (4000, 1),
    ]
    assert all(each.severity is Severity.WARNING for each in unstable)
    assert "source.reread" in codes(record)
    assert "reads differently the second time" in disk.with_name("X.log.txt").read_text()


def test_a_source_that_is_lost_meanwhile_leaves_a_whole_image(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Second()
    original = FileSource.read_direct

    def going(self: FileSource, offset: int, buffer: memoryview) -> int:
        if progress.begun and offset >= 1 << 20:
            raise SourceLostError("the device is gone", offset=offset)
        return original(self, offset, buffer)

    monkeypatch.setattr(FileSource, "read_direct", going)
    record = look(disk, progress)
    assert codes(record) == ["source.reread.incomplete"]
    (found,) = [each for each in record.findings if each.code == "source.reread.incomplete"]
    assert found.severity is Severity.WARNING
    assert "the device is gone" in found.message
    assert f"{1 << 20:,} bytes" in found.message
    assert record.verification is not None
    assert record.verification.verdict == "verified"


def test_ctrl_c_meanwhile_leaves_a_whole_image_that_is_said_to_be_not_verified(disk: Path) -> None:
    progress = Second()
    progress.stops = True
    record = look(disk, progress)
    assert codes(record) == ["source.reread.incomplete"]
    assert exit_code_of(record) == 130
    assert record.verification is None
    again = forensiq("acquire", disk, disk.with_name("X"), "--reread", "--resume", "--json").expect(0).json
    assert again["verification"]["verdict"] == "verified"


@pytest.mark.parametrize("more", [["--format", "raw"], ["--format", "raw", "--segment-size", "1MiB"], []])
def test_every_format_can_be_compared_with(disk: Path, more: list[str]) -> None:
    record = forensiq("acquire", disk, disk.with_name("X"), "--reread", "--json", *more).expect(0).json
    assert "source.reread" in [each["code"] for each in record["findings"]]


def test_a_clone_can_be_compared_with(disk: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.bin"
    target.write_bytes(bytes(len(DATA) + 4096))
    words: list[str | Path] = [disk, target, "--record", tmp_path / "R", "--reread", "--json"]
    record = forensiq("clone", *words).expect(0).json
    (found,) = [each for each in record["findings"] if each["code"].startswith("source.")]
    assert found["code"] == "source.reread"
    assert found["message"].startswith(f"{len(DATA):,} bytes")
