"""The directories on the way from the root to where a walk is, and what was made of their entries so far."""

from __future__ import annotations

import ctypes

from forensiq.analysis.ext_folders import NameArray
from forensiq.analysis.printer import Batch, Item
from forensiq.analysis.tsk_structs import NAME, Directory

__all__ = ["Folder", "Level", "Piece", "Progress"]


class Folder:
    """A folder that is to be gone into."""

    __slots__ = ("address", "exact", "path")

    def __init__(self, address: int, path: str, exact: bytes | None) -> None:
        self.address = address
        self.path = path
        self.exact = exact


Piece = tuple[int, list[Item], Folder | None]
"""Index of the last entry of a piece, what it gives, and the folder to go into behind that."""


class Level:
    """A directory on the way from the root to where the walk is."""

    __slots__ = (
        "batch",
        "count",
        "exact",
        "index",
        "inode",
        "listed",
        "names",
        "orphan",
        "path",
        "pieces",
        "pointer",
        "raw",
    )

    def __init__(
        self,
        pointer: int,
        inode: int,
        path: str,
        exact: bytes | None,
        *,
        orphan: bool,
        listed: NameArray | None = None,
    ) -> None:
        """``pointer`` is a ``TSK_FS_DIR`` that is open, or 0 where the names are ``listed``."""
        self.pointer = pointer
        self.listed = listed
        self.inode = inode
        self.path = path
        self.exact = exact
        """The bytes of the path, where they are not what ``path`` encodes to."""
        self.orphan = orphan
        if listed is not None:
            self.names, self.count = listed.pointer, listed.count
        else:
            directory = Directory.from_address(pointer)
            self.names = directory.names or 0
            self.count = directory.names_used if self.names else 0
        self.raw = memoryview((ctypes.c_char * (self.count * NAME.size)).from_address(self.names or pointer)).cast("B")
        self.index = 0
        """The next entry that is not loaded yet."""
        self.batch: Batch | None = None
        self.pieces: list[Piece] = []
        """What was made of the last batch, last piece first."""

    def path_of(self, name: bytes) -> tuple[str, bytes | None]:
        """Return the path of an entry as text, and its bytes where they are not what the text encodes to."""
        try:
            path = self.path + name.decode()
        except UnicodeDecodeError:
            exact = self.path.encode() if self.exact is None else self.exact
            return self.path + name.decode("utf-8", "replace"), exact + name
        return path, None if self.exact is None else self.exact + name


class Progress:
    """Where a walk is, in memory that the parent process can see: directory, entry in it (or a negative number)."""

    def __init__(self, cells: memoryview) -> None:
        self.cells = cells
        """Signed 64-bit numbers: inode of the directory, index of the entry."""
