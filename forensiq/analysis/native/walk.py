"""The walk over a file system of ours: the same lines, order and promises as :mod:`forensiq.analysis.walk`."""

from __future__ import annotations

from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted

from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.folder_paths import FolderPaths
from forensiq.analysis.native.base import Name, NativeFileSystem, Node
from forensiq.analysis.times import rfc3339_json

__all__ = ["NativeWalk"]

_MOST_DEPTH = 20_000
_LONGEST_PATH = 65_536


class _Level:
    """A directory on the way from the root to where the walk is."""

    __slots__ = ("exact", "index", "names", "node", "path")

    def __init__(self, node: Node, names: list[Name], path: str, exact: bytes | None) -> None:
        self.node = node
        self.names = names
        self.path = path
        self.exact = exact
        self.index = 0


class NativeWalk:
    """One walk; arguments as those of :class:`forensiq.analysis.walk.Walk`, with ``cells`` for its progress."""

    def __init__(
        self,
        fs: NativeFileSystem,
        partition: int,
        partition_offset: int,
        emit: Callable[[str], None],
        report: Callable[[int, str, str], None],
        cells: memoryview,
        skip: frozenset[tuple[int, int]] = frozenset(),
        *,
        recurse: bool = True,
    ) -> None:
        self._fs = fs
        self._emit = emit
        self._report = report
        self._cells = cells
        self._skip = skip
        self._recurse = recurse
        self._head = f'{{"partition":{partition},"partition_offset":{partition_offset},"path":'
        self._paths = FolderPaths()

    def run(self, start: int | None = None, path: str = "/", exact: bytes | None = None) -> None:
        """Walk from the root (or a directory's inode, whose path with a slash at the end is given) to the end."""
        stack: list[_Level] = []
        on_way: set[int] = set()
        self._enter(stack, on_way, self._fs.root if start is None else start, path, exact)
        while stack:
            level = stack[-1]
            if level.index >= len(level.names):
                on_way.discard(level.node.number)
                stack.pop()
                continue
            index = level.index
            level.index += 1
            self._cells[0], self._cells[1] = level.node.number, index
            if (level.node.number, index) not in self._skip:
                self._entry(level, level.names[index], stack, on_way)

    def _enter(self, stack: list[_Level], on_way: set[int], inode: int, path: str, exact: bytes | None) -> None:
        self._cells[0], self._cells[1] = inode, -1
        if (inode, -1) in self._skip:
            self._report(inode, path, "the reader failed on this directory: it was passed over")
            return
        if len(path) > _LONGEST_PATH:
            self._report(inode, path[:1000], f"its path is longer than {_LONGEST_PATH} characters: not entered")
            return
        if len(stack) >= _MOST_DEPTH:
            self._report(inode, path, f"deeper than {_MOST_DEPTH} folders: not entered")
            return
        if inode in on_way:
            self._report(inode, path, "a folder that contains itself: not entered again")
            return
        if why := self._paths.refusal(inode):
            self._report(inode, path, why)
            return
        try:
            node = self._fs.node(inode)
            if node.type != "directory":
                raise FileSystemError(f"inode {inode} is no directory")
            names = self._fs.names(node)
        except FileSystemError as error:
            self._report(inode, path, error.message)
            return
        on_way.add(inode)
        stack.append(_Level(node, names, path, exact))

    def _entry(self, level: _Level, entry: Name, stack: list[_Level], on_way: set[int]) -> None:
        exact = level.exact
        try:
            path = level.path + entry.name.decode()
            if exact is not None:
                exact += entry.name
        except UnicodeDecodeError:
            path = level.path + entry.name.decode("utf-8", "replace")
            exact = (level.path.encode() if exact is None else exact) + entry.name
        node = None
        if entry.allocated:
            try:
                node = self._fs.node(entry.inode)
            except FileSystemError as error:
                self._report(entry.inode, path, error.message)
        self._emit(self._without_metadata(path, exact, entry) if node is None else self._line(path, exact, entry, node))
        if node is not None and node.allocated and node.type == "directory" and self._recurse:
            below = None if exact is None else exact + b"/"
            self._enter(stack, on_way, node.number, path + "/", below)

    def _line(self, path: str, exact: bytes | None, entry: Name, node: Node) -> str:
        (m, mn), (a, an), (c, cn) = node.mtime, node.atime, node.ctime
        born = "null" if node.crtime is None else rfc3339_json(*node.crtime)
        tail = "" if exact is None else f',"path_hex":"{exact.hex()}"'
        if entry.kind not in (None, node.type):
            tail += f',"name_type":"{entry.kind}","inode_type":"{node.type}"'
        if node.type == "symlink":
            tail += self._target(path, node)
        if not node.allocated:
            tail += ',"metadata_allocated":false'
        return (
            f'{self._head}{quoted(path)},"inode":{node.number},"type":"{node.type}","size":{node.size},'
            f'"allocated":true,"mtime":{rfc3339_json(m, mn)},"atime":{rfc3339_json(a, an)},'
            f'"ctime":{rfc3339_json(c, cn)},"crtime":{born},"mode":"{node.mode & 0o7777:04o}","uid":{node.uid},'
            f'"gid":{node.gid},"stream":null{tail}}}'
        )

    def _target(self, path: str, node: Node) -> str:
        try:
            target = self._fs.link_target(node)
        except FileSystemError as error:
            self._report(node.number, path, error.message)
            return ""
        return f',"link_target":{quoted(target.decode("utf-8", "replace"))}'

    def _without_metadata(self, path: str, exact: bytes | None, entry: Name) -> str:
        allocated = "true" if entry.allocated else "false"
        recovery = "" if entry.allocated else ',"recovery":"name_only"'
        shown = "" if exact is None else f',"path_hex":"{exact.hex()}"'
        return (
            f'{self._head}{quoted(path)},"inode":{entry.inode},"type":"{entry.kind or "unknown"}","size":null,'
            f'"allocated":{allocated},"mtime":null,"atime":null,"ctime":null,"crtime":null,"mode":null,"uid":null,'
            f'"gid":null,"stream":null{shown}{recovery}}}'
        )
