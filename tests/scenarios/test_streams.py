"""Standard output and error that are closed, full or without a reader never reach evidence and never end the work."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scenarios.program import forensiq
from tests.support.fat import fat_volume

DATA = bytes(range(256)) * 2048


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.dd"
    path.write_bytes(DATA)
    return path


def _shell(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", "-c", words.replace("forensiq", f"{sys.executable} -m forensiq")],
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_descriptor_never_becomes_an_image(closed: str, disk: Path) -> None:
    assert _shell(f"forensiq acquire disk.dd X --format raw {closed}", disk.parent).returncode == 0
    assert (disk.parent / "X.dd").read_bytes() == DATA
    assert disk.read_bytes() == DATA
    record = json.loads((disk.parent / "X.record.json").read_text())
    assert record["digests"]["sha256"] == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize("progress", ["auto", "jsonl"])
def test_a_reader_that_goes_away_does_not_end_an_acquisition(progress: str, disk: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "forensiq", "acquire", str(disk), str(disk.parent / "X"), "--progress", progress]
    done = subprocess.run(words, stdout=writing, stderr=writing, check=False, timeout=120)
    os.close(writing)
    assert done.returncode == 0
    assert forensiq("verify", disk.parent / "X.E01").code == 0


def test_a_full_output_is_told_and_keeps_its_exit_code(disk: Path) -> None:
    forensiq("acquire", disk, disk.parent / "X", "--quiet").expect(0)
    done = _shell("forensiq info X.E01 --json > /dev/full; echo code $?", disk.parent)
    assert done.stdout == "code 7\n"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", ["ls", "ls -r --json", "timeline", "timeline --format csv", "hash", "types", "types --json", "partitions"]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_listing_onto_a_full_disk_is_a_failed_destination(words: str, unbuffered: str, tmp_path: Path) -> None:
    (tmp_path / "fat.dd").write_bytes(fat_volume({b"KEPT    TXT": b"kept"}))
    command, *options = words.split()
    done = _shell(
        f"PYTHONUNBUFFERED={unbuffered} forensiq {command} fat.dd {' '.join(options)} > /dev/full; echo code $?",
        tmp_path,
    )
    assert done.stdout == "code 7\n", done.stderr
    assert "fault" not in done.stderr


def test_an_error_keeps_its_exit_code_when_nobody_can_be_told(disk: Path) -> None:
    for words in ("forensiq info nowhere --json > /dev/full", "forensiq info nowhere 2> /dev/full"):
        assert _shell(f"{words}; echo code $? >&1", disk.parent).stdout == "code 9\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_knows_few_characters_ends_nothing(encoding: str, disk: Path) -> None:
    few = {"PYTHONIOENCODING": encoding}
    done = forensiq("acquire", disk, disk.parent / "X", "--case-number", "№ 7", environment=few).expect(0)
    assert "COMPLETE" in done.out
    assert forensiq("verify", disk.parent / "X.E01", environment=few).expect(0).out.startswith("VERIFIED")


def test_a_name_that_is_not_utf_8_is_shown_and_acquired(disk: Path) -> None:
    name = os.fsdecode(b"bad\xff\nname")
    disk.rename(disk.parent / name)
    done = forensiq("acquire", disk.parent / name, disk.parent / "X", folder=disk.parent).expect(0)
    assert "name" in done.out
    error = forensiq("info", name + "2", folder=disk.parent).expect(9).err
    assert len(error.splitlines()) == 1, "a name brought a line of its own"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_signal_while_the_program_is_being_loaded(tmp_path: Path, number: signal.Signals, as_json: bool) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "class Signals:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == 'forensiq.cli.main': os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Signals())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "forensiq", "doctor", *(["--json"] if as_json else [])],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 130
    if as_json:
        assert json.loads(ended.stdout)["error"] == "Interrupted"
        assert ended.stderr == ""
    else:
        assert (ended.stdout, ended.stderr) == ("", "forensiq: interrupted\n")
