"""Output files: exclusive, whole, and honest when the destination fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from forensiq.errors import DestinationError, DestinationExistsError, DestinationFullError
from forensiq.images import output, rename
from forensiq.images.output import FileCalls, OutputFile, Part, Reserve, part_path, publish, sync_folder


class ShortWrites(FileCalls):
    """Writes at most ``limit`` bytes a call."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def pwritev(self, descriptor: int, parts: Sequence[Part], offset: int) -> int:
        return os.pwrite(descriptor, b"".join(parts)[: self.limit], offset)


class FailsAfter(FileCalls):
    """Writes ``room`` bytes, then fails with ``number``."""

    def __init__(self, room: int, number: int) -> None:
        self.room = room
        self.number = number

    def pwritev(self, descriptor: int, parts: Sequence[Part], offset: int) -> int:
        data = b"".join(parts)[: self.room]
        if not data:
            raise OSError(self.number, os.strerror(self.number))
        self.room -= len(data)
        return os.pwrite(descriptor, data, offset)


def test_parts_land_in_order_however_many_and_however_short_the_writes(tmp_path: Path) -> None:
    parts = [bytes([number % 251]) * (number % 7) for number in range(3000)]
    with_short = OutputFile.create(tmp_path / "a" / "b" / "short", calls=ShortWrites(1001))
    whole = OutputFile.create(tmp_path / "whole")
    for file in (with_short, whole):
        assert file.append([b"head"]) == 0
        assert file.append(parts) == 4
        file.patch(1, b"EA")
        assert file.end == 4 + sum(map(len, parts))
        file.close()
        assert file.path.read_bytes() == b"hEAd" + b"".join(parts)


def test_existing_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(DestinationExistsError):
        OutputFile.create(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DestinationFullError),
        (errno.EDQUOT, DestinationFullError),
        (errno.EIO, DestinationError),
        (errno.EFBIG, DestinationError),
    ],
)
def test_a_failing_write_keeps_the_end_and_can_be_cut_off(
    tmp_path: Path, number: int, kind: type[DestinationError]
) -> None:
    file = OutputFile.create(tmp_path / "x", calls=FailsAfter(10, number))
    file.append([b"12345"])
    with pytest.raises(kind) as caught:
        file.append([b"678", b"90abc"])
    assert type(caught.value) is kind
    assert caught.value.facts == {"path": str(tmp_path / "x"), "errno": number}
    assert (file.end, (tmp_path / "x").stat().st_size) == (5, 10)
    file.truncate(file.end)
    file.close()
    assert (tmp_path / "x").read_bytes() == b"12345"


def test_a_write_of_nothing_is_an_error_and_not_an_endless_loop(tmp_path: Path) -> None:
    file = OutputFile.create(tmp_path / "x", calls=ShortWrites(0))
    with pytest.raises(DestinationError):
        file.append([b"data"])
    file.close()


def test_background_flush_runs_and_its_failure_is_raised_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FailsToFlush(FileCalls):
        def fdatasync(self, descriptor: int) -> None:
            raise OSError(errno.EIO, "flush")

    monkeypatch.setattr(output, "FLUSH_INTERVAL", 1024)
    file = OutputFile.create(tmp_path / "x", calls=FailsToFlush())
    file.append([bytes(2048)])
    file.close()
    with pytest.raises(DestinationError, match="flushing"):
        file.sync()


def test_holes_read_as_zeros(tmp_path: Path) -> None:
    file = OutputFile.create(tmp_path / "x")
    file.skip(5000)
    file.append([b"x"])
    file.skip(100)
    file.truncate(file.end)
    file.close()
    assert (tmp_path / "x").read_bytes() == bytes(5000) + b"x" + bytes(100)


def test_publish_never_replaces(tmp_path: Path) -> None:
    part = part_path(tmp_path / "image.E01")
    part.write_bytes(b"new")
    (tmp_path / "image.E01").write_bytes(b"old")
    with pytest.raises(DestinationError) as caught:
        publish(part, tmp_path / "image.E01")
    assert caught.value.facts["errno"] == errno.EEXIST
    assert ((tmp_path / "image.E01").read_bytes(), part.read_bytes()) == (b"old", b"new")


def _unsupported(source: Path, target: Path) -> None:
    raise OSError(errno.EINVAL, "not supported")


@pytest.mark.parametrize("missing", [(), ("_renameat2",), ("_renameat2", "_link")])
@pytest.mark.parametrize("occupied", [False, True])
def test_every_way_to_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], occupied: bool
) -> None:
    for name in missing:
        monkeypatch.setattr(rename, name, _unsupported)
    source, target = tmp_path / "a.part", tmp_path / "a"
    source.write_bytes(b"new")
    if occupied:
        target.write_bytes(b"old")
        with pytest.raises(FileExistsError):
            rename.rename_without_replacing(source, target)
        assert (target.read_bytes(), source.read_bytes()) == (b"old", b"new")
    else:
        rename.rename_without_replacing(source, target)
        assert target.read_bytes() == b"new"
        assert not source.exists()


def test_reserve_leaves_no_name_and_fails_when_there_is_no_room(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "deep" / "er", 4096)
    assert list((tmp_path / "deep" / "er").iterdir()) == []
    reserve.release()
    with pytest.raises(DestinationFullError):
        Reserve(tmp_path, 4096, calls=FailsAfter(100, errno.ENOSPC))
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


@pytest.mark.parametrize(
    "action",
    [
        lambda folder: OutputFile.create(folder / "file" / "x"),
        lambda folder: OutputFile.reopen(folder / "absent"),
        lambda folder: sync_folder(folder / "absent"),
        lambda folder: publish(folder / "absent", folder / "new"),
    ],
)
def test_other_failures_are_destination_errors(tmp_path: Path, action: Callable[[Path], object]) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DestinationError):
        action(tmp_path)
