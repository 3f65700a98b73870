"""Bad input: a clear error, the right exit code, no traceback, nothing overwritten, nothing that looks finished."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from fixtures.build import HERE as FIXTURES
from tests.scenarios.program import Done, forensiq

NOBODY = 65534


class Case(Struct, frozen=True):
    """One sentence: what is given, what must come of it. Paths are below a folder of its own."""

    sentence: str
    arguments: str
    code: int
    error: str
    says: str

    def __str__(self) -> str:
        return self.sentence


CASES = [
    Case("a source that does not exist", "acquire nowhere out/X", 2, "UsageError", "nowhere"),
    Case("a folder as the source", "acquire folder out/X", 2, "UsageError", "folder"),
    Case("an empty file as the source", "acquire empty.dd out/X", 2, "UsageError", "empty"),
    Case("a terminal as the source", "acquire /dev/null out/X", 2, "UsageError", "character device"),
    Case("an unknown hash name", "acquire disk.dd out/X --hash sha265", 2, "UnknownHashError", "sha265"),
    Case("two hash names as one", "acquire disk.dd out/X --hash sha265,md5", 2, "UnknownHashError", "sha265"),
    Case("an unknown format", "acquire disk.dd out/X --format e02", 2, "UsageError", "e02"),
    Case("an unclear segment size", "acquire disk.dd out/X --segment-size 2G", 2, "UsageError", "2G"),
    Case("a range outside of the source", "acquire disk.dd out/X --offset 1TiB", 2, "UsageError", ""),
    Case("a negative number of retries", "acquire disk.dd out/X --retries=-1", 2, "UsageError", "retries"),
    Case("an output that names a folder", "acquire disk.dd .", 2, "UsageError", "folder"),
    Case("an image that exists already", "acquire disk.dd there/ITEM-1", 6, "DestinationExistsError", "ITEM-1"),
    Case("only the record exists already", "acquire disk.dd there/ITEM-2", 6, "DestinationExistsError", "ITEM-2"),
    Case("a file in place of the folder", "acquire disk.dd disk.dd/X", 7, "DestinationError", "disk.dd"),
    Case("a source that is the output", "acquire disk.dd disk --format raw", 6, "DestinationExistsError", "disk.dd"),
    *(
        Case(f"{what}, {command}", f"{command} {path}", 9, "ImageFormatError", path)
        for command in ("info", "verify", "partitions", "ls")
        for what, path in (
            ("no image in any known format", "noise.dat"),
            ("text that is called an E01", "text.E01"),
            ("an empty E01", "empty.E01"),
            ("a folder", "folder"),
            ("an image that does not exist", "nowhere.E01"),
        )
    ),
    Case("noise converted to raw", "convert noise.dat out/X --format raw", 9, "ImageFormatError", "noise.dat"),
    Case("a raw image without any reference", "verify disk.dd", 10, "NoReferenceError", ""),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with everything that the sentences name."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "empty.dd").touch()
    (tmp_path / "empty.E01").touch()
    (tmp_path / "disk.dd").write_bytes(bytes(range(256)) * 4096)
    (tmp_path / "noise.dat").write_bytes((FIXTURES / "not-an-image.dat").read_bytes())
    (tmp_path / "text.E01").write_text("this is a shopping list\n" * 100)
    (tmp_path / "there/ITEM-1.E01").write_text("somebody's evidence")
    (tmp_path / "there/ITEM-2.record.json").write_text("{}")
    return tmp_path


def _state(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _looks_finished(names: Iterator[str] | set[str]) -> list[str]:
    return [name for name in names if name.lower().endswith((".e01", ".dd", ".001", ".record.json"))]


def _check(done: Done, before: dict[str, str], folder: Path) -> None:
    after = _state(folder)
    assert "Traceback" not in done.err + done.out
    assert "a fault in forensiq" not in done.err
    assert {name: after.get(name) for name in before} == before, "something was overwritten or removed"
    assert _looks_finished(after.keys() - before.keys()) == []


FIRST_OF_EACH = {case.arguments.split()[0] + case.error: case for case in reversed(CASES)}.values()


@pytest.mark.parametrize("case", FIRST_OF_EACH, ids=str)
def test_bad_input_is_told_to_people(case: Case, place: Path) -> None:
    before = _state(place)
    done = forensiq(*case.arguments.split(), folder=place).expect(case.code)
    assert case.says in done.err if case.code != 10 else True
    assert len(done.err.splitlines()) <= 4, "a wall of text"
    _check(done, before, place)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bad_input_is_told_to_scripts(case: Case, place: Path) -> None:
    before = _state(place)
    done = forensiq(*case.arguments.split(), "--json", folder=place).expect(case.code)
    if case.code != 10:
        assert (done.json["schema"], done.json["error"]) == ("forensiq/error/1", case.error)
        assert done.json["exit_code"] == case.code
        assert case.says in done.json["message"] + done.json.get("hint", "")
    _check(done, before, place)


@pytest.fixture
def as_nobody(place: Path) -> Iterator[int]:
    """A user without any rights, where the program can be run as one."""
    if os.geteuid() != 0:
        yield os.geteuid()
        return
    for folder in (place, *place.parents):
        if folder == Path(folder.anchor) or not str(folder).startswith("/tmp/"):
            break
        folder.chmod(0o755)
    try:
        probe = subprocess.run(
            [sys.executable, "-c", "import forensiq"], cwd=place, user=NOBODY, capture_output=True, check=False
        )
    except PermissionError:
        pytest.skip("this Python cannot be run by another user")
    if probe.returncode:
        pytest.skip("this Python cannot be run by another user")
    yield NOBODY


def test_a_source_that_may_not_be_read_is_a_failed_source(place: Path, as_nobody: int) -> None:
    (place / "disk.dd").chmod(0)
    (place / "out").mkdir()
    (place / "out").chmod(0o777)
    done = forensiq("acquire", "disk.dd", "out/X", "--json", folder=place, user=as_nobody).expect(8)
    assert done.json["error"] == "SourceError"
    assert "Permission denied" in done.json["message"]
    assert list((place / "out").iterdir()) == []


def test_a_destination_that_may_not_be_written_is_a_failed_destination(place: Path, as_nobody: int) -> None:
    (place / "folder").chmod(0o555)
    done = forensiq("acquire", "disk.dd", "folder/X", "--json", folder=place, user=as_nobody).expect(7)
    assert done.json["error"] == "DestinationError"
    assert list((place / "folder").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "forensiq-test", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def noise_disk(tmp_path: Path) -> Path:
    """A source of 4 MiB that cannot be compressed."""
    path = tmp_path / "noise.dd"
    path.write_bytes(os.urandom(4 << 20))
    return path


@pytest.mark.root
def test_a_destination_that_is_too_small_is_refused_before_the_first_read(small_disk: Path, noise_disk: Path) -> None:
    done = forensiq("acquire", noise_disk, small_disk / "X", "--json").expect(6)
    assert done.json["error"] == "DestinationUnsafeError"
    assert list(small_disk.iterdir()) == []


@pytest.mark.root
@pytest.mark.parametrize("image_format", ["e01", "raw"])
def test_a_destination_that_gets_full_leaves_nothing_that_looks_finished(
    small_disk: Path, noise_disk: Path, image_format: str
) -> None:
    done = forensiq(
        "acquire", noise_disk, small_disk / "X", "--format", image_format, "--allow-low-space", "--json"
    ).expect(7)
    left = {path.name for path in small_disk.iterdir()}
    assert _looks_finished({name for name in left if not name.endswith(".record.json")}) == []
    assert done.json.get("status", "failed") in ("failed", "interrupted")
    assert "Traceback" not in done.err
