"""Which files, metadata and free space given ranges of a file system fall in, inside the worker."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from forensiq.analysis.tsk import RUN_FILLER, RUN_SPARSE, Stream, TskError, TskFileSystem

__all__ = ["RangeSet", "damaged_records", "described", "hits_of_entry", "rest_of_ranges"]

_META_BLOCK = 0x08
_ALLOCATED_BLOCK, _UNALLOCATED_BLOCK = 0x01, 0x02
_MOST_BLOCKS = 50_000_000


class RangeSet:
    """Sorted ranges of bytes that do not overlap, as (start, end), asked very often."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        self.ranges = sorted(ranges)
        self._starts = [start for start, _ in self.ranges]

    def overlap(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the parts of ``start`` to ``end`` that are in the set."""
        index = max(0, bisect_right(self._starts, start) - 1)
        found = []
        while index < len(self.ranges) and self.ranges[index][0] < end:
            low, high = max(start, self.ranges[index][0]), min(end, self.ranges[index][1])
            if low < high:
                found.append((low, high))
            index += 1
        return found


def damaged_records(fs: TskFileSystem, damaged: RangeSet) -> frozenset[int]:
    """Return the inodes whose own record lies in ``damaged`` (NTFS: through the runs of $MFT); empty elsewhere."""
    if not fs.is_ntfs:
        return frozenset()
    file = fs.open_file(0)
    try:
        stream = fs.default_stream(file)
        if stream is None:
            return frozenset()
        records = max(1, fs.info.last_inum)
        size = max(256, stream.size // records) if stream.size else 1024
        size = 1 << (size.bit_length() - 1)
        spans = [(place, place + length) for place, length, _, _ in _stream_hits(fs, stream, damaged)]
        return frozenset(number for low, high in spans for number in range(low // size, -(-high // size)))
    finally:
        fs.lib.fs_file_close(file)


def _stream_hits(fs: TskFileSystem, stream: Stream, damaged: RangeSet) -> list[tuple[int, int, int, bool]]:
    """Return (offset in the stream, length, offset in the file system, in slack) of the damaged parts."""
    block = fs.block_size
    result: list[tuple[int, int, int, bool]] = []
    for run in fs.runs(stream):
        if run.flags & (RUN_FILLER | RUN_SPARSE) or not run.len:
            continue
        start = run.addr * block
        for low, high in damaged.overlap(start, start + run.len * block):
            place = run.offset * block + low - start
            inside = max(0, min(high - low, stream.size - place))
            if inside:
                result.append((place, inside, low, False))
            if inside < high - low:
                result.append((place + inside, high - low - inside, low + inside, True))
    return result


def hits_of_entry(
    fs: TskFileSystem, entry: dict[str, Any], damaged: RangeSet, claim: Callable[[int, int], None]
) -> list[dict[str, Any]]:
    """Return what of an entry's streams is damaged; ``claim`` gets the ranges that allocated files account for."""
    if entry.get("recovery") == "name_only" or entry["inode"] is None or entry["size"] is None:
        return []
    wanted = entry.get("attribute")
    try:
        file = fs.open_file(entry["inode"])
    except TskError:
        return []
    found: list[dict[str, Any]] = []
    try:
        for stream in fs.streams(file):
            if fs.is_ntfs and wanted is not None and stream.attribute != wanted:
                continue
            hits = _stream_hits(fs, stream, damaged)
            if not hits:
                continue
            if entry["allocated"]:
                for _, length, at, _ in hits:
                    claim(at, at + length)
            for in_slack in (False, True):
                parts = [hit for hit in hits if hit[3] is in_slack]
                if parts:
                    found.append(described(entry, stream.size, parts, slack=in_slack))
    finally:
        fs.lib.fs_file_close(file)
    return found


def described(
    entry: dict[str, Any], size: int, parts: list[tuple[int, int, int, bool]], *, slack: bool
) -> dict[str, Any]:
    """Return a hit; ``parts`` are (offset in the stream, length, offset in the file system, in slack)."""
    kind = "slack" if slack else "content"
    if entry["type"] in ("directory", "virtual_directory"):
        kind = "directory"
    elif entry["type"].startswith("virtual"):
        kind = "file_system_metadata"
    total = sum(length for _, length, _, _ in parts)
    keys = ("partition", "path", "path_hex", "inode", "stream", "attribute", "allocated", "type")
    facts = {key: entry.get(key) for key in keys}
    return facts | {
        "kind": kind,
        "bytes": total,
        "size": size,
        "share": None if slack or not size else round(total / size, 6),
        "ranges": [{"offset": at, "length": length, "medium_offset": low} for at, length, low, _ in parts[:1000]],
    }


def rest_of_ranges(fs: TskFileSystem, unclaimed: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """Say of ranges that no allocated file accounts for whether they are metadata, free, or in use by nobody known."""
    block = fs.block_size
    areas: list[dict[str, Any]] = []
    left = _MOST_BLOCKS
    for low, high in unclaimed:
        at = low
        while at < high:
            number = at // block
            end = min(high, (number + 1) * block)
            left -= 1
            kind = _kind_of_block(fs, number) if left > 0 else "not_determined"
            end = high if left <= 0 else end
            if areas and areas[-1]["kind"] == kind and areas[-1]["offset"] + areas[-1]["length"] == at:
                areas[-1]["length"] += end - at
            else:
                areas.append({"kind": kind, "offset": at, "length": end - at})
            at = end
    return areas


def _kind_of_block(fs: TskFileSystem, number: int) -> str:
    if not fs.info.first_block <= number <= fs.info.last_block_act:
        return "behind_file_system"
    flags = fs.block_flags(number)
    if flags & _META_BLOCK:
        return "file_system_metadata"
    if flags & _UNALLOCATED_BLOCK:
        return "unallocated"
    return "allocated_without_file" if flags & _ALLOCATED_BLOCK else "not_determined"
