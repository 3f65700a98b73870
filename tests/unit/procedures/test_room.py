from __future__ import annotations

import os
from pathlib import Path

import pytest

from forensiq.errors import DestinationError, DestinationUnsafeError
from forensiq.procedures.room import refuse_too_small


def _free(folder: Path) -> int:
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def test_room_for_the_worst_case_is_enough(tmp_path: Path) -> None:
    refuse_too_small([tmp_path / "not" / "there" / "X"], size=1 << 20, allow_low_space=False)


def test_too_little_room_is_refused_and_the_numbers_are_told(tmp_path: Path) -> None:
    with pytest.raises(DestinationUnsafeError) as caught:
        refuse_too_small([tmp_path / "X"], size=1 << 60, allow_low_space=False)
    assert caught.value.facts["worst_case"] == 1 << 60
    refuse_too_small([tmp_path / "X"], size=1 << 60, allow_low_space=True)


def test_two_images_on_one_file_system_need_room_together(tmp_path: Path) -> None:
    two_thirds = _free(tmp_path) * 2 // 3
    refuse_too_small([tmp_path / "X"], size=two_thirds, allow_low_space=False)
    with pytest.raises(DestinationUnsafeError):
        refuse_too_small([tmp_path / "X", tmp_path / "Y"], size=two_thirds, allow_low_space=False)


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="is a file, not a folder"):
        refuse_too_small([tmp_path / "file" / "deeper" / "X"], size=1, allow_low_space=False)
