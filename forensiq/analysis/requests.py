"""What a worker can be asked: one function for each request, all inside the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from forensiq.analysis import allocation_requests, content_requests
from forensiq.analysis.apfs_compare import Comparison
from forensiq.analysis.content import largest_readable, opened_stream, pieces
from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.forms import kind_of
from forensiq.analysis.impact import RangeSet, damaged_records, hits_of_entry, rest_of_ranges
from forensiq.analysis.native.base import NativeFileSystem
from forensiq.analysis.native.impact import native_areas, native_hits
from forensiq.analysis.session import READS, Request, Session
from forensiq.analysis.volumes import read_volumes
from forensiq.analysis.walking import run_walk, walker, walker_in_batches
from forensiq.analysis.window import Window
from forensiq.model.extent import Extent, subtract
from forensiq.model.jsonable import to_json
from forensiq.model.listing import ContentKind
from forensiq.streams.frames import FrameKind

__all__ = ["HANDLERS"]


def _volumes(session: Session, request: Request) -> None:
    system = read_volumes(session.image, sector_size=request.get("sector_size"))
    pools: dict[str, Any] = {}
    for volume in system.volumes:
        content = volume.content(ContentKind.CONTAINER)
        if volume.index is None or content is None or content.name != "APFS container":
            continue
        try:
            found = session.pool(volume.offset).volumes()
        except FileSystemError as error:
            pools[str(volume.index)] = {"message": error.message}
            continue
        pools[str(volume.index)] = {
            "volumes": [
                {"name": each.name, "block": each.block, "blocks": each.blocks, "encrypted": each.encrypted}
                for each in found
            ]
        }
    session.channel.value(FrameKind.VALUE, {"system": to_json(system), "pools": pools})


def _open_file_system(session: Session, request: Request) -> None:
    fs = session.file_system(request)
    session.channel.value(FrameKind.VALUE, {"name": fs.name, "block_size": fs.block_size, "root": fs.root})


def _walk(session: Session, request: Request) -> None:
    session.channel.kind = kind_of(request)
    session.channel.sorts = bool(request.get("events"))
    try:
        run_walk(session, request, walker_in_batches(session, request, session.channel.lines, beside=True))
        session.channel.flush_lines()
    finally:
        session.channel.kind = FrameKind.LINES
        session.channel.sorts = False


def _read(session: Session, request: Request) -> None:
    """Answer with the bytes of a stream."""
    fs = session.file_system(request)
    length = request.get("length")
    with opened_stream(fs, int(request["inode"]), request.get("attribute")) as stream:
        if length is None and stream.size > largest_readable(session.image.size):
            raise FileSystemError(f"claims {stream.size} bytes, far more than the medium holds: not read")
        at = int(request.get("at", 0))
        end = stream.size if length is None else min(stream.size, at + int(length))
        done = 0
        for piece in pieces(stream, at, None if length is None else int(length), slack=bool(request.get("slack"))):
            session.cells[READS] += 1
            done += len(piece)
            session.channel.send(FrameKind.DATA, piece)
        if done < end - at:
            # The library ends a broken chain of clusters without a word.
            raise FileSystemError(f"only {done} of {end - at} bytes can be read")


def _impact(session: Session, request: Request) -> None:
    """Answer with a line for each stream that damaged ranges (bytes of the file system) touch, and for the rest."""
    fs = session.file_system(request)
    damaged = RangeSet([(int(low), int(high)) for low, high in request["ranges"]])
    records = frozenset() if isinstance(fs, NativeFileSystem) else damaged_records(fs, damaged)
    claimed: list[Extent] = []
    channel = session.channel

    def claim(low: int, high: int) -> None:
        claimed.append(Extent.between(low, high))

    def emit(text: str) -> None:
        entry = json.loads(text)
        if isinstance(fs, NativeFileSystem):
            hits = native_hits(fs, entry, damaged, claim)
        else:
            hits = hits_of_entry(fs, entry, damaged, claim)
        for hit in hits:
            channel.line(json.dumps(hit))
        if entry["inode"] in records:
            keys = ("partition", "path", "path_hex", "inode", "stream", "attribute", "allocated", "type", "size")
            facts = {key: entry.get(key) for key in keys}
            channel.line(json.dumps(facts | {"kind": "inode", "bytes": 0, "share": None, "ranges": []}))

    run_walk(session, request, walker(session, request, emit))
    rest = subtract([Extent.between(low, high) for low, high in damaged.ranges], claimed)
    left = [(each.offset, each.end) for each in rest]
    for area in native_areas(fs, left) if isinstance(fs, NativeFileSystem) else rest_of_ranges(fs, left):
        channel.line(json.dumps({"area": area}))


def _find(session: Session, request: Request) -> None:
    """Answer with the lines of the entry at a path: all of its streams, deleted namesakes after the allocated one."""
    fs = session.file_system(request)
    parts = [part for part in str(request["path"]).split("/") if part]
    inode, prefix = fs.root, "/"
    found: list[Request] = []
    for depth, part in enumerate(parts):
        lines: list[str] = []
        keys = ("partition", "offset", "pool_block", "type")
        walk = walker(session, {key: request.get(key) for key in keys} | {"recurse": False}, lines.append)
        walk.run(inode, prefix, _exact(prefix))
        wanted = prefix + part
        values = [json.loads(line) for line in lines]
        found = [value for value in values if _is_named(value, wanted)]
        found.sort(key=lambda value: not value["allocated"])
        if depth + 1 < len(parts):
            folder = next((value for value in found if value["type"] in ("directory", "virtual_directory")), None)
            if folder is None:
                return
            inode, prefix = folder["inode"], wanted + "/"
    for value in found:
        session.channel.line(json.dumps(value))


def _exact(path: str) -> bytes | None:
    """Return the bytes of a path as it came from a command line, where they are not UTF-8."""
    raw = path.encode("utf-8", "surrogateescape")
    return None if raw.decode("utf-8", "replace") == path else raw


def _is_named(value: Request, wanted: str) -> bool:
    if value.get("path_hex") is not None:
        return bool(bytes.fromhex(value["path_hex"]) == wanted.encode("utf-8", "surrogateescape"))
    return bool(value["path"] == wanted)


def _read_medium(session: Session, request: Request) -> None:
    data = Window(session.image).read(int(request["at"]), int(request["length"]))
    session.channel.send(FrameKind.DATA, data)


def _second_opinion(session: Session, request: Request) -> None:
    """Answer with a line for each difference between The Sleuth Kit and libfsapfs; ``compared`` counts entries."""
    fs = session.tsk_file_system(request)
    if fs.apfs is None:
        session.channel.value(FrameKind.VALUE, {"compared": 0, "reason": "libfsapfs cannot open it"})
        return
    comparison = Comparison(fs.apfs, lambda difference: session.channel.line(json.dumps(difference)))
    # As The Sleuth Kit has it: sizes are not taken from libfsapfs here.
    opinion, fs.apfs = fs.apfs, None
    try:
        run_walk(session, request, walker(session, request, lambda text: comparison.ours(json.loads(text))))
    finally:
        fs.apfs = opinion
    comparison.rest()
    session.channel.value(FrameKind.VALUE, {"compared": comparison.compared, "reason": None})


HANDLERS: dict[str, Callable[[Session, Request], None]] = {
    "volumes": _volumes,
    "open": _open_file_system,
    "walk": _walk,
    "find": _find,
    "digest": content_requests.digest,
    "read": _read,
    "impact": _impact,
    "scan": content_requests.scan,
    "types": content_requests.types,
    "read_medium": _read_medium,
    "second_opinion": _second_opinion,
    "allocation": allocation_requests.allocation,
    "runs": allocation_requests.runs,
}
