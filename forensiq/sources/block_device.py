"""A Linux block device as evidence: a drive, a partition, a loop device. Opened read-only, always."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import threading

from forensiq.devices.identity import identity_of
from forensiq.devices.ioctls import open_device, size_of
from forensiq.devices.system import System
from forensiq.errors import SourceError, SourceLostError, SourceReadError
from forensiq.sources.unusual import refuse_odd_sectors
from forensiq.streams.closing import Closing

__all__ = ["BlockDeviceSource"]

_GONE = frozenset({errno.ENXIO, errno.ENODEV, errno.ENOMEDIUM, errno.ESHUTDOWN, errno.ESTALE, errno.EBADF})
_UNSUPPORTED = frozenset({errno.EINVAL, errno.EOPNOTSUPP})
_BEHIND = 32 << 20
_ALIGNMENT = 4096


class BlockDeviceSource(Closing):
    """A :class:`~forensiq.sources.base.Source` over a block device.

    ``direct`` reads everything past the page cache. Else what has been read is given back to the system 32 MiB behind
    the furthest read, so that a drive does not push everything else out of memory.

    Whether the device is in use or can be written to is for
    :class:`~forensiq.devices.write_block.WriteGuard` to see, before this is opened.
    """

    parallel_reads = 1

    def __init__(self, path: str, *, direct: bool = False) -> None:
        self.identity = identity_of(path)
        self.path = path
        self.size = self.identity.size
        self.sector_size = self.identity.sector_size
        refuse_odd_sectors(path, self.size, self.sector_size)
        self._direct_always = direct
        self._lock = threading.Lock()
        self._dropped = 0
        self._seen = 0
        self._descriptor = _open(path, direct=False)
        self._direct: int | None = None
        try:
            self._check_size()
            self._direct = _open_direct(path)
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        except (OSError, SourceError):
            self.close()
            raise

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`forensiq.sources.base.Source.read_into`."""
        if self._direct_always:
            return self.read_direct(offset, buffer)
        wanted = self._wanted(offset, buffer)
        self._read(self._descriptor, offset, buffer[:wanted])
        self._drop_behind(offset + wanted)
        return wanted

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`forensiq.sources.base.Source.read_direct`.

        A buffer that is not fit for ``O_DIRECT`` is filled through one that is; where the device has no ``O_DIRECT``
        the range is dropped from the page cache first.
        """
        wanted = self._wanted(offset, buffer)
        if not wanted:
            return 0
        if self._direct is None:
            os.posix_fadvise(self._descriptor, offset, wanted, os.POSIX_FADV_DONTNEED)
            self._read(self._descriptor, offset, buffer[:wanted])
            return wanted
        start = offset // self.sector_size * self.sector_size
        end = min(-(-(offset + wanted) // self.sector_size) * self.sector_size, self.size)
        try:
            if (start, end) == (offset, offset + wanted):
                self._read(self._direct, offset, buffer[:wanted], passing=_UNSUPPORTED)
                return wanted
        except _NotAligned:
            pass
        room = -(-(end - start) // _ALIGNMENT) * _ALIGNMENT
        with mmap.mmap(-1, room) as aligned, memoryview(aligned) as view, view[: end - start] as piece:
            self._read(self._direct, start, piece)
            buffer[:wanted] = piece[offset - start : offset - start + wanted]
        return wanted

    def close(self) -> None:
        """Close the device; may be called twice."""
        with self._lock:
            for descriptor in (self._descriptor, self._direct):
                if descriptor is not None and descriptor >= 0:
                    with contextlib.suppress(OSError):
                        os.close(descriptor)
            self._descriptor, self._direct = -1, None

    def _wanted(self, offset: int, buffer: memoryview) -> int:
        return min(len(buffer), max(0, self.size - offset))

    def _read(self, descriptor: int, offset: int, buffer: memoryview, passing: frozenset[int] = frozenset()) -> None:
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(descriptor, [buffer[done:]], offset + done)
            except OSError as error:
                code = error.errno or errno.EIO
                if code in passing:
                    raise _NotAligned from error
                if code in _GONE:
                    raise self._lost(os.strerror(code), offset + done, code) from error
                self._check_size()
                raise SourceReadError(offset, len(buffer), code) from error
            if count == 0:
                self._check_size()
                raise SourceReadError(offset, len(buffer), errno.EIO)
            done += count

    def _check_size(self) -> None:
        """Raise where the device is gone from the kernel or has another size than at the start."""
        number = os.fstat(self._descriptor).st_rdev
        if System().name_of_number(f"{os.major(number)}:{os.minor(number)}") is None:
            raise self._lost("the kernel does not know it any more", self._seen, errno.ENODEV)
        try:
            size = size_of(self._descriptor)
        except OSError as error:
            raise self._lost(error.strerror or "no answer", self._seen, error.errno or errno.EIO) from error
        if size != self.size:
            raise self._lost(f"its size was {self.size} bytes and is now {size}", self._seen, errno.ENODEV)

    def _lost(self, reason: str, offset: int, code: int) -> SourceLostError:
        return SourceLostError(f"{self.path} is gone: {reason}", path=self.path, offset=offset, errno=code)

    def _drop_behind(self, end: int) -> None:
        with self._lock:
            self._seen = max(self._seen, end)
            start, until = self._dropped, self._seen - _BEHIND
            if until - start < _BEHIND:
                return
            self._dropped = until
        os.posix_fadvise(self._descriptor, start, until - start, os.POSIX_FADV_DONTNEED)


class _NotAligned(Exception):
    """The kernel does not take this memory for ``O_DIRECT``."""


def _open(path: str, *, direct: bool) -> int:
    try:
        return open_device(path, direct=direct)
    except OSError as error:
        raise SourceError(f"{path} cannot be opened: {error.strerror}", path=path, errno=error.errno) from error


def _open_direct(path: str) -> int | None:
    try:
        return open_device(path, direct=True)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
