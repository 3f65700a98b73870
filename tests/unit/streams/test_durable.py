"""Small files: whole or not at all, never over another one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from forensiq.errors import DestinationError, DestinationExistsError, DestinationFullError
from forensiq.streams.durable import destination_error, write_durably


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.json"
    write_durably(path, b"one")
    assert path.read_bytes() == b"one"
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_an_existing_file_stays_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_durably(path, b"one")
    with pytest.raises(DestinationExistsError):
        write_durably(path, b"two")
    assert path.read_bytes() == b"one"
    write_durably(path, b"two", replace=True)
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_link_at_the_destination_is_not_followed(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "x.json"
    victim.write_bytes(b"evidence")
    path.symlink_to(victim)
    with pytest.raises(DestinationExistsError):
        write_durably(path, b"two")
    write_durably(path, b"two", replace=True)
    assert victim.read_bytes() == b"evidence"
    assert not path.is_symlink()


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_durably(path, b"one")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DestinationFullError) as caught:
        write_durably(path, b"two", replace=True)
    assert caught.value.facts["errno"] == errno.ENOSPC
    assert path.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_other_errors_name_the_path_and_the_reason() -> None:
    error = destination_error(OSError(errno.EIO, "x"), Path("/e/x"), "writing")
    assert type(error) is DestinationError
    assert "Input/output error" in error.message
    assert error.facts == {"path": "/e/x", "errno": errno.EIO}
