"""Reads one file, or several as if they were one, by position and from any thread."""

from __future__ import annotations

import errno
import os
import stat
import threading
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

from forensiq.errors import MissingSegmentError, SourceError, SourceLostError, SourceReadError
from forensiq.model.split_names import is_part, later_parts

__all__ = ["FileSequence", "find_parts", "open_read_only", "read_fully"]

_GONE = frozenset({errno.ENXIO, errno.ENODEV, errno.ESHUTDOWN, errno.ESTALE, errno.ENOMEDIUM, errno.ENOTCONN})
_KEPT_OPEN = 256
_BEHIND = 1 << 20


def read_fully(descriptor: int, offset: int, buffer: memoryview, path: str, base: int = 0) -> int:
    """Fill ``buffer`` from byte ``offset`` of an open file on; return how much there was.

    Less than asked for only at the end of the file. ``base`` is added to offsets in errors. A range that cannot be
    read is a :class:`SourceReadError`; a device that is gone a :class:`SourceLostError`.
    """
    done = 0
    while done < len(buffer):
        try:
            count = os.preadv(descriptor, [buffer[done:]], offset + done)
        except OSError as error:
            code = error.errno or errno.EIO
            if code in _GONE:
                raise SourceLostError(
                    f"{path} is gone: {os.strerror(code)}", path=path, offset=base + offset + done, errno=code
                ) from error
            raise SourceReadError(base + offset, len(buffer), code) from error
        if count == 0:
            break
        done += count
    return done


class FileSequence:
    """One or several files in order, read-only, as one run of bytes.

    ``drop_cache`` gives large reads back to the system at once (``POSIX_FADV_DONTNEED``): for a medium that is read
    through once. With many files, only those being read are open.
    """

    def __init__(self, paths: Sequence[Path], *, drop_cache: bool = False) -> None:
        self.paths = tuple(paths)
        self._drop = drop_cache
        self._keep = len(self.paths) <= _KEPT_OPEN
        self._descriptors: list[int | None] = [None] * len(self.paths)
        self._direct: dict[int, int | None] = {}
        self._lock = threading.Lock()
        self._starts: list[int] = []
        self.sizes: tuple[int, ...] = ()
        try:
            self._measure()
        except SourceError:
            self.close()
            raise

    def _measure(self) -> None:
        sizes: list[int] = []
        position = 0
        for index in range(len(self.paths)):
            descriptor = self._open(index)
            facts = os.fstat(descriptor)
            size = os.lseek(descriptor, 0, os.SEEK_END) if stat.S_ISBLK(facts.st_mode) else facts.st_size
            self._starts.append(position)
            sizes.append(size)
            position += size
            self._done(index, descriptor)
        self.sizes = tuple(sizes)
        self.size = position

    def _open(self, index: int) -> int:
        known = self._descriptors[index]
        if known is not None:
            return known
        descriptor = open_read_only(self.paths[index])
        if not self._keep:
            return descriptor
        with self._lock:
            known = self._descriptors[index]
            if known is None:
                self._descriptors[index] = descriptor
                return descriptor
        os.close(descriptor)
        return known

    def _done(self, index: int, descriptor: int) -> None:
        if self._descriptors[index] != descriptor:
            os.close(descriptor)

    def descriptor(self, index: int = 0) -> int:
        """Return the open descriptor of one file, for questions about it; it stays this object's."""
        return self._open(index)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from byte ``offset`` on; less only at the end. Errors as :func:`read_fully`."""
        return self._read(offset, buffer, direct=False)

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """As :meth:`read_into`, past the page cache where the file system can do that."""
        return self._read(offset, buffer, direct=True)

    def _read(self, offset: int, buffer: memoryview, *, direct: bool) -> int:
        done = 0
        wanted = min(len(buffer), max(0, self.size - offset))
        while done < wanted:
            index = bisect_right(self._starts, offset + done) - 1
            inside = offset + done - self._starts[index]
            piece = buffer[done : done + min(wanted - done, self.sizes[index] - inside)]
            if self._read_one(index, inside, piece, direct=direct) < len(piece):
                raise SourceLostError(
                    f"{self.paths[index]} has become smaller than it was", path=str(self.paths[index]), offset=offset
                )
            done += len(piece)
        return done

    def _read_one(self, index: int, inside: int, piece: memoryview, *, direct: bool) -> int:
        path, base = str(self.paths[index]), self._starts[index]
        descriptor = self._open(index)
        try:
            if direct:
                past_cache = self._open_direct(index)
                if past_cache is not None:
                    try:
                        return read_fully(past_cache, inside, piece, path, base)
                    except SourceReadError as error:
                        if error.errno != errno.EINVAL:  # not aligned as this file system wants it
                            raise
                os.posix_fadvise(descriptor, inside, len(piece), os.POSIX_FADV_DONTNEED)
            count = read_fully(descriptor, inside, piece, path, base)
            if self._drop and count >= _BEHIND:
                os.posix_fadvise(descriptor, inside, count, os.POSIX_FADV_DONTNEED)
            return count
        finally:
            self._done(index, descriptor)

    def _open_direct(self, index: int) -> int | None:
        if not self._keep:
            return None
        with self._lock:
            if index not in self._direct:
                try:
                    self._direct[index] = open_read_only(self.paths[index], os.O_DIRECT)
                except SourceError:
                    self._direct[index] = None  # the file system has no O_DIRECT
            return self._direct[index]

    def close(self) -> None:
        """Close all files; may be called twice."""
        with self._lock:
            for descriptor in [*self._descriptors, *self._direct.values()]:
                if descriptor is not None:
                    os.close(descriptor)
            self._descriptors = [None] * len(self.paths)
            self._direct = {}


def open_read_only(path: Path, more: int = 0) -> int:
    """Open ``path`` with ``O_RDONLY`` and ``more``; where the system allows it, its access time stays as it is.

    Failing to is a :class:`SourceError`.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | more
    try:
        try:
            return os.open(path, flags | os.O_NOATIME)
        except PermissionError:
            return os.open(path, flags)
    except OSError as error:
        code = error.errno or errno.EIO
        raise SourceError(f"{path} cannot be opened: {os.strerror(code)}", path=str(path), errno=code) from error


def find_parts(first: Path, folders: Sequence[Path] = (), known: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Return the files of the split image that starts with ``first``, in order.

    They are looked for beside the first one, then in ``folders``, then among the paths that are ``known``.
    A part that is missing while later ones are there is a :class:`MissingSegmentError` (facts: missing, found).
    """
    seen = [path for folder in (first.parent, *folders) if folder.is_dir() for path in folder.iterdir()]
    present: dict[str, Path] = {}
    for path in (*seen, *(path for path in known if path.is_file())):
        if is_part(first.name, path.name):
            present.setdefault(path.name, path)
    found = [first]
    for name in later_parts(first.name):
        if name not in present:
            break
        found.append(present[name])
    later = sorted(name for name in present.keys() - {each.name for each in found} if _is_later(first.name, name))
    if later:
        raise MissingSegmentError(
            f"{name} is missing: the set goes on with {later[0]}", missing=name, found=[each.name for each in found]
        )
    return tuple(found)


def _is_later(first: str, name: str) -> bool:
    return (len(name), name) > (len(first), first)
