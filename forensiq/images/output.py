"""Files that an image is written to: made exclusively, flushed in the background, named last.

What must be durable before what: data and everything that describes it are on disk (``sync``) before a file gets its
final name (``publish``), and the folder is synced after it. A final name never replaces a file that is there.

Every call to the operating system that changes a file goes through :class:`FileCalls`, so that a test (or a fault
rig) can let one fail, or stop, at a chosen byte.
"""

from __future__ import annotations

import errno
import os
import queue
import threading
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from forensiq.errors import DestinationError, DestinationExistsError
from forensiq.images.rename import rename_without_replacing
from forensiq.streams.durable import destination_error

__all__ = [
    "PART_SUFFIX",
    "FileCalls",
    "OutputFile",
    "Reserve",
    "part_path",
    "publish",
    "remove",
    "sync_folder",
]

PART_SUFFIX = ".part"
FLUSH_INTERVAL = 64 * 1024 * 1024
"""Bytes after which what was written is sent to the disk: 425 against 378 MiB/s without, disk to disk."""
MAX_PARTS = 1024
"""IOV_MAX of Linux: more parts in one call are EINVAL."""

Part = bytes | bytearray | memoryview


def part_path(final: Path) -> Path:
    """Return the name that a file has while it is being written."""
    return final.with_name(final.name + PART_SUFFIX)


class FileCalls:
    """The calls to the operating system that change files; a subclass may let any of them fail."""

    def open(self, path: Path, flags: int) -> int:
        """Open ``path``; files are readable and writable for their owner's umask."""
        return os.open(path, flags | os.O_CLOEXEC, 0o666)

    def pwritev(self, descriptor: int, parts: Sequence[Part], offset: int) -> int:
        """Write at most 1024 parts at ``offset``; may write less than all of it."""
        return os.pwritev(descriptor, parts, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut or extend a file to ``size`` bytes."""
        os.ftruncate(descriptor, size)

    def fdatasync(self, descriptor: int) -> None:
        """Make the content durable."""
        os.fdatasync(descriptor)

    def fsync(self, descriptor: int) -> None:
        """Make content and metadata, or a folder, durable."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Rename; ``FileExistsError`` where ``target`` exists."""
        rename_without_replacing(source, target)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()


class OutputFile:
    """One file that is written from its start to its end, with patches in between.

    :attr:`end` is where the next :meth:`append` goes, in bytes from the start. One thread writes; :meth:`read_into` and
    :meth:`release_cache` may be called from another one. Every failure is a
    :class:`~forensiq.errors.DestinationError`; one of the background flush is raised by the next call.
    """

    def __init__(self, path: Path, descriptor: int | None, end: int, calls: FileCalls, keep_cached: bool) -> None:
        self.path = path
        self.end = end
        self._opened = descriptor
        self._calls = calls
        self._flush_at = end + FLUSH_INTERVAL
        self._releasable = 0 if keep_cached else None
        self._dropped = 0
        self._requests: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._flusher: threading.Thread | None = None
        self._failure: OSError | None = None

    @classmethod
    def create(cls, path: Path, *, calls: FileCalls | None = None, keep_cached: bool = False) -> OutputFile:
        """Make ``path`` and the folders above it; one that exists is a ``DestinationExistsError``.

        With ``keep_cached`` the page cache keeps what was written until :meth:`release_cache` says that it was read.
        """
        calls = calls or FileCalls()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise destination_error(error, path.parent, f"making the folder {path.parent}") from error
        try:
            descriptor = calls.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except FileExistsError as error:
            raise DestinationExistsError(
                f"{path} exists already; nothing is replaced", path=str(path), errno=errno.EEXIST
            ) from error
        except OSError as error:
            raise destination_error(error, path, f"creating {path}") from error
        return cls(path, descriptor, 0, calls, keep_cached)

    @classmethod
    def reopen(cls, path: Path, *, calls: FileCalls | None = None, keep_cached: bool = False) -> OutputFile:
        """Take up a file that an earlier run left; :attr:`end` is its size. It is opened when it is first used."""
        try:
            size = path.stat().st_size
        except OSError as error:
            raise destination_error(error, path, f"opening {path}") from error
        return cls(path, None, size, calls or FileCalls(), keep_cached)

    def append(self, parts: Sequence[Part]) -> int:
        """Write ``parts`` one behind the other at the end; return the offset of the first byte.

        After an error :attr:`end` is where it was: what was written behind it is to be cut off with :meth:`truncate`.
        """
        start = self.end
        self.end = self._write(parts, start)
        if self.end >= self._flush_at:
            self._flush_at = self.end + FLUSH_INTERVAL
            self._request_flush()
        return start

    def skip(self, length: int) -> None:
        """Leave ``length`` bytes unwritten (they read as zeros); a file must not end in such a hole, see truncate."""
        self.end += length

    def patch(self, offset: int, data: Part) -> None:
        """Overwrite what was written before at ``offset``."""
        self._write([data], offset)

    def truncate(self, size: int) -> None:
        """Cut (or extend with zeros) the file to ``size``; the next append goes there."""
        self._raise_background_failure()
        try:
            self._calls.truncate(self._descriptor, size)
        except OSError as error:
            raise destination_error(error, self.path, f"cutting {self.path}") from error
        self.end = size

    def reach(self, size: int) -> None:
        """Let a file that is shorter than ``size`` end there, with zeros; :attr:`end` stays where it is."""
        if self.size() < size:
            try:
                self._calls.truncate(self._descriptor, size)
            except OSError as error:
                raise destination_error(error, self.path, f"extending {self.path}") from error

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Read what was written; thread-safe. Return the bytes read, less than asked for only at the end."""
        try:
            return os.preadv(self._descriptor, [buffer], offset)
        except OSError as error:
            raise destination_error(error, self.path, f"reading back {self.path}") from error

    def size(self) -> int:
        """Return the size of the file, holes included; of a device, the size of the device."""
        try:
            return os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError as error:
            raise destination_error(error, self.path, f"measuring {self.path}") from error

    def has_data(self, offset: int, length: int) -> bool:
        """Say whether anything may be stored there: false for a hole, and behind the end."""
        try:
            return os.lseek(self._descriptor, offset, os.SEEK_DATA) < offset + length
        except OSError as error:
            # ENXIO: nothing but a hole up to the end. EINVAL: a file system that does not tell.
            return error.errno != errno.ENXIO

    def release_cache(self, end: int) -> None:
        """Say that the bytes before ``end`` will not be read any more (after ``keep_cached``)."""
        self._releasable = end

    def sync(self) -> None:
        """Make everything written so far durable; returns when it is."""
        self._raise_background_failure()
        try:
            self._calls.fsync(self._descriptor)
        except OSError as error:
            raise destination_error(error, self.path, f"syncing {self.path}") from error
        self._drop_cache(self.end)

    def close(self) -> None:
        """Stop the background flush and close, whatever happened before; syncs nothing. May be called twice."""
        if self._flusher is not None:
            self._requests.put(None)
            self._flusher.join()
            self._flusher = None
        if self._opened is not None:
            os.close(self._opened)
            self._opened = None

    @property
    def _descriptor(self) -> int:
        if self._opened is None:
            self._opened = self._calls.open(self.path, os.O_RDWR)
        return self._opened

    def _write(self, parts: Sequence[Part], offset: int) -> int:
        self._raise_background_failure()
        rest = iter(parts)
        while group := list(islice(rest, MAX_PARTS)):
            offset = self._write_group(group, offset)
        return offset

    def _write_group(self, group: list[Part], offset: int) -> int:
        wanted = sum(map(len, group))
        while wanted:
            try:
                written = self._calls.pwritev(self._descriptor, group, offset)
            except OSError as error:
                raise destination_error(error, self.path, f"writing {self.path}") from error
            if written <= 0:
                raise destination_error(OSError(errno.EIO, "nothing was written"), self.path, f"writing {self.path}")
            offset += written
            wanted -= written
            if wanted:
                group = _behind(group, written)
        return offset

    def _request_flush(self) -> None:
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush, name=f"flush-{self.path.name}", daemon=True)
            self._flusher.start()
        self._requests.put(self.end)

    def _flush(self) -> None:
        while (end := self._requests.get()) is not None:
            try:
                self._calls.fdatasync(self._descriptor)
            except OSError as error:
                self._failure = error
                return
            self._drop_cache(end)

    def _drop_cache(self, end: int) -> None:
        upto = end if self._releasable is None else min(end, self._releasable)
        if upto > self._dropped:
            os.posix_fadvise(self._descriptor, self._dropped, upto - self._dropped, os.POSIX_FADV_DONTNEED)
            self._dropped = upto

    def _raise_background_failure(self) -> None:
        if self._failure is not None:
            raise destination_error(self._failure, self.path, f"flushing {self.path}") from self._failure


def _behind(parts: Sequence[Part], count: int) -> list[Part]:
    """Return what of ``parts`` lies behind their first ``count`` bytes."""
    for index, part in enumerate(parts):
        if count < len(part):
            return [memoryview(part)[count:], *parts[index + 1 :]]
        count -= len(part)
    return []


class Reserve:
    """Room on a file system that is given back when the destination is full, so that what is there can be closed.

    It is a file without a name, filled with bytes that a compressing file system cannot shrink: it vanishes with the
    process.
    """

    def __init__(self, folder: Path, size: int, *, calls: FileCalls | None = None) -> None:
        """Take ``size`` bytes in ``folder``, which is made; ``DestinationFullError`` where they are not there."""
        path = folder / f".forensiq-reserve-{os.urandom(8).hex()}"
        self._file = OutputFile.create(path, calls=calls)
        try:
            self._file.append([os.urandom(size)])
            self._file.sync()
        except DestinationError:
            self._file.close()
            raise
        finally:
            path.unlink()

    def release(self) -> None:
        """Give the room back; may be called twice."""
        self._file.close()


def publish(source: Path, final: Path, *, calls: FileCalls | None = None) -> None:
    """Give a finished, synced file its final name. A file that has it stays: a ``DestinationError`` with ``EEXIST``."""
    try:
        (calls or FileCalls()).rename(source, final)
    except OSError as error:
        raise destination_error(error, final, f"naming {final}") from error


def remove(path: Path, *, calls: FileCalls | None = None) -> None:
    """Remove a file that the caller made; one that is gone already is no error."""
    try:
        (calls or FileCalls()).unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise destination_error(error, path, f"removing {path}") from error


def sync_folder(folder: Path, *, calls: FileCalls | None = None) -> None:
    """Make the names in ``folder`` durable; file systems that cannot (EINVAL) have nothing to sync."""
    calls = calls or FileCalls()
    try:
        descriptor = calls.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise destination_error(error, folder, f"opening {folder}") from error
    try:
        calls.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise destination_error(error, folder, f"syncing {folder}") from error
    finally:
        os.close(descriptor)
