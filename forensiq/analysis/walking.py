"""Walks as requests ask for them, over either kind of file system."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

from forensiq.analysis.apfs import ApfsVolume
from forensiq.analysis.body import body_of_entry
from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.native.base import NativeFileSystem
from forensiq.analysis.native.walk import NativeWalk
from forensiq.analysis.session import Request, Session
from forensiq.analysis.walk import Progress, Walk

__all__ = ["run_walk", "walker"]


def walker(session: Session, request: Request, emit: Callable[[str], None]) -> Walk | NativeWalk:
    """Return the walk that a request asks for; ``emit`` gets every line that is not filtered or dropped."""
    session.cells[0] = session.cells[1] = session.cells[2] = 0
    channel = session.channel
    drop = int(request.get("drop", 0))
    only_deleted = bool(request.get("deleted"))
    made = 0

    def filtered(text: str) -> None:
        nonlocal made
        if only_deleted and '"allocated":false' not in text:
            return
        made += 1
        if made > drop:
            emit(text)

    def report(inode: int, path: str, why: str) -> None:
        channel.report(inode=inode, path=path, message=why)

    fs = session.file_system(request)
    given = filtered if drop or only_deleted else emit
    place = int(request["partition"]), int(request["offset"])
    skip = frozenset((int(inode), int(index)) for inode, index in request.get("skip", ()))
    recurse, body = bool(request.get("recurse", True)), request.get("body")
    if isinstance(fs, NativeFileSystem):
        return NativeWalk(fs, *place, given, report, session.cells, skip, recurse=recurse, body=body)
    recovery = bool(request.get("recovery", True))
    orphans = bool(request.get("orphans", True))
    moved = Progress(session.cells)
    if fs.apfs is not None:
        given, body = _with_sizes(fs.apfs, given, body), None
    return Walk(
        fs, *place, given, report, moved, skip, recurse=recurse, recovery=recovery, orphans=orphans, body=body
    )  # fmt: skip


def _with_sizes(volume: ApfsVolume, emit: Callable[[str], None], body: str | None) -> Callable[[str], None]:
    """Give compressed files of APFS the size of their content; The Sleuth Kit tells 0 of them."""

    def sized(text: str) -> None:
        if '"type":"file","size":0,' in text:
            entry = json.loads(text)
            with contextlib.suppress(FileSystemError):
                size = volume.size(entry["inode"]) if entry["allocated"] else 0
                if size:
                    head, _, tail = text.rpartition('"type":"file","size":0,')
                    text = f'{head}"type":"file","size":{size},{tail}'
        if body is None:
            emit(text)
        else:
            for line in body_of_entry(json.loads(text), body):
                emit(line)

    return sized


def run_walk(session: Session, request: Request, walk: Walk | NativeWalk) -> None:
    """Walk from where the request says, and report what of the image was needed and cannot be read."""
    exact = request.get("path_hex")
    start = request.get("start")
    walk.run(
        None if start is None else int(start),
        str(request.get("path", "/")),
        None if exact is None else bytes.fromhex(exact),
    )
    unreadable = session.tsk.unreadable
    if unreadable:
        extents = [list(each) for each in unreadable[:1000]]
        session.channel.report(unreadable=extents, message="bytes of the image that were needed cannot be read")
        unreadable.clear()
