"""Events of a time line: a row for each moment at which something happened to a stream, with a key to sort it by.

A row begins with 29 characters of key (``2026-01-31T23:59:59.123456789``); the rest is the row as it is shown. Where a
row cannot be made of plain text (a name would have to be escaped), the rest is the JSON of the event in every form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from forensiq.analysis.rendering import META_TYPES, FileNameTimes, JsonLines, NtfsFile, Texts, as_it_is
from forensiq.analysis.times import rfc3339_json, sortable

if TYPE_CHECKING:
    # At run time this would bring the C library into the process that must not have it.
    from forensiq.analysis.slots import Meta

__all__ = ["COLUMNS", "KEY", "EventForm", "EventLines", "events_of_batch", "events_of_json"]

COLUMNS = ("time", "activity", "partition", "path", "stream", "inode", "size", "type", "mode", "uid", "gid",
           "allocated", "recovery", "source")  # fmt: skip
"""Of CSV."""
KEY = 29
"""Length of the key."""

_ACTIVITIES = tuple(
    "".join(letter if mask & bit else "." for letter, bit in zip("macb", (8, 4, 2, 1), strict=True))
    for mask in range(16)
)
_TIMES = re.compile(r'"mtime":(null|"[^"]*"),"atime":(null|"[^"]*"),"ctime":(null|"[^"]*"),"crtime":(null|"[^"]*")')
"""The times of an entry, and behind them those of its $FILE_NAME. Quotes inside names are escaped, so nothing that a
name holds can look like this."""
_IN_CSV = frozenset(',"')


class EventForm(StrEnum):
    """How a row looks."""

    TEXT = "text"
    CSV = "csv"
    JSON = "jsonl"


def _moments(m: str, a: str, c: str, b: str) -> list[tuple[str, str]]:
    """Return (time, activity) for each different time; the arguments and the times are JSON."""
    masks = {m: 8}
    masks[a] = masks.get(a, 0) | 4
    masks[c] = masks.get(c, 0) | 2
    masks[b] = masks.get(b, 0) | 1
    return [(text, _ACTIVITIES[mask]) for text, mask in masks.items() if text != "null"]


def _moments_of(m: int, mn: int, a: int, an: int, c: int, cn: int, b: int, bn: int) -> list[tuple[str, str]]:
    modified = rfc3339_json(m, mn)
    accessed = modified if a == m and an == mn else rfc3339_json(a, an)
    changed = modified if c == m and cn == mn else rfc3339_json(c, cn)
    return _moments(modified, accessed, changed, changed if b == c and bn == cn else rfc3339_json(b, bn))


def events_of_json(text: str) -> list[str]:
    """Return the events of an entry (a line of ``ls --json``), as keys and JSON."""
    rows: list[str] = []
    for source, match in zip(("inode", "$FILE_NAME"), _TIMES.finditer(text), strict=False):
        rows += [_json_row(time, activity, source, text) for time, activity in _moments(*match.groups())]
    return rows


def events_of_batch(batch: bytes) -> bytes:
    """As :func:`events_of_json`, from lines of a listing to lines of events."""
    rows = [row for line in batch.decode("ascii").split("\n")[:-1] for row in events_of_json(line)]
    return "".join(row + "\n" for row in rows).encode("ascii")


def _json_row(time: str, activity: str, source: str, entry: str) -> str:
    return f'{sortable(time)}{{"time":{time},"activity":"{activity}","source":"{source}",{entry[1:]}'


class EventLines:
    """Rows in one form."""

    def __init__(self, form: EventForm, partition: int, partition_offset: int) -> None:
        self._form = form
        self._partition = partition
        self._entries = JsonLines(partition, partition_offset)
        self._path = ""
        self._printable = True

    def enter(self, path: str) -> None:
        self._path = path
        self._printable = self._is_plain(path)
        if self._form is EventForm.JSON:
            self._entries.enter(path)

    def plain(
        self, names: Sequence[str], addresses: Sequence[int], kinds: Sequence[int], metas: Sequence[Meta]
    ) -> Texts:
        if self._form is EventForm.JSON:
            entries = self._entries.plain(names, addresses, kinds, metas)
            return [
                "\n".join([_json_row(time, activity, "inode", entry) for time, activity in _moments_of(*meta[9:])])
                for entry, meta in zip(entries, metas, strict=True)
                if entry is not None
            ]
        if not self._printable:
            return [None] * len(names)
        rows, path = self._rows, self._path
        return [
            "\n".join(rows(_moments_of(*meta[9:]), path + name, "", address, meta[6], meta, "inode"))
            if self._is_plain(name)
            else None
            for name, address, meta in zip(names, addresses, metas, strict=True)
        ]

    def streams(
        self,
        names: Sequence[str],
        addresses: Sequence[int],
        kinds: Sequence[int],
        metas: Sequence[Meta],
        files: Sequence[NtfsFile | None],
    ) -> Texts:
        if self._form is EventForm.JSON:
            entries = self._entries.streams(names, addresses, kinds, metas, files)
            return [
                None if entry is None or file is None else self._json(entry, meta, file[1])
                for entry, meta, file in zip(entries, metas, files, strict=True)
            ]
        made: Texts = []
        for name, address, meta, file in zip(names, addresses, metas, files, strict=True):
            if file is None or not self._printable or not self._is_plain(name):
                made.append(None)
                continue
            streams, times = file
            if any(stream is not None and not self._is_plain(stream) for _, stream, _ in streams):
                made.append(None)
                continue
            moments, own, path, rows = _moments_of(*meta[9:]), _moments_of_name(times), self._path + name, self._rows
            lines: list[str] = []
            for _, stream, size in streams:
                lines += rows(moments, path, stream or "", address, size, meta, "inode")
                lines += rows(own, path, stream or "", address, size, meta, "$FILE_NAME")
                own = []
            made.append("\n".join(lines))
        return made

    def _json(self, entries: str, meta: Meta, times: FileNameTimes | None) -> str:
        moments, own = _moments_of(*meta[9:]), _moments_of_name(times)
        lines: list[str] = []
        for entry in entries.split("\n"):
            lines += [_json_row(time, activity, "inode", entry) for time, activity in moments]
            lines += [_json_row(time, activity, "$FILE_NAME", entry) for time, activity in own]
            own = []
        return "\n".join(lines)

    def converted(self, text: str) -> Sequence[str]:
        return events_of_json(text)

    def _rows(
        self,
        moments: list[tuple[str, str]],
        path: str,
        stream: str,
        inode: int,
        size: int,
        meta: Meta,
        source: str,
    ) -> list[str]:
        if self._form is EventForm.TEXT:
            named = f"{path}:{stream}" if stream else path
            tail = f"  {size:>13,}  {self._partition}:{named}{'' if source == 'inode' else ' ($FILE_NAME)'}"
            return [f"{sortable(t)}{t[1:11]} {t[12:20]}  {activity}{tail}" for t, activity in moments]
        tail = (
            f",{self._partition},{path},{stream},{inode},{size},{META_TYPES[meta[3]]},{meta[4] & 0o7777:04o},"
            f"{meta[7]},{meta[8]},True,,{source}"
        )
        return [f"{sortable(t)}{t[1:-1]},{activity}{tail}" for t, activity in moments]

    def _is_plain(self, name: str) -> bool:
        return as_it_is(name) and (self._form is not EventForm.CSV or _IN_CSV.isdisjoint(name))


def _moments_of_name(times: FileNameTimes | None) -> list[tuple[str, str]]:
    if times is None:
        return []
    b, bn, m, mn, a, an, c, cn = times[2]
    return _moments_of(m, mn, a, an, c, cn, b, bn)
