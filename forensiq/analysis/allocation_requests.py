"""Requests about the space in use: what every block is for, and the blocks of some files. Inside the sandbox."""

from __future__ import annotations

import json

from forensiq.analysis.allocation import (
    FileSystemAllocation,
    NotDetermined,
    allocation_of_file_system,
    block_runs,
)
from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.native.base import NativeFileSystem
from forensiq.analysis.session import OpenFileSystem, Request, Session
from forensiq.analysis.walking import run_walk, walker
from forensiq.analysis.window import Window
from forensiq.streams.frames import FrameKind

__all__ = ["allocation", "runs"]

_RUNS_IN_A_LINE = 1000


def allocation(session: Session, request: Request) -> None:
    """Answer with the ranges in use, as lines of [class, start, end] in bytes from the start of the file system.

    Then a value: ``size``, ``notes``, and ``reason`` where the allocation cannot be told.
    """
    fs = session.file_system(request)
    try:
        if isinstance(fs, NativeFileSystem):
            found = _of_native(fs)
        else:
            window = Window(session.image, fs.offset, request.get("length"))
            found = allocation_of_file_system(fs, window, session.count_read)
    except NotDetermined as error:
        session.channel.value(FrameKind.VALUE, {"size": 0, "notes": [], "reason": str(error)})
        return
    for kind, ranges in (("boot_area", found.boot), ("metadata", found.metadata), ("allocated", found.allocated)):
        for low, high in ranges:
            session.channel.line(f'["{kind}",{low},{high}]')
    session.tsk.unreadable.clear()
    session.channel.value(FrameKind.VALUE, {"size": found.size, "notes": found.notes, "reason": None})


def _of_native(fs: NativeFileSystem) -> FileSystemAllocation:
    result = FileSystemAllocation(fs.size)
    result.metadata += [(offset, offset + length) for offset, length in fs.fixed_metadata()]
    at = 0
    for offset, length in fs.free_ranges():
        if offset > at:
            result.allocated.append((at, offset))
        at = max(at, offset + length)
    if at < fs.size:
        result.allocated.append((at, fs.size))
    return result


def runs(session: Session, request: Request) -> None:
    """Answer with the blocks (start, end in bytes of the file system) of all folders, and of the files at ``paths``.

    A path that names a folder means all that is in it. ``hits`` are the paths that an entry was found for; only
    allocated entries count.
    """
    fs = session.file_system(request)
    wanted = {str(each) for each in request["paths"]}
    done: set[int] = set()

    def tell(inode: int, hits: list[str]) -> None:
        places = [] if inode in done else _places(fs, inode)
        done.add(inode)
        for start in range(0, max(1, len(places)), _RUNS_IN_A_LINE):
            session.channel.line(json.dumps({"hits": hits, "runs": places[start : start + _RUNS_IN_A_LINE]}))

    def emit(text: str) -> None:
        entry = json.loads(text)
        hits = _named_by(entry["path"], wanted)
        if entry["allocated"] and (hits or entry["type"] in ("directory", "virtual_directory")):
            tell(int(entry["inode"]), hits)

    tell(fs.root, ["/"] if "/" in wanted else [])
    run_walk(session, request, walker(session, request, emit))


def _places(fs: OpenFileSystem, inode: int) -> list[tuple[int, int]]:
    if not isinstance(fs, NativeFileSystem):
        return [(low * fs.block_size, high * fs.block_size) for low, high in block_runs(fs, inode)]
    try:
        stream = fs.stream(inode)
        found = [(each.place, each.place + each.length) for each in stream.runs if each.place is not None]
        return found + [(offset, offset + length) for offset, length in fs.metadata_ranges(stream.node)]
    except FileSystemError:
        return []


def _named_by(path: str, wanted: set[str]) -> list[str]:
    hits = ["/"] if "/" in wanted else []
    while len(path) > 1:
        if path in wanted:
            hits.append(path)
        path = path.rpartition("/")[0]
    return hits
