"""Which files, metadata and free space of a file system of ours given ranges fall in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.impact import RangeSet, described
from forensiq.analysis.native.base import NativeFileSystem

__all__ = ["native_areas", "native_hits"]

_KEYS = ("partition", "path", "path_hex", "inode", "stream", "attribute", "allocated", "type", "size")


def native_hits(
    fs: NativeFileSystem, entry: dict[str, Any], damaged: RangeSet, claim: Callable[[int, int], None]
) -> list[dict[str, Any]]:
    """Return what of an entry is damaged: content, slack, its inode; ``claim`` gets what content accounts for."""
    if not entry["allocated"] or entry["size"] is None:
        return []
    found: list[dict[str, Any]] = []
    try:
        stream = fs.stream(entry["inode"])
    except FileSystemError:
        return []
    content: list[tuple[int, int, int, bool]] = []
    for run in stream.runs:
        if run.place is None:
            continue
        for low, high in damaged.overlap(run.place, run.place + run.length):
            claim(low, high)
            at = run.offset + low - run.place
            inside = max(0, min(high - low, stream.size - at))
            if inside and not run.unwritten:
                content.append((at, inside, low, False))
            if inside < high - low:
                content.append((at + inside, high - low - inside, low + inside, True))
    for in_slack in (False, True):
        parts = [hit for hit in content if hit[3] is in_slack]
        if parts:
            found.append(described(entry, stream.size, parts, slack=in_slack))
    if any(damaged.overlap(at, at + length) for at, length in fs.metadata_ranges(stream.node)):
        facts = {key: entry.get(key) for key in _KEYS}
        found.append(facts | {"kind": "inode", "bytes": 0, "share": None, "ranges": []})
    return found


def native_areas(fs: NativeFileSystem, unclaimed: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """Say of ranges that no file accounts for whether they are free, metadata, or in use by nobody known."""
    kinds = [("file_system_metadata", fs.fixed_metadata())]
    try:
        kinds.append(("unallocated", fs.free_ranges()))
        rest = "allocated_without_file"
    except FileSystemError:
        rest = "not_determined"
    areas: list[dict[str, Any]] = []
    for low, high in unclaimed:
        known: list[tuple[int, int, str]] = []
        for kind, ranges in kinds:
            known += [(a, b, kind) for a, b in RangeSet([(at, at + n) for at, n in ranges]).overlap(low, high)]
        if high > fs.size:
            known.append((max(low, fs.size), high, "behind_file_system"))
        at = low
        for start, end, kind in sorted(known):
            if start > at:
                areas.append({"kind": rest, "offset": at, "length": start - at})
            if end > max(at, start):
                areas.append({"kind": kind, "offset": max(at, start), "length": end - max(at, start)})
                at = end
        if at < high:
            areas.append({"kind": rest, "offset": at, "length": high - at})
    return areas
