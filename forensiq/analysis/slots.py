"""Metadata of many files at once: a row of file handles that are used again for every batch of a folder.

The library loads the metadata of one file for each call. Called from a loop of ours, half of the time of a walk would
go into that loop; here the calls, and the reading of what they loaded, are iterators that run in C.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from itertools import repeat
from typing import Any

from forensiq.analysis.tsk import TskFileSystem
from forensiq.analysis.tsk_structs import META, META_MORE, NAME, FileHandle, Metadata

__all__ = ["SLOTS", "FileSlots", "Meta", "More"]

SLOTS = 256
"""Files in a batch: with more, the lines of a folder wait longer; with fewer, the overhead shows."""

Meta = tuple[int, ...]
"""The values of :data:`~forensiq.analysis.tsk_structs.META`."""

More = tuple[int, ...]
"""The values of :data:`~forensiq.analysis.tsk_structs.META_MORE`."""

_ADD_META = ctypes.PYFUNCTYPE(ctypes.c_uint8, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)
_WORDS = ctypes.sizeof(FileHandle) // 8


class FileSlots:
    """A row of ``TSK_FS_FILE`` of one file system. What it points to is valid until the next call."""

    def __init__(self, fs: TskFileSystem) -> None:
        self._fs = fs
        self._add_meta = _ADD_META(fs.info.file_add_meta)
        self._handles = (FileHandle * SLOTS)()
        empty = fs.lib.fs_file_alloc(fs.pointer)
        if not empty:
            raise MemoryError("no memory for a file handle")
        for handle in self._handles:
            ctypes.memmove(ctypes.addressof(handle), empty, ctypes.sizeof(FileHandle))
        fs.lib.fs_file_close(empty)
        start, size = ctypes.addressof(self._handles), ctypes.sizeof(FileHandle)
        self.files = [start + size * slot for slot in range(SLOTS)]
        """Addresses of the handles."""
        self._words = memoryview(self._handles).cast("B").cast("Q")
        self._known: list[int] = []
        self._views: list[memoryview] = []
        self._more: list[memoryview] = []
        self._forget = fs.lib.fs_meta_close

    def load(self, names: int, addresses: Sequence[int]) -> bytes | None:
        """Load the metadata of up to :data:`SLOTS` files; ``None`` where that of one cannot be loaded.

        ``names`` is the address of the first of as many ``TSK_FS_NAME``. The result is as many
        :data:`~forensiq.analysis.tsk_structs.META`, one behind the other.
        """
        count = len(addresses)
        words = self._words[: count * _WORDS]
        words[1::_WORDS] = array("Q", range(names, names + count * NAME.size, NAME.size))
        failed: list[Any] = list(map(self._add_meta, repeat(self._fs.pointer), self.files, addresses))
        if any(failed):
            self._drop(count)
            return None
        pointers = words[2::_WORDS].tolist()
        if pointers != self._known[:count]:
            self._look_again()
        loaded = b"".join(self._views[:count])
        return loaded if len(loaded) == count * META.size else None

    def more(self, count: int) -> list[More]:
        """Return what NTFS keeps besides: of the first ``count`` slots, which are loaded."""
        return list(map(META_MORE.unpack_from, self._more[:count]))

    def load_one(self, name: int, address: int, *, wanted: bool) -> Meta | None:
        """Load the metadata of one file into the first slot; ``None`` where there is none, or none is ``wanted``."""
        self._words[1] = name
        if not wanted or self._add_meta(self._fs.pointer, self.files[0], address):
            self._drop(1)
            return None
        pointer = self._words[2]
        return META.unpack(ctypes.string_at(pointer, META.size)) if pointer else None

    def metadata(self, slot: int) -> Metadata:
        """Return the whole structure of a slot that is loaded."""
        return Metadata.from_address(self._words[slot * _WORDS + 2])

    def close(self) -> None:
        """Free what the library allocated."""
        self._drop(SLOTS)

    def _look_again(self) -> None:
        """Take views of the structures: the library keeps one for each handle, and fills it anew for the next file."""
        self._known = self._words[2::_WORDS].tolist()
        made = (ctypes.c_char * META_MORE.size).from_address
        self._more = [memoryview(made(pointer)).cast("B") if pointer else memoryview(b"") for pointer in self._known]
        self._views = [view[: META.size] for view in self._more]

    def _drop(self, count: int) -> None:
        self._known, self._views, self._more = [], [], []
        words = self._words
        for place in range(2, count * _WORDS, _WORDS):
            if words[place]:
                self._forget(words[place])
                words[place] = 0
