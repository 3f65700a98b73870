"""The Sleuth Kit's body file: one line for each stream, as ``fls -m`` writes it.

``MD5|name|inode|mode|uid|gid|size|atime|mtime|ctime|crtime``, times in whole seconds since 1970. Control characters of
names become ``^``. A name with a bar in it is ambiguous in this format; the other formats are exact.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

__all__ = ["NAME_LETTERS", "SANITIZED", "body_of_entry", "body_of_json", "mode_text"]

NAME_LETTERS = {
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
SANITIZED = dict.fromkeys([*range(32), *range(127, 160)], "^")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BITS = tuple((0o400 >> place, "rwx"[place % 3]) for place in range(9))
_SPECIAL = ((0o4000, 2, "s", "S"), (0o2000, 5, "s", "S"), (0o1000, 8, "t", "T"))
_MODES: dict[tuple[str, int], str] = {}


def mode_text(letter: str, mode: int) -> str:
    """Return ``drwxr-xr-x`` as ``ls`` and The Sleuth Kit write it."""
    text = _MODES.get((letter, mode))
    if text is None:
        marks = [mark if mode & bit else "-" for bit, mark in _BITS]
        for bit, place, both, alone in _SPECIAL:
            if mode & bit:
                marks[place] = both if marks[place] == "x" else alone
        text = _MODES[(letter, mode)] = letter + "".join(marks)
    return text


def body_of_json(text: str, prefix: str) -> list[str]:
    """As :func:`body_of_entry`, from the line of a listing."""
    return body_of_entry(json.loads(text), prefix)


def body_of_entry(entry: dict[str, Any], prefix: str) -> list[str]:
    """Return the lines of an entry (an object of a listing): its own, and that of its $FILE_NAME times."""
    lines = [_body(entry, prefix)]
    times = entry.get("file_name_times")
    if times:
        changed = entry | {key: times[key] for key in ("mtime", "atime", "ctime", "crtime")}
        changed |= {"attribute": times["attribute"], "size": times["size"], "stream": None}
        lines.append(_body(changed, prefix, " ($FILE_NAME)"))
    return lines


def _body(entry: dict[str, Any], prefix: str, suffix: str = "") -> str:
    name = entry["path"][1:]
    if entry["stream"]:
        name += ":" + entry["stream"]
    name = name.translate(SANITIZED) + suffix
    kind = entry.get("inode_type") or entry["type"]
    if entry.get("link_target"):
        name += " -> " + entry["link_target"].translate(SANITIZED)
    if not entry["allocated"]:
        name += " (deleted-realloc)" if entry.get("metadata_allocated") else " (deleted)"
    attribute = entry.get("attribute")
    inode = f"{entry['inode']}-{attribute}" if attribute else str(entry["inode"])
    letter = NAME_LETTERS[entry.get("name_type") or entry["type"]]
    if entry["mode"] is None:
        return f"0|{prefix}{name}|{inode}|{letter}/----------|0|0|0|0|0|0|0"
    mode = mode_text(NAME_LETTERS[kind], int(entry["mode"], 8))
    times = "|".join(str(_seconds(entry[key])) for key in ("atime", "mtime", "ctime", "crtime"))
    return f"0|{prefix}{name}|{inode}|{letter}/{mode}|{entry['uid']}|{entry['gid']}|{entry['size']}|{times}"


def _seconds(text: str | None) -> int:
    if text is None:
        return 0
    return int((datetime.fromisoformat(text[:19] + "+00:00") - _EPOCH).total_seconds())
