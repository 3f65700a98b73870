"""Any entry of a file system of The Sleuth Kit as JSON: deleted, orphan, a link, with streams, with any name."""

from __future__ import annotations

import ctypes
from json.encoder import encode_basestring_ascii as quoted

from forensiq.analysis.recovery import RecoveryJudge
from forensiq.analysis.rendering import META_TYPES, NAME_TYPES, file_name_times_json, name_type
from forensiq.analysis.slots import FileSlots, Meta
from forensiq.analysis.times import rfc3339_json
from forensiq.analysis.tsk import NTFS_DATA, NTFS_FILE_NAME, NTFS_INDEX_ROOT, Stream, TskFileSystem
from forensiq.analysis.tsk_structs import META_TIMES_2, Metadata

__all__ = ["EntryJson"]

_ALLOCATED, _UNALLOCATED = 1, 2
_LINK = 6
_TIMES_2 = Metadata.time2.offset


class EntryJson:
    """Makes the lines of ``ls --json`` one by one; with ``recovery`` it judges what is left of deleted files."""

    def __init__(
        self, fs: TskFileSystem, slots: FileSlots, partition: int, partition_offset: int, *, recovery: bool
    ) -> None:
        self._fs = fs
        self._slots = slots
        self._head = f'{{"partition":{partition},"partition_offset":{partition_offset},"path":'
        self._judge = RecoveryJudge(fs) if recovery else None

    def without_metadata(
        self, path: str, exact: bytes | None, address: int, kind: int, flags: int, *, orphan: bool
    ) -> str:
        """Return the object of an entry of which only the name is known."""
        type_name = NAME_TYPES[kind] if 0 <= kind < len(NAME_TYPES) else "unknown"
        allocated = "true" if flags & _ALLOCATED else "false"
        recovery = "" if flags & _ALLOCATED else ',"recovery":"name_only"'
        return (
            f'{self._head}{quoted(path)},"inode":{address},"type":"{type_name}","size":null,"allocated":{allocated},'
            f'"mtime":null,"atime":null,"ctime":null,"crtime":null,"mode":null,"uid":null,"gid":null,"stream":null'
            f"{_path_hex(exact)}{_ORPHAN if orphan else ''}{recovery}}}"
        )

    def of(
        self,
        path: str,
        exact: bytes | None,
        name: bytes,
        address: int,
        kind: int,
        flags: int,
        meta: Meta,
        slot: int,
        *,
        orphan: bool,
    ) -> list[str]:
        """Return the objects of an entry whose metadata is in a slot: one, or on NTFS one for each stream."""
        _, meta_flags, _, meta_type, mode, _, length, uid, gid, m, mn, a, an, c, cn, b, bn = meta
        allocated = bool(flags & _ALLOCATED)
        lines: list[str] = []
        shown = META_TYPES[meta_type] if 0 <= meta_type < len(META_TYPES) else "unknown"
        if not allocated and meta_flags & _ALLOCATED and 0 <= kind < len(NAME_TYPES):
            shown = NAME_TYPES[kind]
        times = f'"mtime":{rfc3339_json(m, mn)},"atime":{rfc3339_json(a, an)},"ctime":{rfc3339_json(c, cn)},"crtime":'
        times += f'{rfc3339_json(b, bn)},"mode":"{mode & 0o7777:04o}","uid":{uid},"gid":{gid},"stream":'
        link = self._slots.metadata(slot).link if meta_type == _LINK else None
        target = f',"link_target":{quoted(ctypes.string_at(link).decode("utf-8", "replace"))}' if link else ""
        tail = name_type(kind, meta_type) + _path_hex(exact) + (_ORPHAN if orphan else "") + target
        if self._fs.is_ntfs or not allocated or not meta_flags & _ALLOCATED:
            tail += f',"metadata_allocated":{"true" if meta_flags & _ALLOCATED else "false"}'
        file = self._slots.files[slot]
        rows, own_times = self._rows(name, slot, meta_type)
        for stream in rows:
            size = length if stream is None else stream.size
            attribute = "" if stream is None or not self._fs.is_ntfs else f',"attribute":"{stream.attribute}"'
            recovery = ""
            if self._judge is not None and (not allocated or meta_flags & _UNALLOCATED):
                verdict = self._judge.of(file, stream, meta_flags, length)
                recovery = f',"recovery":"{verdict.value}"'
            lines.append(
                f'{self._head}{quoted(path)},"inode":{address},"type":"{shown}","size":{size},'
                f'"allocated":{"true" if allocated else "false"},{times}{_stream_name(stream)}{attribute}{tail}'
                f"{own_times}{recovery}}}"
            )
            own_times = ""
        return lines

    def _rows(self, name: bytes, slot: int, meta_type: int) -> tuple[list[Stream | None], str]:
        """The streams that get a line each, as ``fls`` has it, and the times of NTFS's $FILE_NAME as JSON."""
        if not self._fs.is_ntfs:
            return [None], ""
        dot = name in (b".", b"..")
        rows: list[Stream | None] = []
        printed = False
        times = ""
        for stream in self._fs.streams(self._slots.files[slot]):
            if stream.type == NTFS_DATA:
                printed = True
                if not (meta_type == 2 and name == b".."):
                    rows.append(stream)
            elif stream.type == NTFS_INDEX_ROOT:
                printed = True
                if not dot:
                    rows.append(stream)
            elif stream.type == NTFS_FILE_NAME and not times and not dot:
                times = _file_name_times(ctypes.addressof(self._slots.metadata(slot)), stream)
        if not printed and not dot:
            rows.append(None)
        return rows, times


_ORPHAN = ',"orphan":true'


def _path_hex(exact: bytes | None) -> str:
    return "" if exact is None else f',"path_hex":"{exact.hex()}"'


def _stream_name(stream: Stream | None) -> str:
    if stream is None or stream.name is None or (stream.type == NTFS_INDEX_ROOT and stream.name == b"$I30"):
        return "null"
    return quoted(stream.name.decode("utf-8", "replace"))


def _file_name_times(meta: int, stream: Stream) -> str:
    *times, number = META_TIMES_2.unpack(ctypes.string_at(meta + _TIMES_2, META_TIMES_2.size))
    return file_name_times_json((stream.attribute, stream.size, tuple(times))) if number == stream.id else ""
