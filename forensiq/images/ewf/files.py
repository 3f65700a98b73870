"""The files of an image, opened read-only and a few at a time: 14,971 segments must not use up the descriptors."""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from forensiq.errors import ImageDamageError, ImageFormatError

__all__ = ["SegmentFiles", "open_read_only"]


def open_read_only(path: Path) -> tuple[int, int]:
    """Open a regular file for reading; return its descriptor and its size in bytes.

    Never waits (a FIFO with the name of a segment is refused) and leaves the access time alone where it may.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        try:
            descriptor = os.open(path, flags | getattr(os, "O_NOATIME", 0))
        except PermissionError:
            descriptor = os.open(path, flags)
    except OSError as error:
        raise ImageFormatError(
            f"{path} cannot be opened: {error.strerror}", path=str(path), errno=error.errno or 0
        ) from error
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        raise ImageFormatError(f"{path} is not a regular file", path=str(path))
    return descriptor, state.st_size


class _Open:
    __slots__ = ("descriptor", "users")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.users = 0


class SegmentFiles:
    """Reads any of a list of files at any place, from any thread; at most ``limit`` of them are open at rest."""

    def __init__(self, paths: Sequence[Path], *, limit: int = 64) -> None:
        self._paths = tuple(paths)
        self._limit = limit
        self._lock = threading.Lock()
        self._open: OrderedDict[int, _Open] = OrderedDict()
        self._sizes: dict[int, int] = {}
        self._closed = False

    @property
    def paths(self) -> Sequence[Path]:
        """The files, in the order in which they were given."""
        return self._paths

    def size(self, index: int) -> int:
        """Size of a file in bytes, as it was when it was first opened."""
        with self._borrow(index):
            return self._sizes[index]

    def read(self, index: int, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes of file ``index`` from ``offset`` on; fewer only at the end of the file."""
        with self._borrow(index) as descriptor:
            length = min(length, self._sizes[index] - offset)
            if length <= 0:
                return b""
            data = self._pread(descriptor, index, offset, length)
            if len(data) == length:
                return data
            parts = [data]
            while data and (length := length - len(data)):
                offset += len(data)
                data = self._pread(descriptor, index, offset, length)
                parts.append(data)
            return b"".join(parts)

    def read_into(self, index: int, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from byte ``offset`` of file ``index`` on; return how much there was, less only at its end.

        A range that cannot be read is an :class:`~forensiq.errors.ImageDamageError`.
        """
        done = 0
        with self._borrow(index) as descriptor:
            while done < len(buffer):
                try:
                    count = os.preadv(descriptor, [buffer[done:]], offset + done)
                except OSError as error:
                    raise self._unreadable(index, offset + done, len(buffer) - done, error) from error
                if count == 0:
                    break
                done += count
        return done

    def close(self) -> None:
        """Close every file; nobody may read any more."""
        with self._lock:
            self._closed = True
            for each in self._open.values():
                os.close(each.descriptor)
            self._open.clear()

    def _pread(self, descriptor: int, index: int, offset: int, length: int) -> bytes:
        try:
            return os.pread(descriptor, length, offset)
        except OSError as error:
            raise self._unreadable(index, offset, length, error) from error

    def _unreadable(self, index: int, offset: int, length: int, error: OSError) -> ImageDamageError:
        return ImageDamageError(
            f"{self._paths[index]} could not be read at byte {offset}: {error.strerror}",
            path=str(self._paths[index]),
            file_offset=offset,
            length=length,
            errno=error.errno or 0,
        )

    @contextmanager
    def _borrow(self, index: int) -> Iterator[int]:
        with self._lock:
            if self._closed:
                raise ValueError("the image is closed")
            each = self._open.get(index)
            if each is None:
                descriptor, size = open_read_only(self._paths[index])
                self._sizes.setdefault(index, size)
                each = self._open[index] = _Open(descriptor)
                self._shrink()
            else:
                self._open.move_to_end(index)
            each.users += 1
        try:
            yield each.descriptor
        finally:
            with self._lock:
                each.users -= 1

    def _shrink(self) -> None:
        for index in [number for number, each in self._open.items() if not each.users][:-1]:
            if len(self._open) <= self._limit:
                return
            os.close(self._open.pop(index).descriptor)
