"""The questions and the one setting that forensiq sends to an open block device.

Numbers: ``linux/fs.h`` (``_IO(0x12, n)``; the size request differs with the width of ``size_t``). Nothing here writes
to the medium: ``BLKROSET`` sets a flag in the kernel's own memory.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from forensiq.errors import SourceError

__all__ = [
    "Geometry",
    "flush_buffers",
    "geometry",
    "open_device",
    "opened",
    "read_only_flag",
    "set_read_only_flag",
    "size_of",
]

_BLKROSET = 0x125D
_BLKROGET = 0x125E
_BLKFLSBUF = 0x1261
_BLKSSZGET = 0x1268
_BLKPBSZGET = 0x127B
_BLKGETSIZE64 = 0x80081272 if sys.maxsize > 2**32 else 0x80041272


class Geometry(Struct, frozen=True):
    """Sizes in bytes as the open device gives them."""

    size: int
    sector_size: int
    physical_sector_size: int


def open_device(path: str, *, direct: bool = False, exclusive: bool = False) -> int:
    """Open a device node read-only and return the descriptor, which is the caller's.

    ``direct`` adds ``O_DIRECT``; ``exclusive`` adds ``O_EXCL``: the kernel then refuses (``EBUSY``) where a file
    system, swap, dm, md or another program holds the device or a part of it, and refuses all of these while we hold
    it. Raises ``OSError``.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    return os.open(path, flags | (os.O_DIRECT if direct else 0) | (os.O_EXCL if exclusive else 0))


@contextmanager
def opened(path: str) -> Iterator[int]:
    """Open a device node read-only for a question; a :class:`~forensiq.errors.SourceError` where that fails."""
    try:
        descriptor = open_device(path)
    except OSError as error:
        hint = "reading a drive needs root" if isinstance(error, PermissionError) and os.geteuid() else None
        raise SourceError(
            f"{path} cannot be opened: {error.strerror}", hint=hint, path=path, errno=error.errno
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def geometry(descriptor: int) -> Geometry:
    """Return the sizes of an open device. Raises ``OSError``."""
    physical = _ask(descriptor, _BLKPBSZGET, "I")
    return Geometry(size_of(descriptor), _ask(descriptor, _BLKSSZGET, "i"), physical)


def size_of(descriptor: int) -> int:
    """Return the size of an open device in bytes. Raises ``OSError``."""
    return _ask(descriptor, _BLKGETSIZE64, "Q")


def read_only_flag(descriptor: int) -> bool:
    """Return the kernel's read-only flag of an open device. Raises ``OSError``."""
    return bool(_ask(descriptor, _BLKROGET, "i"))


def set_read_only_flag(descriptor: int, value: bool) -> None:
    """Set the kernel's read-only flag of an open device (``CAP_SYS_ADMIN``). Raises ``OSError``."""
    fcntl.ioctl(descriptor, _BLKROSET, struct.pack("i", int(value)))


def flush_buffers(descriptor: int) -> None:
    """Let the kernel forget what it has cached of an open device, so that it is read anew. Raises ``OSError``."""
    fcntl.ioctl(descriptor, _BLKFLSBUF)


def _ask(descriptor: int, request: int, form: str) -> int:
    answer = fcntl.ioctl(descriptor, request, bytes(struct.calcsize(form)))
    (value,) = struct.unpack(form, answer)
    return int(value)
