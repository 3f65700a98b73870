"""XFS: inodes, directories, content, free space. Layout in :mod:`forensiq.analysis.native.xfs_layout`.

The journal is not replayed: a volume that was not unmounted is shown as its blocks have it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import ClassVar

from forensiq.analysis.file_system_error import FileSystemError, parses
from forensiq.analysis.native.base import Name, NativeFileSystem, NativeStream, Node, Run, type_of_mode
from forensiq.analysis.native.pages import Pages
from forensiq.analysis.native.xfs_layout import (
    DATA_END,
    Inode,
    Superblock,
    data_block_names,
    extent,
    short_form_names,
)

__all__ = ["XfsFileSystem"]

_LOCAL, _EXTENTS, _TREE = 1, 2, 3
_REALTIME = 1
_MOST_EXTENTS = 4_000_000
_MOST_TREE_BLOCKS = 200_000
_MOST_DIRECTORY = 1 << 31
_MOST_LINK = 1024
_LINK_HEADER = 56


class XfsFileSystem(NativeFileSystem):
    """An XFS volume at a byte offset of a medium."""

    name: ClassVar[str] = "xfs"
    has_deleted_names: ClassVar[bool] = True

    @parses
    def __init__(self, pages: Pages, offset: int) -> None:
        super().__init__(pages, offset)
        self._super = Superblock.parse(pages.read(offset, 512))
        self.block_size = self._super.block_size
        self.size = self._super.blocks * self.block_size
        self.root = self._super.root
        self._fits_five = self._super.version == 5

    def _inode(self, number: int) -> Inode:
        place = self._super.inode_place(number)
        return Inode.parse(self.pages.read(self.offset + place, self._super.inode_size), number)

    @parses
    def node(self, number: int) -> Node:
        """Return an inode."""
        return _node(number, self._inode(number))

    @parses
    def names(self, node: Node) -> list[Name]:
        """Return the entries of a directory; names that were deleted are among them."""
        inode = self._inode(node.number)
        if inode.format == _LOCAL:
            return list(short_form_names(inode.fork[: inode.size], has_kinds=self._super.has_kinds))
        found: list[Name] = []
        unit = self._super.directory_block
        for run in self._runs(inode, node.number):
            if run.place is None or run.offset >= DATA_END:
                continue
            if len(found) * 16 > _MOST_DIRECTORY:
                raise FileSystemError(f"inode {node.number}: a directory with more entries than are believed")
            for at in range(0, run.length - unit + 1, unit):
                raw = self.pages.read(self.offset + run.place + at, unit)
                found += data_block_names(raw, node.number, has_kinds=self._super.has_kinds)
        return [each for each in found if each.name not in (b".", b"..")]

    @parses
    def link_target(self, node: Node) -> bytes:
        """Return where a symbolic link leads to."""
        inode = self._inode(node.number)
        if inode.size > _MOST_LINK:
            raise FileSystemError(f"inode {node.number}: a link of {inode.size} bytes")
        if inode.format == _LOCAL:
            return inode.fork[: inode.size]
        parts: list[bytes] = []
        for run in self._runs(inode, node.number):
            for at in range(0, run.length if run.place is not None else 0, self.block_size):
                raw = self.pages.read(self.offset + (run.place or 0) + at, self.block_size)
                if self._fits_five:
                    if raw[:4] != b"XSLM":
                        raise FileSystemError(f"inode {node.number}: the text of the link is not there")
                    raw = raw[_LINK_HEADER : _LINK_HEADER + struct.unpack_from(">I", raw, 8)[0]]
                parts.append(raw)
        return b"".join(parts)[: inode.size]

    @parses
    def stream(self, number: int) -> NativeStream:
        """Return the content of an inode."""
        inode = self._inode(number)
        node = _node(number, inode)
        if inode.format == _LOCAL:
            place = self._super.inode_place(number) + (176 if self._fits_five else 100)
            length = min(inode.size, len(inode.fork))
            return NativeStream(node, inode.size, inode.size, (Run(0, place, length),))
        if inode.flags & _REALTIME and node.type == "file":
            raise FileSystemError(f"inode {number}: its content is on the realtime device, which is not in this image")
        runs = tuple(self._runs(inode, number))
        block = self.block_size
        return NativeStream(node, inode.size, -(-inode.size // block) * block, runs)

    @parses
    def metadata_ranges(self, node: Node) -> list[tuple[int, int]]:
        """Return the place of the inode and of the blocks of its tree of extents."""
        inode = self._inode(node.number)
        places = [(self._super.inode_place(node.number), self._super.inode_size)]
        if inode.format == _TREE:
            places += [(place, self.block_size) for place, _ in self._tree(inode, node.number)]
        return places

    def _runs(self, inode: Inode, number: int) -> list[Run]:
        if inode.format == _EXTENTS:
            if inode.extents * 16 > len(inode.fork):
                raise FileSystemError(f"inode {number}: more extents than fit into it")
            return self._decoded(inode.fork, 0, inode.extents)
        if inode.format != _TREE:
            return []
        runs: list[Run] = []
        header = 72 if self._fits_five else 24
        for _, raw in self._tree(inode, number):
            level, count = struct.unpack_from(">HH", raw, 4)
            if level:
                continue
            if header + 16 * count > len(raw) or len(runs) + count > _MOST_EXTENTS:
                raise FileSystemError(f"inode {number}: a list of extents that does not fit together")
            runs += self._decoded(raw, header, count)
        return sorted(runs, key=lambda run: run.offset)

    def _decoded(self, raw: bytes, at: int, count: int) -> list[Run]:
        size = self.block_size
        runs = []
        for index in range(count):
            offset, block, blocks, unwritten = extent(raw, at + 16 * index)
            runs.append(Run(offset * size, self._super.block_place(block), blocks * size, unwritten))
        return runs

    def _tree(self, inode: Inode, number: int) -> Iterator[tuple[int, bytes]]:
        """Yield (place, bytes) of every block below the root of a tree of extents, from the left."""
        root = inode.fork
        if len(root) < 4:
            raise FileSystemError(f"inode {number}: no root of its tree of extents")
        count = struct.unpack_from(">H", root, 2)[0]
        start = 4 + (len(root) - 4) // 16 * 8
        yield from self._blocks(root, start, count, number, (b"BMA3", b"BMAP"))

    def _blocks(
        self, root: bytes, start: int, count: int, owner: int, magics: tuple[bytes, ...]
    ) -> Iterator[tuple[int, bytes]]:
        header = 72 if self._fits_five else 24
        if start + 8 * count > len(root):
            raise FileSystemError(f"inode {owner}: a tree that does not fit together")
        left = list(reversed(struct.unpack_from(f">{count}Q", root, start)))
        seen: set[int] = set()
        while left:
            number = left.pop()
            if number in seen or len(seen) > _MOST_TREE_BLOCKS:
                raise FileSystemError(f"inode {owner}: a tree that leads back to itself")
            seen.add(number)
            place = self._super.block_place(number)
            raw = self.pages.read(self.offset + place, self.block_size)
            if raw[:4] not in magics:
                raise FileSystemError(f"inode {owner}: a block of its tree of extents is not one")
            yield place, raw
            level, count = struct.unpack_from(">HH", raw, 4)
            if level:
                below = header + (self.block_size - header) // 16 * 8
                if below + 8 * count > len(raw):
                    raise FileSystemError(f"inode {owner}: a tree that does not fit together")
                left += reversed(struct.unpack_from(f">{count}Q", raw, below))

    @parses
    def free_ranges(self) -> list[tuple[int, int]]:
        """Return what the trees of free space by block number hold, group by group."""
        found: list[tuple[int, int]] = []
        for group in range(self._super.ag_count):
            start = group * self._super.ag_blocks
            for block, count in sorted(self._free_of_group(group)):
                if block + count > self._super.ag_blocks:
                    raise FileSystemError(f"allocation group {group}: free space behind its end")
                found.append(((start + block) * self.block_size, count * self.block_size))
        return found

    def fixed_metadata(self) -> list[tuple[int, int]]:
        """Return the four sectors at the head of every group, and the journal where it is inside."""
        known = self._super
        found = [(group * known.ag_blocks * known.block_size, 4 * known.sector_size) for group in range(known.ag_count)]
        if known.log_start:
            found.append((known.block_place(known.log_start), known.log_blocks * known.block_size))
        return sorted(found)

    def _free_of_group(self, group: int) -> Iterator[tuple[int, int]]:
        first = self.offset + group * self._super.ag_blocks * self.block_size
        head = self.pages.read(first + self._super.sector_size, 64)
        if head[:4] != b"XAGF":
            raise FileSystemError(f"allocation group {group}: its list of free space is not there")
        header = 56 if self._fits_five else 16
        left = [struct.unpack_from(">I", head, 16)[0]]
        seen: set[int] = set()
        while left:
            number = left.pop()
            if number in seen or number >= self._super.ag_blocks:
                raise FileSystemError(f"allocation group {group}: the tree of free space does not fit together")
            seen.add(number)
            raw = self.pages.read(first + number * self.block_size, self.block_size)
            level, count = struct.unpack_from(">HH", raw, 4)
            below = header + (self.block_size - header) // 12 * 8
            if raw[:4] not in (b"AB3B", b"ABTB") or (below + 4 * count if level else header + 8 * count) > len(raw):
                raise FileSystemError(f"allocation group {group}: the tree of free space does not fit together")
            if level:
                left += struct.unpack_from(f">{count}I", raw, below)
            else:
                numbers = struct.unpack_from(f">{2 * count}I", raw, header)
                yield from zip(numbers[::2], numbers[1::2], strict=True)


def _node(number: int, inode: Inode) -> Node:
    accessed, modified, changed, born = inode.times
    return Node(
        number, type_of_mode(inode.mode), inode.size, inode.mode, inode.uid, inode.gid, modified, accessed, changed,
        born, allocated=inode.mode != 0,
    )  # fmt: skip
