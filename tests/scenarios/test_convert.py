"""``convert``, run as a user does."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from forensiq.errors import DestinationExistsError, ExitCode, ImageFormatError
from forensiq.images import open_image
from forensiq.images.output import FileCalls
from forensiq.procedures.acquire import exit_code_of
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.convert import convert, default_compression
from tests.scenarios.program import forensiq
from tests.support.ewf import corpus

FORMATS = ("vmdk", "vmdk-stream", "vhd", "vhd-fixed", "vhdx", "qcow2", "vdi", "dmg")
ENDINGS = {"vmdk-stream": "vmdk", "vhd-fixed": "vhd"}
QEMU = pytest.mark.skipif(shutil.which("qemu-nbd") is None, reason="qemu-nbd is not installed")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evidence")
    (folder / "disk.dd").write_bytes(corpus(3 * 1024 * 1024 + 512 + 100, seed=5))
    forensiq("acquire", "disk.dd", "ITEM-1", "--case-number", "2026-7", "--json", folder=folder).expect(0)
    return folder / "ITEM-1.E01"


@QEMU
@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_written_and_read_by_somebody_else(image: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "new" / f"out.{ENDINGS.get(name, name)}"
    record = forensiq("convert", image, target, "--format", name, "--json").expect(0).json
    before = json.loads((image.parent / "ITEM-1.record.json").read_text())
    assert record["digests"] == before["digests"]
    assert record["status"] == "complete"
    assert record["verification"]["verdict"] == "verified"
    assert record["verification"]["details"]["reader_is_independent"] is True
    assert "qemu-nbd" in record["verification"]["details"]["reader"]
    assert record["metadata"]["case_number"] == "2026-7"
    assert record["derived_from"]["recorded_sha256"] == before["digests"]["sha256"]
    assert record["image"]["format"] == name.split("-")[0]
    (segment,) = record["image"]["segments"]
    assert segment["path"] == target.name
    assert segment["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    beside = {path.name for path in target.parent.iterdir()}
    assert beside == {target.name, "out.record.json", "out.log.txt", "out.map", "out.blocks.csv"}
    assert "qemu-nbd" in (target.parent / "out.log.txt").read_text()


@QEMU
def test_compressed_qcow2_is_smaller(image: Path, tmp_path: Path) -> None:
    sizes = {}
    for compression in ("none", "fast", "best"):
        target = tmp_path / f"{compression}.qcow2"
        words = ("--format", "qcow2", "--compression", compression, "--json")
        record = forensiq("convert", image, target, *words).expect(0).json
        assert record["image"]["compression"] == compression
        sizes[compression] = target.stat().st_size
    assert sizes["best"] <= sizes["fast"] < sizes["none"]


@QEMU
def test_an_odd_raw_file_is_padded_and_the_record_says_so(tmp_path: Path) -> None:
    data = corpus(100_001, seed=9)
    (tmp_path / "odd.img").write_bytes(data)
    target = tmp_path / "odd.qcow2"
    record = forensiq("convert", tmp_path / "odd.img", target, "--format", "qcow2", "--json").expect(0).json
    assert record["padding_bytes"] == 100_352 - 100_001
    assert record["source_digests"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert record["digests"]["sha256"] == hashlib.sha256(data.ljust(100_352, b"\0")).hexdigest()


def test_unreadable_sectors_stay_unreadable(tmp_path: Path) -> None:
    (tmp_path / "disk.dd").write_bytes(corpus(1 << 20, seed=4))
    forensiq("acquire", "disk.dd", "A", "--format", "raw", "--json", folder=tmp_path).expect(0)
    record = json.loads((tmp_path / "A.record.json").read_text())
    hole = {"offset": 4096, "length": 1024, "first_lba": 8, "sectors": 2, "errno": 5}
    record |= {"unreadable": [hole], "status": "complete_with_unreadable_sectors"}
    (tmp_path / "A.record.json").write_text(json.dumps(record))
    made = forensiq("convert", "A.dd", "B.vmdk", "--format", "vmdk", "--json", folder=tmp_path).expect(3).json
    assert [(each["offset"], each["length"]) for each in made["unreadable"]] == [(4096, 1024)]
    assert "0x00001000  0x00000400  -" in (tmp_path / "B.map").read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("out.vmdk", "--format", "qcow2"), 2, "ends in .qcow2"),
        (("out.iso", "--format", "iso"), 2, "2048"),
        (("out.vhd", "--format", "vhd", "--segment-size", "1MiB"), 2, "one file"),
        (("out.vhd", "--format", "vhd", "--compression", "fast"), 2, "compression"),
        (("out.vmdk", "--format", "vmdk-stream", "--compression", "none"), 2, "compression"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    image: Path, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = forensiq("convert", image, *words, "--json", folder=tmp_path).expect(code)
    assert said in done.json["message"] + done.json.get("hint", "")
    assert list(tmp_path.iterdir()) == []


def test_a_medium_too_large_for_the_format_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "large.img").open("wb") as file:
        file.truncate((2040 << 30) + 512)
    done = forensiq(
        "convert", "large.img", "out.vhd", "--format", "vhd", "--json", "--allow-low-space", folder=tmp_path
    ).expect(2)
    assert done.json["largest"] == 2040 << 30
    assert [path.name for path in tmp_path.iterdir()] == ["large.img"]


def test_nothing_is_overwritten(image: Path, tmp_path: Path) -> None:
    (tmp_path / "out.vmdk").write_bytes(b"mine")
    forensiq("convert", image, tmp_path / "out.vmdk", "--format", "vmdk", "--json").expect(6)
    assert (tmp_path / "out.vmdk").read_bytes() == b"mine"


@pytest.mark.parametrize("name", [*FORMATS, "aff4"])
def test_what_an_interruption_leaves_is_never_an_image_and_is_named(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    original = FileCalls.pwritev

    def full(self: FileCalls, descriptor: int, parts: Sequence[Any], offset: int) -> int:
        if ".part" not in Path(f"/proc/self/fd/{descriptor}").readlink().name:
            return original(self, descriptor, parts, offset)
        # All that comes before the media data, and some of these.
        limits = {"vhdx": (4 << 20) + 500_000, "vdi": 1_300_000, "aff4": 100_000, "vmdk-stream": 150_000}
        limit = limits.get(name, 300_000)
        if offset >= limit:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, descriptor, [b"".join(parts)[: limit - offset]], offset)

    monkeypatch.setattr(FileCalls, "pwritev", full)
    target = tmp_path / f"a.{ENDINGS.get(name, name)}"
    compression = default_compression(name)
    convert(AcquireRequest(source=str(image), output=target, format=name, compression=compression))
    monkeypatch.undo()
    part = target.with_name(target.name + ".part")
    assert part.stat().st_size > 0
    assert not target.exists()
    with pytest.raises(ImageFormatError):
        open_image(part)
    renamed = part.rename(tmp_path / f"renamed{target.suffix}")
    with pytest.raises(ImageFormatError):
        open_image(renamed)
    renamed.rename(part)
    with pytest.raises(DestinationExistsError) as caught:
        convert(AcquireRequest(source=str(image), output=target, format=name, compression=compression))
    assert "--resume" in (caught.value.hint or "")
    assert part.exists()


def test_optical_media_become_an_iso(tmp_path: Path) -> None:
    data = corpus(200 * 2048, seed=3)
    (tmp_path / "cd.dd").write_bytes(data)
    forensiq("acquire", "cd.dd", "CD", "--format", "raw", "--json", folder=tmp_path).expect(0)
    record = json.loads((tmp_path / "CD.record.json").read_text())
    record["image"]["sector_size"] = 2048
    (tmp_path / "CD.record.json").write_text(json.dumps(record))
    made = forensiq("convert", "CD.dd", "new.iso", "--format", "iso", "--json", folder=tmp_path).expect(0).json
    assert (tmp_path / "new.iso").read_bytes() == data
    assert made["image"]["sector_size"] == 2048
    assert made["verification"]["verdict"] == "verified"


@QEMU
@pytest.mark.parametrize("name", [*FORMATS, "aff4"])
def test_media_of_4096_byte_sectors(tmp_path: Path, name: str) -> None:
    data = corpus(300 * 4096, seed=8)
    (tmp_path / "disk.dd").write_bytes(data)
    forensiq("acquire", "disk.dd", "A", "--format", "raw", "--json", folder=tmp_path).expect(0)
    record = json.loads((tmp_path / "A.record.json").read_text())
    record["image"]["sector_size"] = 4096
    (tmp_path / "A.record.json").write_text(json.dumps(record))
    file = f"B.{ENDINGS.get(name, name)}"
    made = forensiq("convert", "A.dd", file, "--format", name, "--json", folder=tmp_path).expect(0).json
    assert made["image"]["sector_size"] == 4096
    assert made["digests"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert made["verification"]["verdict"] == "verified"
    said = [each["code"] for each in made["findings"]]
    assert ("container.sector_size" in said) == (name not in ("vhdx", "aff4"))
    assert forensiq("verify", file, "--json", folder=tmp_path).expect(0).json["verdict"] == "verified"


def test_aff4_keeps_digests_and_case_fields(image: Path, tmp_path: Path) -> None:
    record = forensiq("convert", image, tmp_path / "out.aff4", "--format", "aff4", "--json").expect(0).json
    assert record["verification"]["verdict"] == "verified"
    assert record["verification"]["details"]["reader_is_independent"] is False
    for beside in tmp_path.glob("out.*.*"):
        beside.unlink()
    facts = forensiq("info", tmp_path / "out.aff4", "--json").expect(0).json
    assert facts["stored_digests"] == record["digests"]
    assert facts["metadata"]["case_number"] == "2026-7"
    assert forensiq("verify", tmp_path / "out.aff4", "--json").expect(0).json["verdict"] == "verified"


def test_without_qemu_our_own_reader_is_used_and_named(image: Path, tmp_path: Path) -> None:
    path = {"PATH": str(Path(sys.executable).parent)}
    record = forensiq("convert", image, tmp_path / "a.vmdk", "--format", "vmdk", "--json", environment=path)
    verification = record.expect(0).json["verification"]
    assert verification["verdict"] == "verified"
    assert verification["details"]["reader_is_independent"] is False
    assert "container.reader" in [each["code"] for each in verification["structure"]]


def test_a_full_destination_is_exit_7_and_resume_begins_anew(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = FileCalls.pwritev

    def full(self: FileCalls, descriptor: int, parts: Sequence[Any], offset: int) -> int:
        target = Path(f"/proc/self/fd/{descriptor}").readlink().name
        if target == "a.vmdk.part" and offset + sum(map(len, parts)) > 1 << 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, descriptor, parts, offset)

    monkeypatch.setattr(FileCalls, "pwritev", full)
    request = AcquireRequest(source=str(image), output=tmp_path / "a.vmdk", format="vmdk", compression="none")
    record = convert(request)
    assert exit_code_of(record) is ExitCode.DESTINATION
    assert record.status == "failed"
    assert not (tmp_path / "a.vmdk").exists()
    assert (tmp_path / "a.vmdk.part").exists()
    monkeypatch.undo()
    record = convert(replace(request, resume=True))
    assert exit_code_of(record) is ExitCode.OK
    assert record.verification is not None
    assert record.verification.verdict == "verified"
    assert record.sittings == 2
    assert {each.name for each in tmp_path.iterdir()} == {
        "a.vmdk", "a.record.json", "a.log.txt", "a.map", "a.blocks.csv",
    }  # fmt: skip
