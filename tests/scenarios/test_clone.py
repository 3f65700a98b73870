"""Clones: every sector at its own address, nothing old left inside the medium, nothing touched behind it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from forensiq.images.clone import CloneWriter
from forensiq.images.output import FileCalls
from forensiq.model.digest import HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.procedures.acquire import exit_code_of
from forensiq.procedures.acquire_request import AcquireRequest, CloneRequest
from forensiq.procedures.clone import clone
from tests.rig import faulty_device, loop_device
from tests.scenarios.program import Done, forensiq
from tests.scenarios.test_resume import count_calls
from tests.support.disks import gpt_disk

pytestmark = pytest.mark.slow

SECTOR = 512
SIZE = 6 << 20
OLD = b"\xa5old"


def source(folder: Path, size: int = SIZE) -> bytes:
    data = random.Random(size).randbytes(size - (size >> 2)) + bytes(size >> 2)
    (folder / "disk.dd").write_bytes(data)
    return data


def old_disk(folder: Path, size: int, name: str = "target.bin") -> Path:
    path = folder / name
    path.write_bytes((OLD * (size // 4 + 1))[:size])
    return path


def run(folder: Path, *words: str | Path) -> Done:
    return forensiq("clone", *words, "--json", "--record", "record/R", folder=folder)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_da_ao_12_an_image_becomes_a_new_file(tmp_path: Path) -> None:
    data = source(tmp_path)
    forensiq("acquire", "disk.dd", "X", folder=tmp_path).expect(0)
    record = run(tmp_path, "X.E01", "copy.bin").expect(0).json
    assert (tmp_path / "copy.bin").read_bytes() == data
    assert record["schema"] == "forensiq/acquisition/1"
    assert record["digests"]["sha256"] == sha256(data)
    assert record["verification"]["verdict"] == "verified"
    assert record["derived_from"]["image"].endswith("X.E01")
    assert sorted(each.name for each in (tmp_path / "record").iterdir()) == [
        "R.blocks.csv",
        "R.log.txt",
        "R.map",
        "R.record.json",
    ]


def test_a_drive_that_is_not_there_never_becomes_a_file_in_dev(tmp_path: Path) -> None:
    source(tmp_path)
    target = Path("/dev/forensiq-no-such-drive")
    assert run(tmp_path, "disk.dd", target).expect(2).json["error"] == "UsageError"
    assert not target.exists()
    assert not (tmp_path / "record").exists()


@pytest.mark.root
def test_da_ao_11_14_a_drive_becomes_an_equal_drive(tmp_path: Path) -> None:
    data = source(tmp_path)
    target = old_disk(tmp_path, SIZE)
    with loop_device(tmp_path / "disk.dd") as one, loop_device(target) as other:
        record = run(tmp_path, one.path, other.path, "--confirm-target", other.path).expect(0).json
    assert target.read_bytes() == data
    assert (tmp_path / "disk.dd").read_bytes() == data
    assert record["clone"]["target"] == other.path
    assert record["clone"]["held_data"] == "data at byte 0"
    assert record["clone"]["excess"] is None
    assert record["write_block"]["method"] == "kernel_read_only_flag"
    assert record["verification"]["verdict"] == "verified"


@pytest.mark.root
@pytest.mark.parametrize("excess", ["keep", "fill"])
def test_da_ao_17_18_what_lies_behind_the_medium(tmp_path: Path, excess: str) -> None:
    data = source(tmp_path)
    before = old_disk(tmp_path, SIZE + 1_000_448).read_bytes()
    with loop_device(tmp_path / "target.bin") as target:
        words = ["disk.dd", target.path, "--confirm-target", target.path, "--excess", excess]
        record = run(tmp_path, *words).expect(0).json
    after = (tmp_path / "target.bin").read_bytes()
    assert after[:SIZE] == data
    assert after[SIZE:] == (before[SIZE:] if excess == "keep" else bytes(1_000_448))
    facts = record["clone"]["excess"]
    assert (facts["mode"], facts["offset"], facts["length"]) == (excess, SIZE, 1_000_448)
    assert facts["verdict"] == ("unchanged" if excess == "keep" else "zeros")
    assert facts["sha256_after"] == sha256(after[SIZE:])
    assert facts["sha256_before"] == (sha256(before[SIZE:]) if excess == "keep" else None)


def test_da_ao_19_20_a_smaller_target(tmp_path: Path) -> None:
    data = source(tmp_path)
    target = old_disk(tmp_path, 3_000_000)
    words = ["disk.dd", "target.bin", "--confirm-target", str(target)]
    before = target.read_bytes()
    refused = run(tmp_path, *words).expect(6).json
    assert "too small" in refused["message"]
    assert target.read_bytes() == before
    assert not (tmp_path / "record").exists()
    record = run(tmp_path, *words, "--allow-truncated").expect(0).json
    kept = 3_000_000 // SECTOR * SECTOR
    assert target.read_bytes() == data[:kept] + before[kept:]
    assert record["digests"]["sha256"] == sha256(data[:kept])
    assert record["range"]["whole"] is False
    assert record["clone"]["truncated"] == SIZE - 3_000_000
    assert "clone.truncated" in [each["code"] for each in record["findings"]]
    assert "truncated" in (tmp_path / "record/R.log.txt").read_text()


@pytest.mark.root
def test_another_sector_size_is_refused(tmp_path: Path) -> None:
    data = source(tmp_path)
    (tmp_path / "target.bin").write_bytes(bytes(SIZE))
    with loop_device(tmp_path / "target.bin", sector_size=4096) as target:
        refused = run(tmp_path, "disk.dd", target.path).expect(6).json
        assert refused["sector_size"] == 4096
        run(tmp_path, "disk.dd", target.path, "--allow-truncated").expect(0)
    assert (tmp_path / "target.bin").read_bytes() == data


@pytest.mark.parametrize("place", [0, SIZE // 2 // 65536 * 65536, SIZE - 1])
def test_a_target_that_holds_data_has_to_be_named_twice(tmp_path: Path, place: int) -> None:
    source(tmp_path)
    target = tmp_path / "target.bin"
    target.write_bytes(bytes(place) + b"x" + bytes(SIZE - place - 1))
    before = target.read_bytes()
    refused = run(tmp_path, "disk.dd", "target.bin").expect(6).json
    assert refused["confirm"] == str(target)
    assert "--confirm-target" in refused["hint"]
    run(tmp_path, "disk.dd", "target.bin", "--confirm-target", "WD-1234").expect(6)
    assert target.read_bytes() == before
    run(tmp_path, "disk.dd", "target.bin", "--confirm-target", str(target)).expect(0)


def test_a_blank_target_needs_no_second_name_but_a_wrong_one_is_refused(tmp_path: Path) -> None:
    data = source(tmp_path)
    (tmp_path / "target.bin").write_bytes(bytes(SIZE))
    run(tmp_path, "disk.dd", "target.bin", "--confirm-target", "WD-1234").expect(6)
    assert (tmp_path / "target.bin").read_bytes() == bytes(SIZE)
    run(tmp_path, "disk.dd", "target.bin").expect(0)
    assert (tmp_path / "target.bin").read_bytes() == data


def test_a_person_is_asked_and_the_answer_counts(tmp_path: Path) -> None:
    data = source(tmp_path)
    target = old_disk(tmp_path, SIZE)
    asked: list[str] = []

    def ask(question: str) -> str | None:
        asked.append(question)
        return str(target)

    request = AcquireRequest(
        source=str(tmp_path / "disk.dd"), output=tmp_path / "R", clone=CloneRequest(str(target), ask=ask)
    )
    record = clone(request)
    assert exit_code_of(record) == 0
    assert "holds data" in asked[0]
    assert record.clone is not None
    assert record.clone.confirmed == str(target)
    assert target.read_bytes() == data


@pytest.mark.root
def test_a_target_in_use_is_refused(tmp_path: Path) -> None:
    source(tmp_path)
    target = tmp_path / "target.bin"
    target.write_bytes(bytes(8 << 20))
    subprocess.run(["mkfs.ext4", "-q", str(target)], check=True)
    (tmp_path / "mount").mkdir()
    with loop_device(target) as device:
        subprocess.run(["mount", device.path, str(tmp_path / "mount")], check=True)
        try:
            error = run(tmp_path, "disk.dd", device.path, "--confirm-target", device.path).expect(6).json
            assert "is mounted on" in error["message"]
            # The source lies on the target.
            (tmp_path / "mount/evidence.dd").write_bytes(bytes(4096))
            run(tmp_path, "mount/evidence.dd", device.path, "--confirm-target", device.path).expect(6)
        finally:
            subprocess.run(["umount", str(tmp_path / "mount")], check=True)
        # A file under a loop device, and a drive that the kernel protects.
        assert "loop device over it" in run(tmp_path, "disk.dd", target).expect(6).json["message"]
        subprocess.run(["blockdev", "--setro", device.path], check=True)
        error = run(tmp_path, "disk.dd", device.path, "--confirm-target", device.path).expect(6).json
        assert "protected from writing" in error["message"]


@pytest.mark.root
def test_the_source_is_never_the_target(tmp_path: Path) -> None:
    data = source(tmp_path)
    (tmp_path / "link").symlink_to("disk.dd")
    (tmp_path / "hard").hardlink_to(tmp_path / "disk.dd")
    for name in ("disk.dd", "link", "hard"):
        run(tmp_path, "disk.dd", name, "--confirm-target", str(tmp_path / name)).expect(6)
    with loop_device(tmp_path / "disk.dd") as device:
        run(tmp_path, device.path, device.path, "--confirm-target", device.path).expect(6)
        run(tmp_path, "disk.dd", device.path, "--confirm-target", device.path).expect(6)
        run(tmp_path, device.path, "disk.dd", "--confirm-target", str(tmp_path / "disk.dd")).expect(6)
    forensiq("acquire", "disk.dd", "X", "--segment-size", "3MiB", folder=tmp_path).expect(0)
    segments = sorted(tmp_path.glob("X.E*"))
    assert len(segments) > 1
    run(tmp_path, "X.E01", segments[-1], "--confirm-target", str(segments[-1])).expect(6)
    assert (tmp_path / "disk.dd").read_bytes() == data


@pytest.mark.root
def test_da_am_10_bad_sectors_are_filled_over_what_was_there(tmp_path: Path) -> None:
    data = source(tmp_path)
    bad = [Extent(512 * 100, 512), Extent(1 << 20, 512 * 9)]
    target = old_disk(tmp_path, SIZE)
    with faulty_device(tmp_path / "disk.dd", tmp_path / "rig", bad=bad) as device:
        record = run(tmp_path, device.path, "target.bin", "--confirm-target", target).expect(3).json
    expected = bytearray(data)
    for each in bad:
        expected[each.offset : each.end] = bytes(each.length)
    assert target.read_bytes() == bytes(expected)
    assert [(each["offset"], each["length"]) for each in record["unreadable"]] == [(b.offset, b.length) for b in bad]
    assert record["verification"]["verdict"] == "verified"


def test_a_gpt_backup_at_the_old_end_is_told(tmp_path: Path) -> None:
    disk = bytes(gpt_disk([(40, 80, "evidence")]))
    (tmp_path / "disk.dd").write_bytes(disk)
    (tmp_path / "target.bin").write_bytes(bytes(len(disk) * 2))
    record = run(tmp_path, "disk.dd", "target.bin").expect(0).json
    (finding,) = [each for each in record["findings"] if each["code"] == "clone.gpt.backup"]
    assert (finding["expected"], finding["found"]) == ("255", "511")
    assert (tmp_path / "target.bin").read_bytes() == disk + bytes(len(disk))
    assert "GUID partition table" in (tmp_path / "record/R.log.txt").read_text()


class Failing(FileCalls):
    """Fails to write behind a byte of the target."""

    behind = 5 << 20

    def pwritev(self, descriptor: int, parts: Any, offset: int) -> int:
        if offset + sum(map(len, parts)) > self.behind:
            raise OSError(5, os.strerror(5))
        return super().pwritev(descriptor, parts, offset)


def test_da_ao_21_a_write_error_is_told_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = source(tmp_path, 9 << 20)
    target = old_disk(tmp_path, 9 << 20)
    original = CloneWriter.__init__

    def failing(self: CloneWriter, *arguments: Any, **more: Any) -> None:
        original(self, *arguments, **{**more, "calls": Failing()})

    request = AcquireRequest(
        source=str(tmp_path / "disk.dd"),
        output=tmp_path / "R",
        clone=CloneRequest(str(target), confirm=str(target)),
    )
    with monkeypatch.context() as patch:
        patch.setattr(CloneWriter, "__init__", failing)
        record = clone(request)
    assert exit_code_of(record) == 7
    assert record.status == "failed"
    state = json.loads((tmp_path / "R.state.json").read_text())
    assert state["durable"] == [4 << 20]
    words = ["disk.dd", "target.bin", "--record", "R", "--resume", "--json"]
    # Another target under the same name is not written to.
    target.rename(tmp_path / "first")
    old_disk(tmp_path, 9 << 20)
    error = forensiq("clone", *words, folder=tmp_path).expect(2).json
    assert "does not hold what was written" in error["message"]
    (tmp_path / "first").rename(target)
    again = forensiq("clone", *words, folder=tmp_path).expect(0).json
    assert target.read_bytes() == data
    assert again["sittings"] == 2
    assert again["digests"]["sha256"] == sha256(data)
    finished = forensiq("clone", *words, folder=tmp_path).expect(0).json
    assert finished["verification"]["verdict"] == "verified"


def test_damage_on_the_target_is_found(tmp_path: Path) -> None:
    source(tmp_path)
    (tmp_path / "target.bin").write_bytes(bytes(SIZE + 4096))
    run(tmp_path, "disk.dd", "target.bin").expect(0)
    words = ["disk.dd", "target.bin", "--resume"]
    for place, verdicts in ((SIZE - 1, ("mismatch", "damaged")), (SIZE + 5, ("verified",))):
        with (tmp_path / "target.bin").open("r+b") as file:
            file.seek(place)
            before = file.read(1)
            file.seek(place)
            file.write(b"\x77")
        found = run(tmp_path, *words).expect(4).json
        assert found["verification"]["verdict"] in verdicts
        with (tmp_path / "target.bin").open("r+b") as file:
            file.seek(place)
            file.write(before)
    run(tmp_path, *words).expect(0)


def cloned_until(request: AcquireRequest, last: int) -> int | None:
    """Clone in a child that dies at call number ``last``; return how many calls there were if it lived."""
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
            count_calls(one_more)
            clone(request)
            os.write(writing, str(calls).encode())
        finally:
            os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    assert os.waitstatus_to_exitcode(status) in (0, 9)
    return int(said) if said else None


@pytest.mark.parametrize("kind", ["in place", "new file"])
def test_killed_between_any_two_changes_it_goes_on(tmp_path: Path, kind: str) -> None:
    data = source(tmp_path, 1 << 20)

    def request(number: int, *, resume: bool = False) -> AcquireRequest:
        folder = tmp_path / str(number)
        folder.mkdir(exist_ok=True)
        target = folder / "target.bin"
        if kind == "in place" and not target.exists():
            old_disk(folder, (1 << 20) + 8192)
        confirm = str(target) if kind == "in place" else None
        return AcquireRequest(
            source=str(tmp_path / "disk.dd"),
            output=folder / "R",
            resume=resume,
            clone=CloneRequest(str(target), confirm=confirm),
        )

    calls = cloned_until(request(0), -1)
    assert calls is not None
    assert calls > 8
    for last in range(1, calls + 1, max(1, calls // 10)):
        assert cloned_until(request(last), last) is None
        first = request(last, resume=(tmp_path / str(last) / "R.state.json").exists())
        if not first.resume and (tmp_path / str(last) / "R.record.json").exists():
            first = request(last, resume=True)
        record = clone(first)
        assert exit_code_of(record) == 0, (last, record.failure, record.verification)
        assert record.digests[HashAlgorithm.SHA256] == sha256(data)
        after = (tmp_path / str(last) / "target.bin").read_bytes()
        assert after[: 1 << 20] == data
        assert kind == "new file" or after[1 << 20 :] == (OLD * 400_000)[1 << 20 : (1 << 20) + 8192]
        left = sorted(each.name for each in (tmp_path / str(last)).iterdir())
        assert [name for name in left if name.endswith((".part", ".state.json"))] == []


def test_a_target_to_which_nothing_was_written_yet_is_named_again(tmp_path: Path) -> None:
    source(tmp_path, 1 << 20)
    target = tmp_path / "target.bin"
    target.write_bytes(bytes(1 << 20))
    request = AcquireRequest(source=str(tmp_path / "disk.dd"), output=tmp_path / "R", clone=CloneRequest(str(target)))
    last = next(
        number for number in range(2, 40) if (cloned_until(request, number), (tmp_path / "R.state.json").exists())[1]
    )
    assert last > 1
    other = old_disk(tmp_path, 1 << 20)
    before = other.read_bytes()
    words = ["disk.dd", "target.bin", "--record", "R", "--resume", "--json"]
    refused = forensiq("clone", *words, folder=tmp_path).expect(6).json
    assert "holds data" in refused["message"]
    assert other.read_bytes() == before


def test_a_clone_in_a_case_is_bound_and_resumed(tmp_path: Path) -> None:
    data = source(tmp_path)
    words = ["--number", "2026-7", "--examiner", "A. Lee"]
    secret = {"FORENSIQ_HOME": str(tmp_path / "home"), "HOME": str(tmp_path), "FORENSIQ_PASSPHRASE": "correct horse"}
    forensiq("case", "new", "case", *words, folder=tmp_path, environment=secret).expect(0)
    inside = ["--case", "case", "--item", "DISK-1", "--json"]
    target = "case/evidence/copy.bin"
    record = forensiq("clone", "disk.dd", target, *inside, folder=tmp_path, environment=secret).expect(0).json
    assert (tmp_path / target).read_bytes() == data
    assert record["item"] == "DISK-1"
    assert record["metadata"]["case_number"] == "2026-7"
    log = forensiq("case", "log", "case", "--json", folder=tmp_path, environment=secret).expect(0).lines
    ended = log[-1]["entry"]
    assert ended["action"] == "acquire.finished"
    assert ended["digests"]["evidence/copy.bin"] == sha256(data)
    assert any(name.endswith(".record.json") for name in ended["digests"])
    forensiq("case", "verify", "case", folder=tmp_path, environment=secret).expect(0)
    again = forensiq("clone", "disk.dd", target, *inside, "--resume", folder=tmp_path, environment=secret).expect(0)
    assert again.json["verification"]["verdict"] == "verified"
    (tmp_path / target).write_bytes(data[:-1] + b"!")
    assert forensiq("case", "verify", "case", folder=tmp_path, environment=secret).code in (4, 5)
