"""The forms in which a walk gives its entries: JSON, rows for a terminal, a body file, events of a time line.

Most entries of a file system are plain: allocated, with an inode, a name that is printable text. Their lines are made
here from the numbers of the library, in the worker, so that nobody has to parse them again. Everything else is made as
JSON, and each form says what becomes of that (:meth:`Rendering.converted`): a row for a terminal stays JSON until the
renderer makes its name harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Protocol

from forensiq.analysis.body import NAME_LETTERS, SANITIZED, body_of_json, mode_text
from forensiq.analysis.times import rfc3339_json
from forensiq.model.listing_text import SIGNS, listing_row

if TYPE_CHECKING:
    # At run time this would bring the C library into the process that must not have it.
    from forensiq.analysis.slots import Meta

__all__ = ["META_TYPES", "NAME_TYPES", "BodyLines", "FileNameTimes", "JsonLines", "NtfsFile", "PlainStream",
           "Rendering", "Rows", "Texts", "as_it_is", "file_name_times_json", "name_type"]  # fmt: skip

META_TYPES = ("unknown", "file", "directory", "fifo", "character_device", "block_device", "symlink", "shadow", "socket",
              "whiteout", "virtual_file", "virtual_directory")  # fmt: skip
NAME_TYPES = ("unknown", "fifo", "character_device", "directory", "block_device", "file", "symlink", "socket", "shadow",
              "whiteout", "virtual_file", "virtual_directory")  # fmt: skip

PlainStream = tuple[str, str | None, int]
"""A stream of an NTFS file: attribute (``type-id``), name (``None``: unnamed), size in bytes."""

FileNameTimes = tuple[str, int, tuple[int, ...]]
"""$FILE_NAME: attribute, its size, and crtime, mtime, atime, ctime, each with nanoseconds."""

NtfsFile = tuple[list[PlainStream], FileNameTimes | None]

Texts = list[str | None]
"""For each entry its lines, with line feeds between them; ``None``: this form needs it as JSON."""


class Rendering(Protocol):
    """One form. It is asked for whole batches: a call for each entry would cost as much as the entry."""

    def enter(self, path: str) -> None:
        """From now on names are those of this directory; its path ends with a slash."""

    def plain(
        self, names: Sequence[str], addresses: Sequence[int], kinds: Sequence[int], metas: Sequence[Meta]
    ) -> Texts:
        """Make the lines of entries without streams of their own. Types are in range; names are not looked at yet."""

    def streams(
        self,
        names: Sequence[str],
        addresses: Sequence[int],
        kinds: Sequence[int],
        metas: Sequence[Meta],
        files: Sequence[NtfsFile | None],
    ) -> Texts:
        """Make the lines of entries of NTFS: one for each stream. Those without ``files`` are not wanted."""

    def converted(self, text: str) -> Sequence[str]:
        """Return the lines of any entry from its JSON."""


class JsonLines:
    """JSON, one object a line: keys as ``ls --json``."""

    def __init__(self, partition: int, partition_offset: int) -> None:
        self._head = f'{{"partition":{partition},"partition_offset":{partition_offset},"path":'
        self._path = ""

    def enter(self, path: str) -> None:
        self._path = self._head + quoted(path)[:-1]

    def plain(
        self, names: Sequence[str], addresses: Sequence[int], kinds: Sequence[int], metas: Sequence[Meta]
    ) -> Texts:
        path, stamp = self._path, rfc3339_json
        made: Texts = []
        for name, address, kind, (_, _, _, type_, mode, _, length, uid, gid, m, mn, a, an, c, cn, b, bn) in zip(
            names, addresses, kinds, metas, strict=True
        ):
            modified = stamp(m, mn)
            accessed = modified if a == m and an == mn else stamp(a, an)
            changed = modified if c == m and cn == mn else stamp(c, cn)
            born = changed if b == c and bn == cn else stamp(b, bn)
            made.append(
                f'{path}{quoted(name)[1:]},"inode":{address},"type":"{META_TYPES[type_]}","size":{length},'
                f'"allocated":true,"mtime":{modified},"atime":{accessed},"ctime":{changed},"crtime":{born},'
                f'"mode":"{_OCTAL[mode & 0o7777]}","uid":{uid},"gid":{gid},"stream":null{_NAME_TYPE[kind][type_]}}}'
            )
        return made

    def streams(
        self,
        names: Sequence[str],
        addresses: Sequence[int],
        kinds: Sequence[int],
        metas: Sequence[Meta],
        files: Sequence[NtfsFile | None],
    ) -> Texts:
        path, stamp = self._path, rfc3339_json
        made: Texts = []
        for name, address, kind, meta, file in zip(names, addresses, kinds, metas, files, strict=True):
            if file is None:
                made.append(None)
                continue
            _, _, _, type_, mode, _, _, uid, gid, m, mn, a, an, c, cn, b, bn = meta
            modified = stamp(m, mn)
            accessed = modified if a == m and an == mn else stamp(a, an)
            changed = modified if c == m and cn == mn else stamp(c, cn)
            born = changed if b == c and bn == cn else stamp(b, bn)
            streams, times = file
            head = f'{path}{quoted(name)[1:]},"inode":{address},"type":"{META_TYPES[type_]}","size":'
            middle = (
                f',"allocated":true,"mtime":{modified},"atime":{accessed},"ctime":{changed},"crtime":{born},'
                f'"mode":"{_OCTAL[mode & 0o7777]}","uid":{uid},"gid":{gid},"stream":'
            )
            tail = f'{_NAME_TYPE[kind][type_]},"metadata_allocated":true'
            own = "" if times is None else file_name_times_json(times)
            attribute, stream, size = streams[0]
            shown = "null" if stream is None else quoted(stream)
            text = f'{head}{size}{middle}{shown},"attribute":"{attribute}"{tail}{own}}}'
            for attribute, stream, size in streams[1:]:
                shown = "null" if stream is None else quoted(stream)
                text += f'\n{head}{size}{middle}{shown},"attribute":"{attribute}"{tail}}}'
            made.append(text)
        return made

    def converted(self, text: str) -> Sequence[str]:
        return (text,)


class BodyLines:
    """A body file, its paths beginning with a prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._path = ""

    def enter(self, path: str) -> None:
        self._path = f"0|{self._prefix}{path[1:].translate(SANITIZED)}"

    def plain(
        self, names: Sequence[str], addresses: Sequence[int], kinds: Sequence[int], metas: Sequence[Meta]
    ) -> Texts:
        path = self._path
        return [
            f"{path}{name if name.isprintable() else name.translate(SANITIZED)}|{address}|"
            f"{_letters(kind, type_, mode & 0o7777)}|{uid}|{gid}|{length}|{a}|{m}|{c}|{b}"
            for name, address, kind, (_, _, _, type_, mode, _, length, uid, gid, m, _, a, _, c, _, b, _) in zip(
                names, addresses, kinds, metas, strict=True
            )
        ]

    def streams(
        self,
        names: Sequence[str],
        addresses: Sequence[int],
        kinds: Sequence[int],
        metas: Sequence[Meta],
        files: Sequence[NtfsFile | None],
    ) -> Texts:
        made: Texts = []
        for name, address, kind, meta, file in zip(names, addresses, kinds, metas, files, strict=True):
            if file is None:
                made.append(None)
                continue
            _, _, _, type_, mode, _, _, uid, gid, m, _, a, _, c, _, b, _ = meta
            path = self._path + (name if name.isprintable() else name.translate(SANITIZED))
            middle = f"|{_letters(kind, type_, mode & 0o7777)}|{uid}|{gid}|"
            streams, times = file
            lines: list[str] = []
            for attribute, stream, size in streams:
                named = path if stream is None else f"{path}:{stream.translate(SANITIZED)}"
                lines.append(f"{named}|{address}-{attribute}{middle}{size}|{a}|{m}|{c}|{b}")
                if times is not None:
                    number, length, (fb, _, fm, _, fa, _, fc, _) = times
                    lines.append(f"{path} ($FILE_NAME)|{address}-{number}{middle}{length}|{fa}|{fm}|{fc}|{fb}")
                    times = None
            made.append("\n".join(lines))
        return made

    def converted(self, text: str) -> Sequence[str]:
        return body_of_json(text, self._prefix)


class Rows:
    """Rows for a terminal; what is not printable as it is stays JSON."""

    def __init__(self) -> None:
        self._path = ""
        self._printable = True

    def enter(self, path: str) -> None:
        self._path = path
        self._printable = as_it_is(path)

    def plain(
        self, names: Sequence[str], addresses: Sequence[int], kinds: Sequence[int], metas: Sequence[Meta]
    ) -> Texts:
        if not self._printable:
            return [None] * len(names)
        path = self._path
        return [
            listing_row(_SIGN[meta[3]], f"{meta[6]:,}", _minute(meta[9]), path + name) if as_it_is(name) else None
            for name, meta in zip(names, metas, strict=True)
        ]

    def streams(
        self,
        names: Sequence[str],
        addresses: Sequence[int],
        kinds: Sequence[int],
        metas: Sequence[Meta],
        files: Sequence[NtfsFile | None],
    ) -> Texts:
        made: Texts = []
        for name, meta, file in zip(names, metas, files, strict=True):
            if file is None or not self._printable or not as_it_is(name):
                made.append(None)
                continue
            streams = file[0]
            if any(stream is not None and not as_it_is(stream) for _, stream, _ in streams):
                made.append(None)
                continue
            when, sign, path = _minute(meta[9]), _SIGN[meta[3]], self._path + name
            made.append(
                "\n".join(
                    listing_row(sign, f"{size:,}", when, path if stream is None else f"{path}:{stream}")
                    for _, stream, size in streams
                )
            )
        return made

    def converted(self, text: str) -> Sequence[str]:
        return (text,)


def _minute(seconds: int) -> str:
    text = rfc3339_json(seconds, 0)
    return "" if text == "null" else f"{text[1:11]} {text[12:17]}"


def as_it_is(name: str) -> bool:
    """Whether a terminal shows a name as it is: nothing in it would have to be escaped."""
    return name.isprintable() and "\\" not in name


def file_name_times_json(times: FileNameTimes) -> str:
    """Return the times of $FILE_NAME as a member of an entry's JSON, a comma before it."""
    attribute, size, (b, bn, m, mn, a, an, c, cn) = times
    return (
        f',"file_name_times":{{"attribute":"{attribute}","size":{size},"mtime":{rfc3339_json(m, mn)},'
        f'"atime":{rfc3339_json(a, an)},"ctime":{rfc3339_json(c, cn)},"crtime":{rfc3339_json(b, bn)}}}'
    )


def name_type(kind: int, meta_type: int) -> str:
    """Return what is added to JSON where the directory and the inode do not say the same of a type."""
    said = NAME_TYPES[kind] if 0 <= kind < len(NAME_TYPES) else "unknown"
    found = META_TYPES[meta_type] if 0 <= meta_type < len(META_TYPES) else "unknown"
    return "" if said == found else f',"name_type":"{said}","inode_type":"{found}"'


_NAME_TYPE = [[name_type(kind, found) for found in range(len(META_TYPES))] for kind in range(len(NAME_TYPES))]
_SIGN = [SIGNS.get(found, "?") for found in META_TYPES]
_OCTAL = [f"{mode:04o}" for mode in range(0o10000)]


@lru_cache(maxsize=4096)
def _letters(kind: int, meta_type: int, mode: int) -> str:
    return f"{NAME_LETTERS[NAME_TYPES[kind]]}/{mode_text(NAME_LETTERS[META_TYPES[meta_type]], mode)}"
