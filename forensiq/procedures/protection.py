"""Write protection of whatever is read, behind one face: drives are guarded, files are observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from forensiq.devices.write_block import WriteGuard
from forensiq.model.source import FileTimes, WriteBlockState

__all__ = ["FileWatch", "Protection", "guard_device"]

_FILE_LIMITS = (
    "Opening a file read-only keeps forensiq from writing to it; other programs may still write.",
    "Times are those that the file system keeps; some are rounded or switched off.",
)


class Protection(Protocol):
    """What the acquisition asks while it reads."""

    def check(self, occasion: str) -> None:
        """Look again; what must not go on raises :class:`~forensiq.errors.WriteBlockError`."""
        ...

    def check_if_due(self) -> None:
        """Look again where the last look is some seconds ago."""
        ...

    def state(self) -> WriteBlockState:
        """Return what was observed until now."""
        ...

    def end(self) -> WriteBlockState:
        """Look a last time and let go."""
        ...


def guard_device(path: str, *, allow_writable: bool, external_blocker: str | None, restore: bool) -> Protection:
    """Hold the drive at ``path`` read-only; refuses one that is in use or cannot be held."""
    return WriteGuard(path, allow_writable=allow_writable, external_blocker=external_blocker, restore=restore)


class FileWatch:
    """Mode, times and writers of a source file, before and after."""

    def __init__(self, times: Callable[[], FileTimes], external_blocker: str | None) -> None:
        self._times = times
        self._blocker = external_blocker
        self._before = times()
        self._checks = 0

    def check(self, occasion: str) -> None:
        """Count the look; a file has no flag that could be lost."""
        del occasion
        self._checks += 1

    def check_if_due(self) -> None:
        """Nothing to do for a file."""

    def state(self) -> WriteBlockState:
        """Return what was observed until now."""
        after = self._times()
        return WriteBlockState(
            method="open_read_only",
            checks=self._checks,
            file_before=self._before,
            file_after=after,
            external_blocker=self._blocker,
            statement=_statement(self._before, after),
            limits=_FILE_LIMITS,
        )

    def end(self) -> WriteBlockState:
        """Return what was observed."""
        return self.state()


def _statement(before: FileTimes, after: FileTimes) -> str:
    changed = [
        name
        for name, a, b in (
            ("mode", before.mode, after.mode),
            ("modification time", before.modified, after.modified),
            ("change time", before.changed, after.changed),
        )
        if a != b
    ]
    if changed:
        return f"opened read-only; the {' and '.join(changed)} of the file changed while it was read"
    writers = sorted({*(before.writers or ()), *(after.writers or ())})
    if writers:
        return f"opened read-only; mode and times did not change, but it is open for writing by {', '.join(writers)}"
    return "opened read-only; mode, modification time and change time did not change while it was read"
