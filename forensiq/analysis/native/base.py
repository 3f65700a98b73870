"""What a file system of ours gives to the walk, to readers of content and to impact.

Everything a file system says is hostile: numbers are checked against the medium before they are believed, loops are
bounded, and what does not fit is a :class:`~forensiq.analysis.file_system_error.FileSystemError`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from msgspec import Struct

from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.native.pages import Pages
from forensiq.model.scope import MediumScope

__all__ = ["Name", "NativeFileSystem", "NativeStream", "Node", "Run", "type_of_mode"]

_TYPES = {1: "fifo", 2: "character_device", 4: "directory", 6: "block_device", 8: "file", 10: "symlink", 12: "socket"}


def type_of_mode(mode: int) -> str:
    """Return the type of an inode by its Unix mode, in the words of a listing."""
    return _TYPES.get(mode >> 12, "unknown")


class Name(Struct, frozen=True):
    """An entry of a directory. ``kind`` is what the directory says it is, ``None`` where it says nothing.

    ``allocated`` is false for a name that was deleted and is still legible.
    """

    name: bytes
    inode: int
    kind: str | None = None
    allocated: bool = True


class Node(Struct, frozen=True):
    """An inode. Times are (seconds since 1970, nanoseconds); ``None`` where the file system does not have one."""

    number: int
    type: str
    size: int
    mode: int
    uid: int
    gid: int
    mtime: tuple[int, int]
    atime: tuple[int, int]
    ctime: tuple[int, int]
    crtime: tuple[int, int] | None
    allocated: bool = True


class Run(Struct, frozen=True):
    """A piece of a file: its place in the file, its place in the file system (``None``: a hole), its length; bytes.

    A run that is ``unwritten`` has blocks of its own, but reads as zeros.
    """

    offset: int
    place: int | None
    length: int
    unwritten: bool = False


class NativeStream(Struct, frozen=True):
    """The content of an inode, with its runs sorted by offset; sizes in bytes."""

    node: Node
    size: int
    allocated_size: int
    runs: tuple[Run, ...]


class NativeFileSystem(ABC):
    """An open file system. ``block_size`` in bytes; ``size`` in bytes; ``root`` is the inode of the root directory."""

    name: ClassVar[str]
    has_deleted_names: ClassVar[bool] = False
    block_size: int
    size: int
    root: int

    def __init__(self, pages: Pages, offset: int) -> None:
        self.pages = pages
        self.offset = offset
        self.taken: MediumScope | None = None

    @abstractmethod
    def node(self, number: int) -> Node:
        """Return an inode."""

    @abstractmethod
    def names(self, node: Node) -> list[Name]:
        """Return the entries of a directory in the order in which they are stored, without ``.`` and ``..``."""

    @abstractmethod
    def link_target(self, node: Node) -> bytes:
        """Return where a symbolic link leads to."""

    @abstractmethod
    def stream(self, number: int) -> NativeStream:
        """Return the content of a file (or directory) by its inode."""

    @abstractmethod
    def free_ranges(self) -> list[tuple[int, int]]:
        """Return (offset, length) in bytes of what no file uses, sorted."""

    @abstractmethod
    def fixed_metadata(self) -> list[tuple[int, int]]:
        """Return (offset, length) in bytes of what belongs to the file system itself in a fixed place."""

    @abstractmethod
    def metadata_ranges(self, node: Node) -> list[tuple[int, int]]:
        """Return (offset, length) in bytes of the inode itself and of the blocks that hold its list of runs."""

    def read(self, stream: NativeStream, offset: int, buffer: memoryview, *, slack: bool = False) -> int:
        """Fill ``buffer`` from ``offset`` of a stream, to its end or (``slack``) its last block's; return how much."""
        end = min(offset + len(buffer), max(stream.size, stream.allocated_size) if slack else stream.size)
        if end <= offset:
            return 0
        buffer[: end - offset] = bytes(end - offset)
        for run in stream.runs:
            low, high = max(offset, run.offset), min(end, run.offset + run.length)
            if low < high and run.place is not None and not run.unwritten:
                self.pages.read_into(self.offset + run.place + low - run.offset, buffer[low - offset : high - offset])
        return end - offset

    def content(self, number: int, most: int) -> bytes:
        """Return the whole content of an inode, which may be ``most`` bytes at most."""
        stream = self.stream(number)
        if stream.size > most:
            raise FileSystemError(f"inode {number}: {stream.size} bytes where {most} are the most")
        data = bytearray(stream.size)
        self.read(stream, 0, memoryview(data))
        return bytes(data)
