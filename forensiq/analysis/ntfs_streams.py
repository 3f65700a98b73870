"""The streams of an NTFS file, from the library's list of its attributes, which is complete once the file is loaded."""

from __future__ import annotations

import ctypes
import struct

from forensiq.analysis.rendering import FileNameTimes, NtfsFile, PlainStream
from forensiq.analysis.slots import More
from forensiq.analysis.tsk import NTFS_DATA, NTFS_FILE_NAME, NTFS_INDEX_ROOT
from forensiq.analysis.tsk_structs import ATTRIBUTE, ATTRIBUTES_COMPLETE

__all__ = ["NtfsStreams"]

_IN_USE = 1
_MOST_VIEWS = 20_000
_MOST_ATTRIBUTES = 10_000
_HEAD = struct.Struct("=Q")


class _Views(dict[int, memoryview]):
    """Address → the bytes there. The library uses its lists again for the next file, so most addresses come back."""

    def __missing__(self, address: int) -> memoryview:
        if len(self) >= _MOST_VIEWS:
            self.clear()
        view = self[address] = memoryview((ctypes.c_char * ATTRIBUTE.size).from_address(address))
        return view


class NtfsStreams:
    """Reads lists of attributes without calling the library for each."""

    def __init__(self) -> None:
        self._views = _Views()
        self._heads = _Views()

    def of(self, more: More) -> NtfsFile | None:
        """Return the streams that ``fls`` has a line for, and the times of $FILE_NAME.

        ``None`` where the library has to be asked: the list is not complete, has no such stream, or a name in it is
        not UTF-8.
        """
        *times, number, attributes, state = more
        if state != ATTRIBUTES_COMPLETE or not attributes:
            return None
        views = self._views
        (at,) = _HEAD.unpack_from(self._heads[attributes])
        streams: list[PlainStream] = []
        own: FileNameTimes | None = None
        left = _MOST_ATTRIBUTES
        while at and left:
            left -= 1
            at, flags, name_at, kind, identifier, size = ATTRIBUTE.unpack_from(views[at])
            if not flags & _IN_USE:
                continue
            if kind in (NTFS_DATA, NTFS_INDEX_ROOT):
                name: str | None = None
                if name_at:
                    raw = ctypes.string_at(name_at)
                    try:
                        name = raw.decode() or None
                    except UnicodeDecodeError:
                        return None
                    if name == "$I30" and kind == NTFS_INDEX_ROOT:
                        name = None
                streams.append((f"{kind}-{identifier}", name, size))
            elif kind == NTFS_FILE_NAME and own is None and identifier == number:
                own = (f"{kind}-{identifier}", size, tuple(times))
        return (streams, own) if streams else None
