"""The walk over all names of a file system: what ``fls -r`` lists, one line of JSON for each.

The recursion is ours, not the library's: that one gives up the rest of a directory where a path is deeper than 128
folders or longer than 4096 bytes, and loses everything behind a crash. Names are taken from the directory's own
array and the metadata of each is loaded into one reused structure, as the library does it. The order of the lines is
the same in every run over the same bytes, so that a walk can be taken up again behind a crash.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted

from forensiq.analysis.body import NAME_LETTERS, SANITIZED, body_of_entry, mode_text
from forensiq.analysis.recovery import RecoveryJudge
from forensiq.analysis.times import rfc3339_json
from forensiq.analysis.tsk import NTFS_DATA, NTFS_FILE_NAME, NTFS_INDEX_ROOT, Stream, TskFileSystem
from forensiq.analysis.tsk_structs import META, META_TIMES_2, NAME, Directory, Metadata

__all__ = ["META_TYPES", "NAME_TYPES", "Progress", "Walk"]

META_TYPES = ("unknown", "file", "directory", "fifo", "character_device", "block_device", "symlink", "shadow", "socket",
              "whiteout", "virtual_file", "virtual_directory")  # fmt: skip
NAME_TYPES = ("unknown", "fifo", "character_device", "directory", "block_device", "file", "symlink", "socket", "shadow",
              "whiteout", "virtual_file", "virtual_directory")  # fmt: skip
_META_DIRECTORIES, _NAME_DIRECTORIES = (2, 11), (0, 3, 11)
_ALLOCATED, _UNALLOCATED = 1, 2
_LINK = 6
_DOTS = frozenset({b".", b".."})
_VIRTUAL_DIRECTORY = 11
_MOST_DEPTH = 20_000
_META_END = Metadata.time2.offset
_LINK_OFFSET = Metadata.link.offset

_MATCHING = {(1, 3), (2, 4), (3, 2), (4, 5), (5, 1), (6, 6), (7, 8), (8, 7), (9, 9), (10, 10), (11, 11)}
_NAME_TYPE = [
    "" if (kind, meta) in _MATCHING else f',"name_type":"{NAME_TYPES[kind]}"'
    for kind in range(len(NAME_TYPES))
    for meta in range(len(META_TYPES))
]
"""By name type × 12 + inode type: what is added to a line where the two do not say the same."""

_ADD_META = ctypes.PYFUNCTYPE(ctypes.c_uint8, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)


class Progress:
    """Where a walk is, in memory that the parent process can see: directory, entry in it (−1: opening it)."""

    def __init__(self, cells: memoryview) -> None:
        self.cells = cells
        """Signed 64-bit numbers: inode of the directory, index of the entry."""


class _Level:
    """A directory on the way from the root to where the walk is."""

    __slots__ = ("count", "directory", "exact", "index", "inode", "names", "orphan", "path", "pointer", "raw")

    def __init__(self, pointer: int, inode: int, path: str, exact: bytes | None, *, orphan: bool) -> None:
        self.pointer = pointer
        self.inode = inode
        self.path = path
        self.exact = exact
        """The bytes of the path, where they are not what ``path`` encodes to."""
        self.orphan = orphan
        self.directory = Directory.from_address(pointer)
        self.names: int = self.directory.names or 0
        self.count: int = self.directory.names_used if self.names else 0
        self.raw = ctypes.string_at(self.names, self.count * NAME.size) if self.count else b""
        self.index = 0


class Walk:
    """One walk over a file system. ``emit`` gets each line (without a line end); ``report`` gets (inode, path, why)
    of every directory that could not be read. ``skip`` names entries, as (directory inode, index), that killed an
    earlier worker: they are passed over (index −1: the directory is not opened). With ``body`` the lines are those of
    a body file, their paths beginning with it."""

    def __init__(
        self,
        fs: TskFileSystem,
        partition: int,
        partition_offset: int,
        emit: Callable[[str], None],
        report: Callable[[int, str, str], None],
        progress: Progress,
        skip: frozenset[tuple[int, int]] = frozenset(),
        *,
        recovery: bool = True,
        recurse: bool = True,
        orphans: bool = True,
        body: str | None = None,
    ) -> None:
        self._fs = fs
        self._lib = fs.lib
        self._plain = emit
        self._emit = emit if body is None else self._emit_body
        self._report = report
        self._progress = progress
        self._skip = skip
        self._recurse = recurse
        self._hunt = orphans
        self._body = body
        self._head = f'{{"partition":{partition},"partition_offset":{partition_offset},"path":'
        self._judge = RecoveryJudge(fs) if recovery else None
        self._add_meta = _ADD_META(fs.info.file_add_meta)
        pointer = self._lib.fs_file_alloc(fs.pointer)
        if not pointer:
            raise MemoryError("no memory for a file handle")
        self._file: int = pointer
        self._handle = memoryview((ctypes.c_uint64 * 4).from_address(pointer)).cast("B").cast("Q")
        self._orphans = fs.info.last_inum
        self._list = fs.pointer + type(fs.info).list_inum_named.offset
        self._named_recorded = bool(fs.info.list_inum_named)

    def run(self, start: int | None = None, path: str = "/", exact: bytes | None = None) -> None:
        """Walk from the root (or a directory's inode, whose path with a slash at the end is given) to the end."""
        fs, lib = self._fs, self._lib
        root = fs.info.root_inum if start is None else start
        if start is None and not self._named_recorded:
            # The library hunts orphans by asking which inodes had a name: it would walk everything once more to know.
            # Inode 0 is never a file; with it the list exists from now on, and the walk below fills it.
            lib.list_add(self._list, 0)
        cells = self._progress.cells
        stack: list[_Level] = []
        on_way: set[int] = set()
        self._enter(stack, on_way, root, path, exact, orphan=root == self._orphans)
        if not stack and start is None and self._recurse and self._hunt:
            # Without its root a file system still has inodes; the library finds those that no name leads to.
            self._emit(
                self._without_metadata("/$OrphanFiles", None, self._orphans, _VIRTUAL_DIRECTORY, 1, orphan=False)
            )
            self._enter(stack, on_way, self._orphans, "/$OrphanFiles/", None, orphan=True)
        while stack:
            level = stack[-1]
            if level.index >= level.count:
                lib.fs_dir_close(level.pointer)
                on_way.discard(level.inode)
                stack.pop()
                continue
            cells[0] = level.inode
            self._entries(level, stack, on_way, cells)
        self._drop_meta()
        self._handle[1] = 0
        lib.fs_file_close(self._file)

    def _emit_body(self, text: str) -> None:
        for line in body_of_entry(json.loads(text), self._body or ""):
            self._plain(line)

    def _enter(
        self, stack: list[_Level], on_way: set[int], inode: int, path: str, exact: bytes | None, *, orphan: bool
    ) -> None:
        cells = self._progress.cells
        cells[0], cells[1] = inode, -1
        if (inode, -1) in self._skip:
            self._report(inode, path, "the library crashed or hung on this directory: it was passed over")
            return
        if len(stack) >= _MOST_DEPTH:
            self._report(inode, path, f"deeper than {_MOST_DEPTH} folders: not entered")
            return
        pointer = self._lib.fs_dir_open_meta(self._fs.pointer, inode)
        if not pointer:
            self._report(inode, path, self._lib.take_error())
            return
        stack.append(_Level(pointer, inode, path, exact, orphan=orphan))
        on_way.add(inode)

    def _drop_meta(self) -> None:
        if self._handle[2]:
            self._lib.fs_meta_close(self._handle[2])
            self._handle[2] = 0

    def _entries(self, level: _Level, stack: list[_Level], on_way: set[int], cells: memoryview) -> None:
        """Emit the entries of a directory until one is a directory to go into, or the end."""
        fs, handle, skip = self._fs, self._handle, self._skip
        add_meta, fs_pointer, file, orphans = self._add_meta, fs.pointer, self._file, self._orphans
        string_at, unpack = ctypes.string_at, META.unpack_from
        seen, view = 0, memoryview(b"")
        plain, body, special = self._plain, self._body, level.orphan or fs.is_ntfs
        is_ntfs, emit, head, prefix, times = fs.is_ntfs, self._emit, self._head, level.path, rfc3339_json
        start = level.index
        for index, (_, name_at, address, _, kind, flags) in enumerate(
            NAME.iter_unpack(memoryview(level.raw)[start * NAME.size :]), start
        ):
            cells[1] = index
            name = string_at(name_at) if name_at else b""
            if name in _DOTS and not is_ntfs:
                continue
            if skip and (level.inode, index) in skip:
                self._report(address, prefix + name.decode("utf-8", "replace"), "the library crashed or hung on it")
                continue
            handle[1] = level.names + index * NAME.size
            if address or flags & _ALLOCATED:
                if add_meta(fs_pointer, file, address):
                    self._drop_meta()
            elif handle[2]:
                self._drop_meta()
            meta = handle[2]
            exact = level.exact
            try:
                path = prefix + name.decode()
                if exact is not None:
                    exact += name
            except UnicodeDecodeError:
                path = prefix + name.decode("utf-8", "replace")
                exact = (prefix.encode() if exact is None else exact) + name
            if not meta:
                emit(self._without_metadata(path, exact, address, kind, flags, orphan=level.orphan))
                continue
            if meta != seen:
                # The library reuses the structure for the next entry: one view serves a whole folder.
                seen, view = meta, memoryview((ctypes.c_char * META.size).from_address(meta))
            _, meta_flags, _, meta_type, mode, _, length, uid, gid, m, mn, a, an, c, cn, b, bn = unpack(view)
            if (
                flags != _ALLOCATED
                or meta_flags & _UNALLOCATED
                or exact is not None
                or special
                or meta_type == _LINK
                or not (0 <= kind < 12 and 0 <= meta_type < 12)
            ):
                self._remarkable(level, path, exact, name, address, kind, flags, meta)
                if meta_flags & _UNALLOCATED:
                    self._lib.list_add(self._list, address)
            elif body is None:
                modified = times(m, mn)
                accessed = modified if a == m and an == mn else times(a, an)
                changed = modified if c == m and cn == mn else times(c, cn)
                emit(
                    f'{head}{quoted(path)},"inode":{address},"type":"{META_TYPES[meta_type]}","size":{length},'
                    f'"allocated":true,"mtime":{modified},"atime":{accessed},"ctime":{changed},'
                    f'"crtime":{times(b, bn)},"mode":"{mode & 0o7777:04o}","uid":{uid},"gid":{gid},"stream":null'
                    f"{_NAME_TYPE[kind * 12 + meta_type]}}}"
                )
            else:
                plain(
                    f"0|{body}{path[1:].translate(SANITIZED)}|{address}|{_letters(kind, meta_type, mode & 0o7777)}|"
                    f"{uid}|{gid}|{length}|{a}|{m}|{c}|{b}"
                )
            if (
                self._recurse
                and meta_type in _META_DIRECTORIES
                and kind in _NAME_DIRECTORIES
                and (flags & _ALLOCATED or meta_flags & _UNALLOCATED)
                and name not in _DOTS
                and (self._hunt or address != orphans)
            ):
                if address in on_way:
                    self._report(address, path, "a folder that contains itself: not entered again")
                    continue
                level.index = index + 1
                below = exact + b"/" if exact is not None else None
                self._enter(stack, on_way, address, path + "/", below, orphan=level.orphan or address == orphans)
                return
        level.index = level.count

    def _without_metadata(
        self, path: str, exact: bytes | None, address: int, kind: int, flags: int, *, orphan: bool
    ) -> str:
        type_name = NAME_TYPES[kind] if 0 <= kind < len(NAME_TYPES) else "unknown"
        allocated = "true" if flags & _ALLOCATED else "false"
        recovery = "" if flags & _ALLOCATED else ',"recovery":"name_only"'
        return (
            f'{self._head}{quoted(path)},"inode":{address},"type":"{type_name}","size":null,"allocated":{allocated},'
            f'"mtime":null,"atime":null,"ctime":null,"crtime":null,"mode":null,"uid":null,"gid":null,"stream":null'
            f"{_path_hex(exact)}{_ORPHAN if orphan else ''}{recovery}}}"
        )

    def _remarkable(
        self,
        level: _Level,
        path: str,
        exact: bytes | None,
        name: bytes,
        address: int,
        kind: int,
        flags: int,
        meta: int,
    ) -> None:
        """Emit an entry that is deleted, an orphan, a link, has streams, or a name that is not UTF-8."""
        _, meta_flags, _, meta_type, mode, _, length, uid, gid, m, mn, a, an, c, cn, b, bn = META.unpack(
            ctypes.string_at(meta, META.size)
        )
        allocated = bool(flags & _ALLOCATED)
        shown = META_TYPES[meta_type] if 0 <= meta_type < len(META_TYPES) else "unknown"
        if not allocated and meta_flags & _ALLOCATED and 0 <= kind < len(NAME_TYPES):
            shown = NAME_TYPES[kind]
        times = f'"mtime":{rfc3339_json(m, mn)},"atime":{rfc3339_json(a, an)},"ctime":{rfc3339_json(c, cn)},"crtime":'
        times += f'{rfc3339_json(b, bn)},"mode":"{mode & 0o7777:04o}","uid":{uid},"gid":{gid},"stream":'
        link = Metadata.from_address(meta).link if meta_type == _LINK else None
        target = f',"link_target":{quoted(ctypes.string_at(link).decode("utf-8", "replace"))}' if link else ""
        name_type = NAME_TYPES[kind] if 0 <= kind < len(NAME_TYPES) else "unknown"
        meta_name = META_TYPES[meta_type] if 0 <= meta_type < len(META_TYPES) else "unknown"
        tail = "" if name_type == meta_name else f',"name_type":"{name_type}","inode_type":"{meta_name}"'
        tail += _path_hex(exact) + (_ORPHAN if level.orphan else "") + target
        tail += f',"metadata_allocated":{"true" if meta_flags & _ALLOCATED else "false"}'
        rows, own_times = self._rows(name, meta, meta_type)
        for stream in rows:
            size = length if stream is None else stream.size
            attribute = "" if stream is None or not self._fs.is_ntfs else f',"attribute":"{stream.attribute}"'
            recovery = ""
            if self._judge is not None and (not allocated or meta_flags & _UNALLOCATED):
                verdict = self._judge.of(self._file, stream, meta_flags, length)
                recovery = f',"recovery":"{verdict.value}"'
            self._emit(
                f'{self._head}{quoted(path)},"inode":{address},"type":"{shown}","size":{size},'
                f'"allocated":{"true" if allocated else "false"},{times}{_stream_name(stream)}{attribute}{tail}'
                f"{own_times}{recovery}}}"
            )
            own_times = ""

    def _rows(self, name: bytes, meta: int, meta_type: int) -> tuple[list[Stream | None], str]:
        """The streams that get a line each, as ``fls`` has it, and the times of NTFS's $FILE_NAME as JSON."""
        if not self._fs.is_ntfs:
            return [None], ""
        dot = name in (b".", b"..")
        rows: list[Stream | None] = []
        printed = False
        times = ""
        for stream in self._fs.streams(self._file):
            if stream.type == NTFS_DATA:
                printed = True
                if not (meta_type == 2 and name == b".."):
                    rows.append(stream)
            elif stream.type == NTFS_INDEX_ROOT:
                printed = True
                if not dot:
                    rows.append(stream)
            elif stream.type == NTFS_FILE_NAME and not times and not dot:
                times = _file_name_times(meta, stream)
        if not printed and not dot:
            rows.append(None)
        return rows, times


@lru_cache(maxsize=4096)
def _letters(kind: int, meta_type: int, mode: int) -> str:
    return f"{NAME_LETTERS[NAME_TYPES[kind]]}/{mode_text(NAME_LETTERS[META_TYPES[meta_type]], mode)}"


_ORPHAN = ',"orphan":true'


def _path_hex(exact: bytes | None) -> str:
    return "" if exact is None else f',"path_hex":"{exact.hex()}"'


def _stream_name(stream: Stream | None) -> str:
    if stream is None or stream.name is None or (stream.type == NTFS_INDEX_ROOT and stream.name == b"$I30"):
        return "null"
    return quoted(stream.name.decode("utf-8", "replace"))


def _file_name_times(meta: int, stream: Stream) -> str:
    raw = ctypes.string_at(meta + _META_END, META_TIMES_2.size)
    b, bn, m, mn, a, an, c, cn, number = META_TIMES_2.unpack(raw)
    if number != stream.id:
        return ""
    return (
        f',"file_name_times":{{"attribute":"{stream.attribute}","size":{stream.size},"mtime":{rfc3339_json(m, mn)},'
        f'"atime":{rfc3339_json(a, an)},"ctime":{rfc3339_json(c, cn)},"crtime":{rfc3339_json(b, bn)}}}'
    )
