"""When files were made, changed and read: The Sleuth Kit's body file, or rows sorted by time.

Millions of rows are sorted outside of memory: sorted runs in temporary files, merged.
"""

from __future__ import annotations

import csv
import heapq
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, TextIO

from forensiq.procedures.listing import Listing

__all__ = ["COLUMNS", "Event", "body_lines", "event_csv", "event_json", "sorted_events"]

Event = tuple[str, str, str]
"""Sort key (time with nine digits of fraction, then path), time as RFC 3339, and the row as JSON."""

COLUMNS = ("time", "activity", "partition", "path", "stream", "inode", "size", "type", "mode", "uid", "gid",
           "allocated", "recovery", "source")  # fmt: skip

_RUN = 400_000
_LETTERS = (("mtime", "m"), ("atime", "a"), ("ctime", "c"), ("crtime", "b"))
_NAME_LETTERS = {
    "unknown": "-",
    "fifo": "p",
    "character_device": "c",
    "directory": "d",
    "block_device": "b",
    "file": "r",
    "symlink": "l",
    "socket": "s",
    "shadow": "h",
    "whiteout": "w",
    "virtual_file": "v",
    "virtual_directory": "V",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SANITIZED = dict.fromkeys([*range(32), 127], "^")


def body_lines(listing: Listing, prefix: str = "/", path: str | None = None) -> Iterator[str]:
    """Yield the lines of ``fls -r -m PREFIX``, in the order of the walk; ``mactime`` sorts them.

    Times are whole seconds; control characters of names become ``^``, as ``fls`` does it. A name with a bar in it is
    ambiguous in this format: the other formats are exact.
    """
    seconds: dict[str, int] = {}
    for batch in listing.batches(path, recurse=True, recovery=False):
        for line in batch.splitlines():
            entry = json.loads(line)
            yield _body(entry, prefix, seconds)
            times = entry.get("file_name_times")
            if times:
                yield _body_of_name(entry, times, prefix, seconds)


def _seconds(text: str | None, known: dict[str, int]) -> int:
    if text is None:
        return 0
    value = known.get(text)
    if value is None:
        if len(known) > 200_000:
            known.clear()
        moment = datetime.fromisoformat(text[:19] + "+00:00")
        value = known[text] = int((moment - _EPOCH).total_seconds())
    return value


def _body(entry: dict[str, Any], prefix: str, known: dict[str, int], suffix: str = "") -> str:
    name = entry["path"][1:]
    if entry["stream"]:
        name += ":" + entry["stream"]
    name = name.translate(_SANITIZED) + suffix
    kind = entry.get("inode_type") or entry["type"]
    if entry.get("link_target"):
        name += " -> " + entry["link_target"].translate(_SANITIZED)
    if not entry["allocated"]:
        name += " (deleted-realloc)" if entry.get("metadata_allocated") else " (deleted)"
    attribute = entry.get("attribute")
    inode = f"{entry['inode']}-{attribute}" if attribute else str(entry["inode"])
    letter = _NAME_LETTERS[entry.get("name_type") or entry["type"]]
    if entry["mode"] is None:
        return f"0|{prefix}{name}|{inode}|{letter}/----------|0|0|0|0|0|0|0"
    mode = _mode_text(_NAME_LETTERS[kind], int(entry["mode"], 8))
    times = "|".join(str(_seconds(entry[key], known)) for key in ("atime", "mtime", "ctime", "crtime"))
    return f"0|{prefix}{name}|{inode}|{letter}/{mode}|{entry['uid']}|{entry['gid']}|{entry['size']}|{times}"


def _body_of_name(entry: dict[str, Any], times: dict[str, Any], prefix: str, known: dict[str, int]) -> str:
    changed = entry | {key: times[key] for key in ("mtime", "atime", "ctime", "crtime")}
    changed |= {"attribute": times["attribute"], "size": times["size"], "stream": None}
    return _body(changed, prefix, known, " ($FILE_NAME)")


_BITS = tuple((0o400 >> place, "rwx"[place % 3]) for place in range(9))
_MODES: dict[tuple[str, int], str] = {}


def _mode_text(letter: str, mode: int) -> str:
    """Return ``drwxr-xr-x`` as ``ls`` and The Sleuth Kit write it."""
    text = _MODES.get((letter, mode))
    if text is None:
        marks = [mark if mode & bit else "-" for bit, mark in _BITS]
        for bit, place, both, alone in ((0o4000, 2, "s", "S"), (0o2000, 5, "s", "S"), (0o1000, 8, "t", "T")):
            if mode & bit:
                marks[place] = both if marks[place] == "x" else alone
        text = _MODES[(letter, mode)] = letter + "".join(marks)
    return text


def sorted_events(listing: Listing, path: str | None = None) -> Iterator[Event]:
    """Yield a row for each time of each stream, sorted by time; equal times of one stream are one row (``macb``)."""
    with ExitStack() as stack:
        runs: list[TextIO] = []
        rows: list[str] = []
        for batch in listing.batches(path, recurse=True):
            for line in batch.splitlines():
                rows += _rows(json.loads(line))
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


def _rows(entry: dict[str, Any]) -> list[str]:
    result = _rows_of(entry, entry, "inode")
    times = entry.get("file_name_times")
    if times:
        result += _rows_of(entry, times, "$FILE_NAME")
    return result


def _rows_of(entry: dict[str, Any], times: dict[str, Any], source: str) -> list[str]:
    letters: dict[str, str] = {}
    for key, letter in _LETTERS:
        text = times[key]
        if text is not None:
            letters[text] = letters.get(text, "") + letter
    result = []
    for text, done in letters.items():
        activity = "".join(letter if letter in done else "." for letter in "macb")
        value = {
            "time": text,
            "activity": activity,
            "partition": entry["partition"],
            "path": entry["path"],
            "stream": entry["stream"],
            "inode": entry["inode"],
            "size": entry["size"],
            "type": entry["type"],
            "mode": entry["mode"],
            "uid": entry["uid"],
            "gid": entry["gid"],
            "allocated": entry["allocated"],
            "recovery": entry.get("recovery"),
            "source": source,
        }
        if "path_hex" in entry:
            value["path_hex"] = entry["path_hex"]
        whole, _, fraction = text[:-1].partition(".")
        result.append(f"{whole}.{fraction.ljust(9, '0')}\t{text}\t{json.dumps(value)}\n")
    return result


def event_json(event: Event) -> str:
    """Return an event as a line of JSON."""
    return event[2] + "\n"


def event_csv(event: Event) -> str:
    """Return an event as a line of CSV (RFC 4180), columns as :data:`COLUMNS`."""
    value = json.loads(event[2])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["" if value[key] is None else value[key] for key in COLUMNS])
    return out.getvalue()
