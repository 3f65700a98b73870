"""``forensiq diff``: two images of one drive, and what happened in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from forensiq.procedures.practice.content import noise
from forensiq.procedures.practice.drive import practice_bytes
from tests.scenarios.program import forensiq

pytestmark = pytest.mark.slow

FAT = 2048 * 512


@pytest.fixture
def images(tmp_path: Path) -> Path:
    before = bytearray(practice_bytes())
    after = bytearray(before)
    film = before.index(noise(64, "film"))
    after[film + 5000] ^= 0xFF  # the content of a file
    after[-512:] = b"x" * 512  # free space, or what lies behind the last file system
    after[FAT + 512 + 3] ^= 0x01  # an entry of the first FAT
    (tmp_path / "a.dd").write_bytes(before)
    (tmp_path / "b.dd").write_bytes(after)
    return tmp_path


def test_what_changed_is_named_by_file_and_by_kind(images: Path) -> None:
    done = forensiq("diff", "a.dd", "b.dd", "--json", folder=images).expect(4)
    lines = done.lines
    summary = lines[-1]
    assert summary["entry"] == "summary"
    assert summary["identical"] is False
    assert summary["differing_bytes"] == 3 * 512
    assert [each["sectors"] for each in lines if each["entry"] == "range"] == [1, 1, 1]
    files = {(each["path"], each["kind"]): each for each in lines if each["entry"] == "file"}
    film = files["/holiday film.mov", "content"]
    assert film["change"] == "changed"
    assert film["a"]["bytes"] == film["b"]["bytes"] == 512
    assert film["a"]["ranges"][0]["offset"] == 5000 // 512 * 512
    assert any(kind == "file_system_metadata" for _, kind in files) or any(
        each["kind"] == "file_system_metadata" for each in lines if each["entry"] == "area"
    )
    text = forensiq("diff", "a.dd", "b.dd", folder=images).expect(4).out
    assert text.startswith("DIFFERENT")
    assert "/holiday film.mov" in text


def test_the_same_medium_in_another_container_is_identical(images: Path) -> None:
    forensiq("acquire", "a.dd", "X", "--no-verify", "--quiet", folder=images).expect(0)
    done = forensiq("diff", "a.dd", "X.E01", "--json", folder=images).expect(0)
    assert [each["entry"] for each in done.lines] == ["summary"]
    assert done.lines[0]["identical"] is True


def test_what_is_not_there_is_not_compared(images: Path) -> None:
    forensiq("acquire", "a.dd", "S", "--scope", "partition:1", "--no-verify", "--quiet", folder=images).expect(0)
    lines = forensiq("diff", "a.dd", "S.E01", "--json", folder=images).expect(4).lines
    assert lines[-1]["differing_bytes"] == 0
    assert "skipped by scope" in lines[-1]["summary"]
    with (images / "b.dd").open("r+b") as file:
        file.truncate(file.seek(0, 2) - 4096)
    lines = forensiq("diff", "a.dd", "b.dd", "--json", folder=images).expect(4).lines
    assert next(each for each in lines if each["entry"] == "beyond")["length"] == 4096
