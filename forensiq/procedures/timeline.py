"""When files were made, changed and read: rows sorted by time.

Millions of rows are sorted outside of memory: sorted runs in temporary files, merged.
"""

from __future__ import annotations

import csv
import heapq
import io
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TextIO

from forensiq.procedures.listing import Listing

__all__ = ["COLUMNS", "Event", "event_csv", "event_json", "sorted_events"]

Event = tuple[str, str, str]
"""Sort key (time with nine digits of fraction, then path), time as RFC 3339, and the row as JSON."""

COLUMNS = ("time", "activity", "partition", "path", "stream", "inode", "size", "type", "mode", "uid", "gid",
           "allocated", "recovery", "source")  # fmt: skip

_RUN = 400_000
_LETTERS = "macb"
_TIMES = re.compile(r'"mtime":(null|"[^"]*"),"atime":(null|"[^"]*"),"ctime":(null|"[^"]*"),"crtime":(null|"[^"]*")')
"""The times of an entry, and behind them those of its $FILE_NAME. Quotes inside names are escaped, so nothing that a
name holds can look like this."""


def sorted_events(listing: Listing, path: str | None = None) -> Iterator[Event]:
    """Yield a row for each time of each stream, sorted by time; equal times of one stream are one row (``macb``)."""
    with ExitStack() as stack:
        runs: list[TextIO] = []
        rows: list[str] = []
        for batch in listing.batches(path, recurse=True):
            for line in batch.decode("ascii").splitlines():
                rows += _rows(line)
            if len(rows) >= _RUN:
                runs.append(_spill(stack, rows))
                rows = []
        rows.sort()
        merged = heapq.merge(rows, *runs) if runs else iter(rows)
        for row in merged:
            key, _, rest = row.rstrip("\n").partition("\t")
            text, _, value = rest.partition("\t")
            yield key, text, value


def _spill(stack: ExitStack, rows: list[str]) -> TextIO:
    rows.sort()
    file: TextIO = stack.enter_context(tempfile.TemporaryFile(mode="w+", encoding="ascii", newline="\n"))  # noqa: SIM115
    file.writelines(rows)
    file.seek(0)
    return file


def _rows(line: str) -> list[str]:
    rows: list[str] = []
    for source, match in zip(("inode", "$FILE_NAME"), _TIMES.finditer(line), strict=False):
        m, a, c, b = match.groups()
        if m == a == c and m == b:
            # The usual case in a tree that was copied or unpacked at once.
            if m != "null":
                rows.append(_row(m, "macb", source, line))
            continue
        letters: dict[str, str] = {}
        for text, letter in zip((m, a, c, b), _LETTERS, strict=True):
            if text != "null":
                letters[text] = letters.get(text, "") + letter
        for text, done in letters.items():
            rows.append(_row(text, "".join(each if each in done else "." for each in _LETTERS), source, line))
    return rows


def _row(quoted: str, activity: str, source: str, line: str) -> str:
    text = quoted[1:-1]
    key = text[:-1] + ".000000000" if len(text) == 20 else text[:-1].ljust(29, "0")
    return f'{key}\t{text}\t{{"time":{quoted},"activity":"{activity}","source":"{source}",{line[1:]}\n'


def event_json(event: Event) -> str:
    """Return an event as a line of JSON: ``time``, ``activity``, ``source``, and the keys of the entry."""
    return event[2] + "\n"


def event_csv(event: Event) -> str:
    """Return an event as a line of CSV (RFC 4180), columns as :data:`COLUMNS`."""
    value = json.loads(event[2])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["" if value.get(key) is None else value[key] for key in COLUMNS])
    return out.getvalue()
