"""Every command that looks at evidence writes its start and its end into the ledger of the case that it is given."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.program import Done, forensiq
from tests.support.disks import mbr_entry, mbr_sector
from tests.support.fat import fat_volume

START = 63


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a case of an acquired drive: an MBR and a FAT volume with one file."""
    home = tmp_path_factory.mktemp("ready")
    volume = fat_volume({b"KEPT    TXT": b"kept"})
    (home / "drive.dd").write_bytes(mbr_sector(mbr_entry(0x01, START, 128)) + bytes((START - 1) * 512) + volume)
    places = {"XDG_CONFIG_HOME": str(home / "config"), "XDG_STATE_HOME": str(home / "state"), "FORENSIQ_KEY": ""}
    words = ("case", "new", home / "c", "--number", "7", "--examiner", "A. Lee")
    forensiq(*words, environment=places).expect(0)
    forensiq(
        "acquire", home / "drive.dd", "--case", home / "c", "--item", "ITEM-1", "--quiet", environment=places
    ).expect(0)
    return home


@pytest.fixture
def home(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ready, tmp_path / "home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home" / "state"))
    monkeypatch.delenv("FORENSIQ_KEY", raising=False)
    return tmp_path / "home"


@pytest.fixture
def case(home: Path) -> Path:
    return home / "c"


def events(case: Path, action: str = "") -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (case / "ledger.jsonl").read_text().splitlines()]
    return [each for each in lines if each["action"].startswith(action)]


IMAGE = "evidence/ITEM-1/ITEM-1.E01"
COMMANDS: dict[str, tuple[str, ...]] = {
    "verify": (),
    "info": (),
    "partitions": (),
    "ls": ("--recursive",),
    "cat": ("/KEPT.TXT",),
    "hash": ("--hash", "sha256"),
    "timeline": ("--format", "csv"),
    "search": ("--text", "kept"),
    "types": ("--partition", "1"),
    "impact": (),
}


def test_each_command_is_in_the_ledger_with_what_it_was_asked(case: Path) -> None:
    for name, options in COMMANDS.items():
        forensiq(name, case / IMAGE, *options, "--case", case, "--quiet").expect(0)
        started, ended = events(case, f"{name}.")
        assert (started["action"], ended["action"]) == (f"{name}.started", f"{name}.finished")
        assert started["parameters"]["image"] == IMAGE
        assert ended["result"]["exit_code"] == 0
        assert ended["parameters"]["started"] == started["seq"]
    asked = {each["action"]: each["parameters"]["options"] for each in events(case) if "options" in each["parameters"]}
    assert asked["ls.started"] == {"recursive": True}
    assert asked["cat.started"] == {"path": "/KEPT.TXT"}
    assert asked["hash.started"] == {"hash": ["sha256"]}
    assert asked["search.started"] == {"text": ["kept"]}
    assert asked["timeline.started"] == {"format": "csv"}
    assert forensiq("case", "verify", case, "--json").expect(0).json["verdict"] == "intact"


def test_a_verification_pins_the_ledger_and_tells_its_verdict(case: Path) -> None:
    record = forensiq("verify", case / IMAGE, "--case", case, "--json").expect(0).json
    started, ended = events(case, "verify.")
    line = (case / "ledger.jsonl").read_bytes().splitlines()[started["seq"] - 1]
    assert record["ledger_head"] == {
        "count": started["seq"], "seq": started["seq"], "last_hash": hashlib.sha256(line).hexdigest()
    }  # fmt: skip
    assert ended["result"]["verdict"] == "verified"
    assert ended["result"]["media_digests"] == {name: each["computed"] for name, each in record["digests"].items()}


def test_an_image_that_differs_ends_with_its_verdict(case: Path) -> None:
    image = case / IMAGE
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(content)
    forensiq("verify", image, "--case", case, "--quiet").expect(4)
    (ended,) = events(case, "verify.finished")
    assert ended["result"]["exit_code"] == 4
    assert ended["result"]["verdict"] != "verified"


def test_an_extraction_binds_its_manifest(case: Path) -> None:
    forensiq("extract", case / IMAGE, case / "attachments" / "files", "--case", case, "--quiet").expect(0)
    (ended,) = events(case, "extract.finished")
    assert ended["result"]["files"] == 1
    manifest = case / "attachments/files/manifest.jsonl"
    assert ended["digests"] == {"attachments/files/manifest.jsonl": hashlib.sha256(manifest.read_bytes()).hexdigest()}
    assert forensiq("case", "verify", case, "--no-images").code == 0


def test_a_preflight_is_recorded_with_its_answer(case: Path, home: Path) -> None:
    done = forensiq("preflight", home / "drive.dd", home / "out" / "x", "--case", case, "--json")
    started, ended = events(case, "preflight.")
    assert started["parameters"]["source"] == str(home / "drive.dd")
    assert (ended["action"], ended["result"]["exit_code"]) == ("preflight.finished", done.code)
    assert ended["result"]["go"] is (done.code == 0)
    assert ended["result"]["summary"] == done.json["summary"]


@pytest.mark.root
@pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="FUSE cannot be used here")
def test_a_mount_is_recorded(case: Path, home: Path) -> None:
    forensiq("mount", case / IMAGE, home / "mnt", "--case", case, "--quiet").expect(0)
    forensiq("unmount", home / "mnt").expect(0)
    assert [each["action"] for each in events(case, "mount.")] == ["mount.started", "mount.finished"]


REFUSED: dict[str, tuple[Callable[[Path], tuple[str, ...]], int]] = {
    "verify": (lambda case: (str(case / "case.toml"),), 9),
    "ls": (lambda case: (str(case / IMAGE), "--partition", "9"), 2),
    "cat": (lambda case: (str(case / IMAGE), "/nothing"), 2),
    "extract": (lambda case: (str(case / IMAGE), str(case / "evidence")), 6),
    "info": (lambda case: (str(case / "evidence/nothing.E01"),), 9),
}


def test_a_step_that_fails_is_aborted_with_its_exit_code(case: Path) -> None:
    for name, (arguments, code) in REFUSED.items():
        done = forensiq(name, *arguments(case), "--case", case, "--json").expect(code)
        assert done.json["exit_code"] == code
        started, ended = events(case, f"{name}.")
        assert (started["action"], ended["action"]) == (f"{name}.started", f"{name}.aborted")
        assert ended["result"]["exit_code"] == code
        assert ended["result"]["message"] == done.json["message"]
    forensiq("case", "verify", case, "--no-images").expect(0)


def test_an_interrupted_step_is_aborted(case: Path) -> None:
    tree = case.parent / "big.dd"
    tree.touch()
    os.truncate(tree, 1 << 38)
    words = ("verify", str(tree), "--format", "raw", "--case", str(case), "--progress", "jsonl")
    command = [sys.executable, "-m", "forensiq", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline(), "it reads"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    (ended,) = events(case, "verify.aborted")
    assert ended["result"]["exit_code"] == 130


def test_without_a_case_nothing_is_written_and_a_note_says_so(case: Path, home: Path) -> None:
    before = (case / "ledger.jsonl").read_bytes()

    def told(done: Done) -> bool:
        return "not recorded" in done.expect(0).err

    listed = forensiq("ls", case / IMAGE, "--json")
    assert told(listed)
    assert "/KEPT.TXT" in {each["path"] for each in listed.lines}
    assert not told(forensiq("ls", case / IMAGE, "--quiet"))
    assert not told(forensiq("ls", home / "drive.dd"))
    assert not told(forensiq("ls", case / IMAGE, "--case", case))
    assert (case / "ledger.jsonl").read_bytes().startswith(before)
    assert forensiq("ls", home / "drive.dd", "--key", "k.pem", "--json").expect(2).json["error"] == "UsageError"


def test_a_broken_ledger_refuses_before_the_evidence_is_touched(case: Path) -> None:
    ledger = case / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"ITEM-1", b"ITEM-2", 1)]))
    assert forensiq("cat", case / IMAGE, "/KEPT.TXT", "--case", case).expect(5).out == ""


def test_a_conversion_beside_the_item_is_bound_by_its_step(case: Path) -> None:
    target = case / "evidence" / "ITEM-1" / "for-the-lab.vmdk"
    words = ("--format", "vmdk", "--case", case, "--item", "ITEM-1", "--json")
    record = forensiq("convert", case / IMAGE, target, *words).expect(0).json
    assert record["item"] == "ITEM-1"
    (done,) = [each for each in events(case, "acquire.finished") if "for-the-lab" in json.dumps(each)]
    assert done["digests"]["evidence/ITEM-1/for-the-lab.vmdk"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert "evidence/ITEM-1/for-the-lab.record.json" in done["digests"]
    forensiq("case", "verify", case, "--json").expect(0)


def test_a_machine_over_an_image_is_recorded(case: Path, tmp_path: Path) -> None:
    record = forensiq("boot", case / IMAGE, tmp_path / "vm", "--case", case, "--json").expect(0).json
    (done,) = events(case, "boot.finished")
    assert done["result"]["evidence"] == "unchanged"
    assert record["ledger_head"]["seq"] == done["parameters"]["started"]
