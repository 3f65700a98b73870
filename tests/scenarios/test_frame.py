"""What holds for every command: JSON and nothing else on stdout, exit codes, signals, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from forensiq import __version__
from forensiq.cli.main import program
from tests.scenarios.program import forensiq

COMMANDS = program.list_commands(click.Context(program))


def test_the_help_lists_every_command_and_nothing_else() -> None:
    done = forensiq("--help").expect(0)
    assert COMMANDS
    assert all(f"  {name}" in done.out for name in COMMANDS)


def test_the_version_is_told() -> None:
    assert forensiq("--version").expect(0).out == f"forensiq, version {__version__}\n"


def test_no_command_at_all_is_wrong_usage_and_shows_the_help_on_stderr() -> None:
    done = forensiq().expect(2)
    assert done.out == ""
    assert "Usage: forensiq" in done.err


def test_an_unknown_command_is_wrong_usage_and_similar_ones_are_named() -> None:
    done = forensiq(COMMANDS[0][:-1]).expect(2)
    assert COMMANDS[0] in done.err
    assert done.out == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_usage_is_json_too(command: str) -> None:
    done = forensiq(command, "--json", "--no-such-option").expect(2)
    assert done.json | {"message": "", "hint": ""} == {
        "schema": "forensiq/error/1",
        "error": "UsageError",
        "message": "",
        "exit_code": 2,
        "hint": "",
    }
    assert done.err == ""


def test_json_after_two_dashes_is_a_name_and_no_option() -> None:
    assert forensiq("no-such-command", "--", "--json").expect(2).out == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_can_be_read(command: str) -> None:
    assert "Usage: forensiq" in forensiq(command, "--help").expect(0).out


FAULT = """
import sys
from forensiq.cli import main, options
@options.forensiq_command("fault", example="forensiq fault")
def command(run):
    "Fail."
    raise ZeroDivisionError("nobody expected \\x1b[2J this")
sys.modules["planted"] = sys.modules["__main__"]
main.COMMANDS["fault"] = options.Entry("planted", "Test", "Fail.")
main.main(["fault", *sys.argv[1:]])
"""


def _run_fault(state: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FAULT, *arguments],
        env={**os.environ, "XDG_STATE_HOME": str(state), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_fault_of_ours_is_one_sentence_and_the_traceback_is_kept(tmp_path: Path) -> None:
    done = _run_fault(tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr
    (kept,) = (tmp_path / "forensiq").iterdir()
    assert str(kept) in done.stderr
    assert "ZeroDivisionError" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def test_a_fault_of_ours_is_json_in_json_mode(tmp_path: Path) -> None:
    done = _run_fault(tmp_path, "--json")
    assert done.returncode == 1
    error = json.loads(done.stdout)
    assert (error["schema"], error["error"], error["exit_code"]) == ("forensiq/error/1", "ZeroDivisionError", 1)
    assert Path(error["traceback"]).is_file()
    assert done.stderr == ""


def test_the_traceback_can_be_asked_for(tmp_path: Path) -> None:
    done = _run_fault(tmp_path, FORENSIQ_TRACEBACK="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_ends_the_program_without_a_word() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "forensiq", "--help"], stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
