"""A destination that fails at a chosen byte or step."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from forensiq.images.output import FileCalls, Part


class LimitedDisk(FileCalls):
    """Has room for ``room`` bytes below each of its folders; frees what is cut off, closed unnamed, or removed.

    Room is counted from the files themselves, so that giving some back works as on a real disk.
    """

    def __init__(self, rooms: dict[Path, int], number: int) -> None:
        self.rooms = rooms
        self.number = number
        self._open: dict[int, Path] = {}

    def open(self, path: Path, flags: int) -> int:
        descriptor = super().open(path, flags)
        self._open[descriptor] = path
        return descriptor

    def pwritev(self, descriptor: int, parts: Sequence[Part], offset: int) -> int:
        path = self._open[descriptor]
        data = b"".join(parts)
        for folder, room in self.rooms.items():
            if path.is_relative_to(folder):
                size = os.fstat(descriptor).st_size
                free = room - self._used(folder)
                grows = max(0, offset + len(data) - size)
                if grows > free:
                    data = data[: len(data) - (grows - max(0, free))]
                    if not data:
                        raise OSError(self.number, os.strerror(self.number))
        return os.pwrite(descriptor, data, offset)

    def _used(self, folder: Path) -> int:
        named = sum(item.stat().st_size for item in folder.rglob("*") if item.is_file())
        unnamed = 0
        for descriptor, path in self._open.items():
            if path.is_relative_to(folder) and not path.exists():
                with contextlib.suppress(OSError):
                    if str(Path(f"/proc/self/fd/{descriptor}").readlink()) == f"{path} (deleted)":
                        unnamed += os.fstat(descriptor).st_size
        return named + unnamed


class StopsAfter(FileCalls):
    """Lets ``steps`` changing calls pass, then ends like a power cut: each later call raises ``error``."""

    def __init__(self, steps: int, error: Callable[[], BaseException]) -> None:
        self.steps = steps
        self.error = error

    def _step(self) -> None:
        if self.steps <= 0:
            raise self.error()
        self.steps -= 1

    def open(self, path: Path, flags: int) -> int:
        if flags & os.O_CREAT:
            self._step()
        return super().open(path, flags)

    def pwritev(self, descriptor: int, parts: Sequence[Part], offset: int) -> int:
        if self.steps <= 0:
            # A torn write: half of it still lands.
            data = b"".join(parts)
            os.pwrite(descriptor, data[: len(data) // 2], offset)
        self._step()
        return super().pwritev(descriptor, parts, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        self._step()
        super().truncate(descriptor, size)

    def fsync(self, descriptor: int) -> None:
        self._step()
        super().fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self._step()
        super().unlink(path)
