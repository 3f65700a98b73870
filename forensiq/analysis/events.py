"""Events of a time line: a row for each moment at which something happened to a stream, with its time to sort it by.

A row begins with the 29 characters of its time (``2026-01-31T23:59:59.123456789``), which are shown as each form wants
them; the rest follows as it is shown (:func:`shown_rows`). Where a row cannot be made of plain text (a name would have
to be escaped), the rest is the JSON of the event in every form, and begins with ``{``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from forensiq.analysis.rendering import META_TYPES, FileNameTimes, JsonLines, NtfsFile, Texts, as_it_is
from forensiq.analysis.times import IN_HOUR, Hours, sortable

if TYPE_CHECKING:
    # At run time this would bring the C library into the process that must not have it.
    from forensiq.analysis.slots import Meta

__all__ = ["COLUMNS", "KEY", "EventForm", "EventLines", "events_of_batch", "events_of_json", "shown_rows"]

COLUMNS = ("time", "activity", "partition", "path", "stream", "inode", "size", "type", "mode", "uid", "gid",
           "allocated", "recovery", "source")  # fmt: skip
"""Of CSV."""
KEY = 29
"""Length of the time that a row begins with."""

_ACTIVITIES = tuple(
    "".join(letter if mask & bit else "." for letter, bit in zip("macb", (8, 4, 2, 1), strict=True))
    for mask in range(16)
)
_TIMES = re.compile(r'"mtime":(null|"[^"]*"),"atime":(null|"[^"]*"),"ctime":(null|"[^"]*"),"crtime":(null|"[^"]*")')
"""The times of an entry, and behind them those of its $FILE_NAME. Quotes inside names are escaped, so nothing that a
name holds can look like this."""
_IN_CSV = frozenset(',"')
_BILLION, _HOUR = 1_000_000_000, 3600
_DAY, _SECONDS = 10, 19
_NO_FRACTION = b".000000000"
_JSON = b"{"


class EventForm(StrEnum):
    """How a row looks."""

    TEXT = "text"
    CSV = "csv"
    JSON = "jsonl"


def shown_rows(rows: Sequence[bytes], form: EventForm, other: Callable[[bytes], bytes]) -> list[bytes]:
    """Return rows as they are shown; ``other`` makes one from the JSON of an event."""
    if form is EventForm.TEXT:
        return [
            row[:_DAY] + b" " + row[_DAY + 1 : _SECONDS] + row[KEY:]
            if row[KEY : KEY + 1] != _JSON
            else other(row[KEY:])
            for row in rows
        ]
    before = b'{"time":"' if form is EventForm.JSON else b""
    return [
        other(row[KEY:])
        if row[KEY : KEY + 1] == _JSON
        else before + (row[:_SECONDS] if row[_SECONDS:KEY] == _NO_FRACTION else row[:KEY]) + row[KEY:]
        for row in rows
    ]


def events_of_json(text: str) -> list[str]:
    """Return the events of an entry (a line of ``ls --json``), as times and JSON."""
    rows: list[str] = []
    for source, match in zip(("inode", "$FILE_NAME"), _TIMES.finditer(text), strict=False):
        masks: dict[str, int] = {}
        for time, bit in zip(match.groups(), (8, 4, 2, 1), strict=True):
            masks[time] = masks.get(time, 0) | bit
        rows += [
            f'{sortable(time)}{{"time":{time},"activity":"{_ACTIVITIES[mask]}","source":"{source}",{text[1:]}'
            for time, mask in masks.items()
            if time != "null"
        ]
    return rows


def events_of_batch(batch: bytes) -> bytes:
    """As :func:`events_of_json`, from lines of a listing to lines of events."""
    rows = [row for line in batch.decode("ascii").split("\n")[:-1] for row in events_of_json(line)]
    return "".join(row + "\n" for row in rows).encode("ascii")


class EventLines:
    """Rows in one form."""

    def __init__(self, form: EventForm, partition: int, partition_offset: int) -> None:
        self._form = form
        self._partition = partition
        self._entries = JsonLines(partition, partition_offset)
        self._path = ""
        self._printable = True
        self._hours = Hours("", "T")
        around = {EventForm.TEXT: ("  ", ""), EventForm.CSV: ("Z,", ""), EventForm.JSON: ('Z","activity":"', '",')}
        before, behind = around[form]
        self._activities = [f"{before}{activity}{behind}" for activity in _ACTIVITIES]

    def enter(self, path: str) -> None:
        self._path = path
        self._printable = self._form is EventForm.JSON or self._is_plain(path)
        self._entries.enter(path)

    def plain(
        self, names: Sequence[str], addresses: Sequence[int], kinds: Sequence[int], metas: Sequence[Meta]
    ) -> Texts:
        if not self._printable:
            return [None] * len(names)
        rows = self._rows
        if self._form is EventForm.JSON:
            entries = self._entries.plain(names, addresses, kinds, metas)
            return [
                "\n".join(rows(meta[9:], '"source":"inode",' + entry[1:])) if entry is not None else None
                for entry, meta in zip(entries, metas, strict=True)
            ]
        path, is_plain, tail = self._path, self._is_plain, self._tail
        return [
            "\n".join(rows(meta[9:], tail(path + name, "", address, meta[6], meta, "inode")))
            if is_plain(name)
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
        if not self._printable:
            return [None] * len(names)
        if self._form is EventForm.JSON:
            entries = self._entries.streams(names, addresses, kinds, metas, files)
            return [
                None if entry is None or file is None else self._json(entry, meta, file[1])
                for entry, meta, file in zip(entries, metas, files, strict=True)
            ]
        made: Texts = []
        rows, tail = self._rows, self._tail
        for name, address, meta, file in zip(names, addresses, metas, files, strict=True):
            if file is None or not self._is_plain(name):
                made.append(None)
                continue
            streams, times = file
            if any(stream is not None and not self._is_plain(stream) for _, stream, _ in streams):
                made.append(None)
                continue
            own, path = _own_times(times), self._path + name
            lines: list[str] = []
            for _, stream, size in streams:
                lines += rows(meta[9:], tail(path, stream or "", address, size, meta, "inode"))
                if own is not None:
                    lines += rows(own, tail(path, stream or "", address, size, meta, "$FILE_NAME"))
                    own = None
            made.append("\n".join(lines))
        return made

    def _json(self, entries: str, meta: Meta, times: FileNameTimes | None) -> str:
        own = _own_times(times)
        lines: list[str] = []
        for entry in entries.split("\n"):
            lines += self._rows(meta[9:], '"source":"inode",' + entry[1:])
            if own is not None:
                lines += self._rows(own, '"source":"$FILE_NAME",' + entry[1:])
                own = None
        return "\n".join(lines)

    def converted(self, text: str) -> Sequence[str]:
        return events_of_json(text)

    def _rows(self, times: Sequence[int], tail: str) -> list[str]:
        """Return a row for each different time of mtime, atime, ctime, crtime (each with nanoseconds)."""
        m, mn, a, an, c, cn, b, bn = times
        if mn >= _BILLION or an >= _BILLION or cn >= _BILLION or bn >= _BILLION:
            mn, an, cn, bn = (0 if nano >= _BILLION else nano for nano in (mn, an, cn, bn))
        m, a, c, b = m * _BILLION + mn, a * _BILLION + an, c * _BILLION + cn, b * _BILLION + bn
        masks = {m: 8}
        masks[a] = masks.get(a, 0) | 4
        masks[c] = masks.get(c, 0) | 2
        masks[b] = masks.get(b, 0) | 1
        hours, activities = self._hours, self._activities
        rows: list[str] = []
        for time, mask in masks.items():
            seconds = time // _BILLION
            hour = hours[seconds // _HOUR]
            if seconds and hour:
                # "%09d" takes two thirds of the time of a format specification.
                nano = "%09d" % (time % _BILLION)  # noqa: UP031
                rows.append(f"{hour}{IN_HOUR[seconds % _HOUR]}.{nano}{activities[mask]}{tail}")
        return rows

    def _tail(self, path: str, stream: str, inode: int, size: int, meta: Meta, source: str) -> str:
        if self._form is EventForm.TEXT:
            named = f"{path}:{stream}" if stream else path
            return f"  {size:>13,}  {self._partition}:{named}{'' if source == 'inode' else ' ($FILE_NAME)'}"
        return (
            f",{self._partition},{path},{stream},{inode},{size},{META_TYPES[meta[3]]},{meta[4] & 0o7777:04o},"
            f"{meta[7]},{meta[8]},True,,{source}"
        )

    def _is_plain(self, name: str) -> bool:
        return as_it_is(name) and (self._form is not EventForm.CSV or _IN_CSV.isdisjoint(name))


def _own_times(times: FileNameTimes | None) -> tuple[int, ...] | None:
    if times is None:
        return None
    b, bn, m, mn, a, an, c, cn = times[2]
    return m, mn, a, an, c, cn, b, bn
