"""APFS through libfsapfs: what The Sleuth Kit cannot give (compressed files), and a second opinion on all of it.

The Sleuth Kit tells size 0 of most files that APFS compresses (``com.apple.decmpfs``), and gives no content of them.
The only module that knows pyfsapfs; it runs inside the worker.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pyfsapfs

from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.window import Medium
from forensiq.errors import ImageDamageError, SourceReadError

__all__ = ["ApfsEntry", "ApfsVolume"]

ApfsEntry = Any
"""A ``pyfsapfs.file_entry``: it has no types."""

_MOST_DEPTH = 20_000


class _File(io.RawIOBase):
    """A medium from a byte on, as libfsapfs reads it."""

    def __init__(self, medium: Medium, offset: int) -> None:
        self._medium = medium
        self._offset = offset
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes; ``OSError`` where they cannot be read."""
        left = max(0, self._medium.size - self._offset - self._at)
        buffer = bytearray(left if size < 0 else min(size, left))
        try:
            done = self._medium.read_into(self._offset + self._at, memoryview(buffer))
        except (ImageDamageError, SourceReadError) as error:
            raise OSError(str(error)) from error
        self._at += done
        return bytes(buffer[:done])

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.get_size()}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Return where it is."""
        return self._at

    def get_size(self) -> int:
        """Return the number of bytes."""
        return self._medium.size - self._offset


class ApfsVolume:
    """A volume of an APFS container at a byte offset of a medium, by its place in the container (from 0)."""

    def __init__(self, medium: Medium, offset: int, index: int) -> None:
        """Open it; :class:`FileSystemError` where libfsapfs cannot."""
        self._container = pyfsapfs.container()
        try:
            self._container.open_file_object(_File(medium, offset))
            self._volume = self._container.get_volume(index)
            locked = bool(self._volume.is_locked())
        except (OSError, TypeError, ValueError) as error:
            raise FileSystemError(f"libfsapfs: {_short(error)}") from error
        if locked:
            raise FileSystemError("libfsapfs: the volume is encrypted")

    def entry(self, inode: int) -> ApfsEntry:
        """Return an entry by its inode; :class:`FileSystemError` where there is none."""
        try:
            return self._volume.get_file_entry_by_identifier(inode)
        except (OSError, TypeError, ValueError, OverflowError) as error:
            raise FileSystemError(f"libfsapfs: inode {inode}: {_short(error)}") from error

    def size(self, inode: int) -> int:
        """Return the size of the content of a file in bytes, that of compressed ones when they are unpacked."""
        try:
            return int(self.entry(inode).size)
        except OSError as error:
            raise FileSystemError(f"libfsapfs: inode {inode}: {_short(error)}") from error

    def read(self, entry: ApfsEntry, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` of an entry's content; return the bytes read."""
        try:
            data = entry.read_buffer_at_offset(len(buffer), offset)
        except (OSError, MemoryError, ValueError) as error:
            raise FileSystemError(f"libfsapfs: {_short(error)}") from error
        buffer[: len(data)] = data
        return len(data)

    def entries(self) -> Iterator[tuple[str, ApfsEntry]]:
        """Yield (path, entry) of everything below the root; folders that contain themselves are entered once."""
        try:
            stack = [("", self._volume.root_directory, 0, 0)]
            on_way = {int(stack[0][1].identifier)}
            while stack:
                path, folder, index, count = stack.pop()
                count = count or int(folder.number_of_sub_file_entries)
                if index >= count:
                    on_way.discard(int(folder.identifier))
                    continue
                stack.append((path, folder, index + 1, count))
                entry = folder.get_sub_file_entry(index)
                below = f"{path}/{entry.name}"
                yield below, entry
                number = int(entry.identifier)
                if entry.file_mode >> 12 == 4 and number not in on_way and len(stack) < _MOST_DEPTH:
                    on_way.add(number)
                    stack.append((below, entry, 0, 0))
        except (OSError, TypeError, ValueError) as error:
            raise FileSystemError(f"libfsapfs: {_short(error)}") from error


def _short(error: Exception) -> str:
    """The libraries' messages are whole stacks; the innermost line says why."""
    return str(error).strip().splitlines()[-1][-200:] if str(error).strip() else type(error).__name__
