"""A disk that remembers every write and every flush, so that a loss of power can be played at any of them.

The disk is a file in a FUSE file system, below a loop device. What was written before the last flush is on it; of what
came after, any part may be: a disk writes in whichever order it likes, in units of 4096 bytes (the sector of today's
drives; ext4 itself does not survive a superblock of which only the first 512 bytes are new).

As a program (``python -m tests.support.power_cut DISK LOG FOLDER``) it serves ``FOLDER/disk``.
"""

from __future__ import annotations

import os
import random
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forensiq.procedures import fuse_library  # isort: skip # before mfusepy
import mfusepy
import pytest
from msgspec import Struct

from forensiq.clock import monotonic, sleep

__all__ = ["PowerCut", "after_power_cut", "load", "recorded"]

_HEAD = struct.Struct("<QI")
_FLUSH = 0xFFFFFFFFFFFFFFFF
_UNIT = 4096
_PATH = "/disk"


class _Recorder(mfusepy.Operations):  # type: ignore[misc]
    use_ns = True

    def __init__(self, disk: Path, log: Path) -> None:
        self._disk = os.open(disk, os.O_RDWR)
        self._log = log.open("wb", buffering=0)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
        if path != _PATH:
            raise mfusepy.FuseOSError(2)
        return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": os.fstat(self._disk).st_size}

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", _PATH[1:]]

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(self._disk, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._log.write(_HEAD.pack(offset, len(data)) + data)
        return os.pwrite(self._disk, data, offset)

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        self._log.write(_HEAD.pack(_FLUSH, 0))
        return 0


class PowerCut(Struct, frozen=True):
    """What a disk was asked for: ``(offset, bytes)`` of each write in order, ``None`` for a flush."""

    before: bytes
    steps: tuple[tuple[int, bytes] | None, ...]

    def flushes(self) -> list[int]:
        """Return the places of the flushes in ``steps``."""
        return [number for number, step in enumerate(self.steps) if step is None]

    def disk_at(self, step: int, rng: random.Random) -> bytes:
        """Return what may be on the disk when power goes before ``step``."""
        disk = bytearray(self.before)
        last = max((number for number in self.flushes() if number < step), default=-1)
        for number, each in enumerate(self.steps[:step]):
            if each is None:
                continue
            offset, data = each
            for at in range(0, len(data), _UNIT):
                if number < last or rng.random() < 0.5:
                    disk[offset + at : offset + min(at + _UNIT, len(data))] = data[at : at + _UNIT]
        return bytes(disk)


@contextmanager
def recorded(disk: Path, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Serve ``disk`` for the block inside, which gets the file to mount and the log; read it with ``load``."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK) or not fuse_library.LIBRARY:
        pytest.skip("FUSE cannot be used here")
    folder.mkdir()
    log = disk.with_suffix(".log")
    served = subprocess.Popen([sys.executable, "-m", __name__, disk, log, folder], stderr=subprocess.PIPE)
    deadline = monotonic() + 20
    while not (folder / _PATH[1:]).exists():
        if served.poll() is not None or monotonic() > deadline:
            served.kill()
            raise AssertionError(served.communicate()[1].decode(errors="replace"))
        sleep(0.05)
    try:
        yield folder / _PATH[1:], log
    finally:
        subprocess.run(["umount", folder], check=True)
        served.communicate(timeout=20)


def load(before: bytes, log: Path) -> PowerCut:
    """Return what :func:`recorded` wrote down."""
    data, at = log.read_bytes(), 0
    steps: list[tuple[int, bytes] | None] = []
    while at < len(data):
        offset, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        steps.append(None if offset == _FLUSH else (offset, data[at : at + length]))
        at += length
    return PowerCut(before, tuple(steps))


@contextmanager
def after_power_cut(cut: PowerCut, step: int, rng: random.Random, folder: Path) -> Iterator[Path]:
    """Mount on ``folder`` the disk as the loss of power left it (the file system repairs itself from its journal)."""
    disk = folder.with_suffix(".cut")
    disk.write_bytes(cut.disk_at(step, rng))
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", disk, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
    disk.unlink()


def _serve(arguments: list[str]) -> None:
    disk, log, folder = map(Path, arguments)
    options: dict[str, Any] = {"foreground": True, "nothreads": True}
    mfusepy.FUSE(_Recorder(disk, log), str(folder), **options)


if __name__ == "__main__":
    _serve(sys.argv[1:])
