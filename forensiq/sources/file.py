"""A regular file as evidence: opened read-only, its mode, times and writers observed before and after."""

from __future__ import annotations

import contextlib
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from forensiq.clock import rfc3339
from forensiq.errors import UsageError
from forensiq.model.source import FileTimes, SourceIdentity, SourceKind
from forensiq.streams.closing import Closing
from forensiq.streams.files import FileSequence

__all__ = ["FileSource", "observe_file", "observe_path"]

_PROC = Path("/proc")
_NOT_APPLICABLE = ("model", "serial", "firmware", "wwn", "vendor", "bus", "usb_id", "removable", "rotational",
                   "device_number", "trim", "kernel_timeout_s", "physical_sector_size")  # fmt: skip


class FileSource(Closing):
    """A :class:`~forensiq.sources.base.Source` over one regular file, or several as one, of at least one byte."""

    kind = SourceKind.FILE

    def __init__(self, path: Path, *more: Path, sector_size: int = 512) -> None:
        self._files = FileSequence([path, *more], drop_cache=True)
        self.paths = self._files.paths
        self.parallel_reads = 1
        self.size = self._files.size
        self.sector_size = sector_size
        if not self.size:
            self.close()
            raise UsageError(f"{path} is empty: there is nothing to acquire", path=str(path))
        self.identity = SourceIdentity(
            kind=self.kind,
            path=str(path),
            size=self.size,
            sector_size=sector_size,
            unavailable=dict.fromkeys(_NOT_APPLICABLE, "not applicable"),
        )

    def times(self) -> FileTimes:
        """Return mode, times and writers of the (first) file as they are now: call it before and after."""
        return observe_file(self._files.descriptor())

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`forensiq.sources.base.Source.read_into`; large reads are not kept in the page cache."""
        return self._files.read_into(offset, buffer)

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`forensiq.sources.base.Source.read_direct`."""
        return self._files.read_direct(offset, buffer)

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._files.close()


def observe_file(descriptor: int) -> FileTimes:
    """Return mode, times and writers of an open file."""
    return _observed(os.fstat(descriptor))


def observe_path(path: Path) -> FileTimes:
    """Return mode, times and writers of a file that is not opened for it."""
    return _observed(path.stat())


def _observed(facts: os.stat_result) -> FileTimes:
    return FileTimes(
        mode=stat.filemode(facts.st_mode),
        modified=_text(facts.st_mtime_ns),
        accessed=_text(facts.st_atime_ns),
        changed=_text(facts.st_ctime_ns),
        writers=_writers(facts.st_dev, facts.st_ino),
    )


def _text(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return rfc3339(datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000))


def _writers(device: int, inode: int) -> tuple[str, ...] | None:
    """Return who has the file open for writing, as ``name (pid)``; ``None`` where that cannot be known.

    Source: proc(5), ``/proc/PID/fd`` and ``flags`` in ``/proc/PID/fdinfo``. Only root sees the processes of others.
    """
    found: list[str] = []
    complete = True
    for process in _PROC.iterdir():
        if not process.name.isdigit():
            continue
        try:
            descriptors = list((process / "fd").iterdir())
        except PermissionError:
            complete = False
            continue
        except (FileNotFoundError, ProcessLookupError):
            continue
        for each in descriptors:
            with contextlib.suppress(OSError, ValueError):
                facts = each.stat()
                if (facts.st_dev, facts.st_ino) != (device, inode):
                    continue
                lines = (process / "fdinfo" / each.name).read_text("ascii").splitlines()
                flags = next(int(line.split()[1], 8) for line in lines if line.startswith("flags:"))
                if flags & os.O_ACCMODE != os.O_RDONLY:
                    found.append(f"{(process / 'comm').read_text('utf-8', 'replace').strip()} ({process.name})")
                    break
    return tuple(sorted(found)) if found or complete else None
