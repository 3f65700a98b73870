"""A case through the command line, from the key to the check of a sealed and handed-over case."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


class Program:
    """The program, in a folder and with a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        home = {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}
        self.environment = {**os.environ, **home, "FORENSIQ_PASSPHRASE": "correct horse"}
        self.environment.pop("FORENSIQ_KEY", None)

    def run(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "forensiq", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code))


@pytest.fixture
def program(tmp_path: Path) -> Program:
    (tmp_path / "drive.img").write_bytes(random.Random(1).randbytes(1 << 20))
    (tmp_path / "label.jpg").write_bytes(b"photo")
    return Program(tmp_path)


def test_a_whole_case(program: Program) -> None:
    key = program.json("keys", "new", "lee.pem", "--name", "A. Lee")
    program.run("keys", "new", "okafor.pem", "--name", "B. Okafor")
    program.environment["FORENSIQ_KEY"] = "lee.pem"
    opened = program.json("case", "new", "c", "--number", "7", "--examiner", "A. Lee", "--template", "criminal")
    assert opened["signer"] == key["fingerprint"]
    program.run("case", "item", "c", "--id", "ITEM-1", "--description", "stick", "--seal-in", "0815")
    program.run("case", "attach", "c", "label.jpg", "--item", "ITEM-1", "--caption", "Label")
    record = program.json("acquire", "drive.img", "--case", "c", "--item", "ITEM-1", "--quiet")
    assert record["ledger_head"]["seq"] > 3
    program.run("case", "note", "c", "Seal intact\x1b[31m", "--item", "ITEM-1")
    handed = program.json("case", "transfer", "c", "--item", "ITEM-1", "--to", "B. Okafor", "--purpose", "examination")
    assert handed["match"] is True
    assert program.json("case", "receive", "c", "--key", "okafor.pem")["match"] is True
    assert [each["number"] for each in [program.json("case", "seal", "c")]] == ["0001"]
    sealed = program.json("case", "countersign", "c", "--key", "okafor.pem", "--role", "receiver")
    assert sealed["countersignatures"][0]["valid"] is True
    checked = program.json("case", "check", "c", "--code", sealed["code"])
    assert (checked["exit_code"], checked["code_matches"]) == (0, True)
    verified = program.json("case", "verify", "c")
    assert verified["verdict"] == "intact"
    assert "signer unknown" in verified["summary"]
    assert [each["verdict"] for each in verified["images"]] == ["verified"]
    for name in ("lee.pem", "okafor.pem"):
        program.run("keys", "trust", name)
    assert program.json("case", "verify", "c")["signers_trusted"] is True
    assert "\x1b" not in program.run("case", "log", "c")
    lines = [json.loads(line) for line in program.run("case", "log", "c", "--json").splitlines()]
    assert [line["line"] for line in lines] == list(range(1, len(lines) + 1))
    state = program.json("case", "show", "c")
    assert state["transfers"] == 1
    for command in (("show", "c"), ("verify", "c"), ("check", "c"), ("verify", "c", "--no-images")):
        assert program.run("case", *command)

    image = program.folder / "c/evidence/ITEM-1/ITEM-1.E01"
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(content)
    assert program.json("case", "verify", "c", code=4)["verdict"] == "evidence_damaged"
    ledger = program.folder / "c/ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b"stick", b"stack", 1))
    broken = program.json("case", "verify", "c", code=5)
    assert broken["verdict"] == "custody_broken"
    assert "ledger.entry_edited" in [each["code"] for each in broken["findings"]]
    assert "LEDGER" in program.run("case", "check", "c", code=5).upper()


def test_failures_are_told_in_json(program: Program) -> None:
    assert program.json("case", "show", "nothing", code=2)["exit_code"] == 2
    program.run("case", "new", "c", "--number", "7", "--examiner", "A. Lee")
    assert program.json("case", "new", "c", "--number", "7", "--examiner", "A", code=6)["error"]
    assert program.json("case", "seal", "c", code=2)["error"] == "SigningKeyError"
    assert program.json("case", "check", "c", code=10)["error"] == "NoReferenceError"
    assert program.json("case", "note", "c", "x", "--item", "ITEM-9", code=2)["message"]
    (program.folder / "c/case.toml").write_text('number = "7"\nnmae = 3\n')
    assert program.json("case", "amend", "c", code=2)["line"] == 2
    assert program.run("case", "verify", "c", "--head", "1:" + "0" * 64, code=5)
    assert program.run("case", "verify", "c", "--head", "nonsense", code=2) == ""


def test_a_passphrase_is_never_an_argument(program: Program) -> None:
    help_text = program.run("keys", "new", "--help") + program.run("case", "seal", "--help")
    assert "--passphrase-fd" in help_text
    assert "--passphrase " not in help_text
    del program.environment["FORENSIQ_PASSPHRASE"]
    program.run("keys", "new", "k.pem", "--name", "K", code=2)


WORK = [
    ("case", "verify", "c"),
    ("case", "seal", "c", "--key", "lee.pem"),
    ("case", "transfer", "c", "--item", "ITEM-1", "--to", "B. Okafor"),
]


def test_ctrl_c_stops_every_check_cleanly(program: Program) -> None:
    program.run("keys", "new", "lee.pem", "--name", "A. Lee")
    program.run("case", "new", "c", "--number", "7", "--examiner", "A. Lee")
    program.run("acquire", "drive.img", "--case", "c", "--item", "ITEM-1", "--quiet")
    large = program.folder / "c/evidence/ITEM-1/large.bin"
    large.touch()
    os.truncate(large, 1 << 42)
    for words in WORK:
        command = [sys.executable, "-m", "forensiq", *words, "--progress", "jsonl", "--json"]
        with subprocess.Popen(
            command, cwd=program.folder, env=program.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stderr is not None
            while json.loads(process.stderr.readline())["done"] == 0:
                pass
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert json.loads(out)["error"] == "Interrupted"
        assert b"Traceback" not in err
    actions = [
        row["entry"]["action"] for row in map(json.loads, program.run("case", "log", "c", "--json").splitlines())
    ]
    assert actions[-2:] == ["transfer.started", "transfer.aborted"]
    assert not list((program.folder / "c/seals").iterdir())
    large.unlink()
    assert program.json("case", "verify", "c")["verdict"] == "intact"
