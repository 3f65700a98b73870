"""The entries of an APFS volume as The Sleuth Kit and libfsapfs tell them, and where they differ."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from forensiq.analysis.apfs import ApfsEntry, ApfsVolume
from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.times import rfc3339_of

__all__ = ["Comparison"]

_TIMES = {
    "mtime": "get_modification_time_as_integer",
    "atime": "get_access_time_as_integer",
    "ctime": "get_inode_change_time_as_integer",
    "crtime": "get_creation_time_as_integer",
}


class Comparison:
    """Give every line of a walk to :meth:`ours`, then call :meth:`rest`; ``tell`` gets each difference."""

    def __init__(self, volume: ApfsVolume, tell: Callable[[dict[str, Any]], None]) -> None:
        self._volume = volume
        self._tell = tell
        self._seen: set[bytes] = set()
        self.compared = 0

    def ours(self, entry: dict[str, Any]) -> None:
        """Compare an allocated entry with what libfsapfs says of its inode."""
        if not entry["allocated"] or entry["path"].startswith("/$OrphanFiles"):
            return
        self._seen.add(_mark(entry["path"]))
        self.compared += 1
        try:
            other = self._volume.entry(entry["inode"])
            theirs = _facts(other)
        except FileSystemError as error:
            self._differs(entry["path"], entry["inode"], "entry", "present", error.message)
            return
        swapped = theirs["mtime"], theirs["crtime"]
        if (entry.get("crtime"), entry.get("mtime")) == swapped:
            # libfsapfs (20260921) has modification and creation the wrong way round: in j_inode_val_t the time of
            # creation comes first (Apple File System Reference), and a folder is not changed before it is made.
            theirs["crtime"], theirs["mtime"] = swapped
        for key, value in theirs.items():
            if entry.get(key) != value:
                self._differs(entry["path"], entry["inode"], key, entry.get(key), value)

    def rest(self) -> None:
        """Tell of the entries that only libfsapfs has."""
        try:
            for path, entry in self._volume.entries():
                if _mark(path) not in self._seen:
                    self._differs(path, int(entry.identifier), "entry", "missing", "present")
        except FileSystemError as error:
            self._differs("/", 0, "listing", "complete", error.message)

    def _differs(self, path: str, inode: int, what: str, ours: object, theirs: object) -> None:
        self._tell({"path": path, "inode": inode, "what": what, "sleuthkit": ours, "libfsapfs": theirs})


def _mark(path: str) -> bytes:
    return hashlib.blake2b(path.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _facts(entry: ApfsEntry) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = {
            key: rfc3339_of(*divmod(int(getattr(entry, name)()), 1_000_000_000)) for key, name in _TIMES.items()
        }
        mode = int(entry.file_mode)
        facts["mode"] = f"{mode & 0o7777:04o}"
        facts["uid"], facts["gid"] = int(entry.owner_identifier), int(entry.group_identifier)
        if mode >> 12 == 8:
            facts["size"] = int(entry.size)
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise FileSystemError(f"libfsapfs: {error}") from error
    return facts
