from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from forensiq.model.media_map import ReadStatus
from forensiq.procedures.practice.content import PracticeFile, noise
from forensiq.procedures.practice.drive import SECTOR, build_practice_drive, practice_bytes
from forensiq.procedures.practice.ext2 import make_ext2
from forensiq.procedures.practice.fat16 import make_fat16

FILES = (
    PracticeFile(("a long name, with a comma.text",), noise(70_000, "a")),
    PracticeFile(("SHORT.TXT",), b"short"),
    PracticeFile(("one", "two", "deep.bin"), noise(3_000, "b")),
    PracticeFile(("gone.txt",), b"gone" * 900, deleted=True),
    PracticeFile(("empty",), b""),
)


def _check(tool: list[str], image: bytes, tmp_path: Path) -> str:
    if shutil.which(tool[0]) is None:
        pytest.skip(f"{tool[0]} is not installed")
    path = tmp_path / "volume"
    path.write_bytes(image)
    done = subprocess.run([*tool, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_fat_volume_is_sound(tmp_path: Path) -> None:
    said = _check(["fsck.fat", "-n", "-v"], make_fat16(32768, "TEST", FILES, hidden=0), tmp_path)
    assert "7 files, 40/8167 clusters" in said


def test_the_ext2_volume_is_sound(tmp_path: Path) -> None:
    said = _check(["e2fsck", "-f", "-n"], make_ext2(8192, "test", FILES), tmp_path)
    assert "17/128 files" in said


@pytest.mark.parametrize("kind", ["fat", "ext"])
def test_others_find_every_name_and_the_deleted_ones(kind: str, tmp_path: Path) -> None:
    image = make_fat16(32768, "TEST", FILES, hidden=0) if kind == "fat" else make_ext2(8192, "test", FILES)
    said = _check(["fls", "-r", "-p"], image, tmp_path)
    for file in FILES:
        lines = [line for line in said.splitlines() if line.endswith("/".join(file.path))]
        assert len(lines) == 1, file.name
        assert ("* " in lines[0]) == file.deleted


def test_the_drive_is_the_same_every_time_and_never_replaces_a_file(tmp_path: Path) -> None:
    drive = build_practice_drive(tmp_path / "drive.dd")
    assert drive.path.read_bytes() == practice_bytes()
    with pytest.raises(FileExistsError):
        build_practice_drive(tmp_path / "drive.dd")


def test_the_bad_areas_lie_in_the_film_and_in_free_space(tmp_path: Path) -> None:
    drive = build_practice_drive(tmp_path / "drive.dd")
    film, free = drive.unreadable
    data = drive.path.read_bytes()
    assert data[film.offset : film.end] == noise(3_000_000, "film")[1000 * SECTOR : 1014 * SECTOR]
    assert not any(data[free.offset : free.end])
    assert drive.faults().total(ReadStatus.UNREADABLE) == 16 * SECTOR
