"""Memory without a name that another process can fill."""

from __future__ import annotations

import os

__all__ = ["SharedMemory"]


class SharedMemory:
    """Anonymous memory behind a file descriptor (``memfd_create``); grows as needed, gone when closed."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("forensiq")
        self._size = 0

    def ensure(self, size: int) -> None:
        """Have room for ``size`` bytes."""
        if size > self._size:
            os.ftruncate(self.descriptor, size)
            self._size = size

    def copy_to(self, buffer: memoryview) -> None:
        """Fill ``buffer`` with the first bytes of the memory; without the GIL, which a slice assignment would hold."""
        done = 0
        while done < len(buffer):
            done += os.preadv(self.descriptor, [buffer[done:]], done)

    def close(self) -> None:
        """Give the memory back; may be called twice."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
