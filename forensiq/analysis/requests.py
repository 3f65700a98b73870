"""What a worker can be asked: one function for each request, all inside the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from forensiq.analysis.allocation import NotDetermined, allocation_of_file_system
from forensiq.analysis.content import digest_stream, has_content, largest_readable, opened_stream, pieces
from forensiq.analysis.content_types import HEAD, content_type, is_mismatch
from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.impact import RangeSet, damaged_records, hits_of_entry, rest_of_ranges
from forensiq.analysis.native.base import NativeFileSystem
from forensiq.analysis.native.impact import native_areas, native_hits
from forensiq.analysis.native.walk import NativeWalk
from forensiq.analysis.scan import compile_patterns, free_ranges, scan_pieces, scan_stream, window_pieces
from forensiq.analysis.session import READS, Request, Session
from forensiq.analysis.volumes import read_volumes
from forensiq.analysis.walk import Progress, Walk
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


def _walker(session: Session, request: Request, emit: Callable[[str], None]) -> Walk | NativeWalk:
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
    return Walk(fs, *place, given, report, Progress(session.cells), skip, recurse=recurse, recovery=recovery, body=body)


def _run(session: Session, request: Request, walk: Walk | NativeWalk) -> None:
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


def _walk(session: Session, request: Request) -> None:
    session.channel.as_text = request.get("body") is not None
    try:
        _run(session, request, _walker(session, request, session.channel.line))
        session.channel.flush_lines()
    finally:
        session.channel.as_text = False


def _digest(session: Session, request: Request) -> None:
    """As a walk, with ``digests`` for every stream that has content; of ``shares`` workers this one is ``share``."""
    fs = session.file_system(request)
    algorithms = [str(name) for name in request["algorithms"]]
    share, shares = int(request.get("share", 0)), int(request.get("shares", 1))
    largest = largest_readable(session.image.size)
    number = 0

    def emit(text: str) -> None:
        nonlocal number
        entry = json.loads(text)
        if not has_content(entry):
            return
        number += 1
        if number % shares != share:
            return
        try:
            digests = digest_stream(fs, entry, algorithms, largest)
        except FileSystemError as error:
            session.channel.report(inode=entry["inode"], path=entry["path"], message=error.message)
            digests = None
        session.channel.line(f'{text[:-1]},"digests":{json.dumps(digests)}}}')

    _run(session, request, _walker(session, request, emit))


def _read(session: Session, request: Request) -> None:
    """Answer with the bytes of a stream."""
    fs = session.file_system(request)
    length = request.get("length")
    with opened_stream(fs, int(request["inode"]), request.get("attribute")) as stream:
        if length is None and stream.size > largest_readable(session.image.size):
            raise FileSystemError(f"claims {stream.size} bytes, far more than the medium holds: not read")
        for piece in pieces(
            stream,
            int(request.get("at", 0)),
            None if length is None else int(length),
            slack=bool(request.get("slack")),
        ):
            session.cells[READS] += 1
            session.channel.send(FrameKind.DATA, piece)


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

    _run(session, request, _walker(session, request, emit))
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
        walk = _walker(session, {key: request.get(key) for key in keys} | {"recurse": False}, lines.append)
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


def _scan(session: Session, request: Request) -> None:
    """Answer with a line for each hit in files, their slack, and (``free``) blocks that are not in use."""
    fs = session.file_system(request)
    patterns = compile_patterns(request["texts"], request["expressions"], request["hexes"])
    largest = largest_readable(session.image.size)
    channel = session.channel
    keys = ("partition", "partition_offset", "path", "path_hex", "inode", "stream", "attribute", "allocated")

    def emit(text: str) -> None:
        entry = json.loads(text)
        if not has_content(entry) or not entry["size"] or entry["size"] > largest:
            return
        facts = {key: entry.get(key) for key in keys}
        try:
            for hit in scan_stream(fs, entry, patterns, session.count_read):
                channel.line(json.dumps(facts | {"area": "slack" if hit.pop("in_slack") else "file"} | hit))
        except FileSystemError as error:
            channel.report(inode=entry["inode"], path=entry["path"], message=error.message)

    _run(session, request, _walker(session, request, emit))
    if not request.get("free"):
        return
    window = Window(session.image, fs.offset)
    facts = dict.fromkeys(keys) | {"partition": int(request["partition"]), "partition_offset": fs.offset}
    for start, length in free_ranges(fs):
        session.count_read()
        for hit in scan_pieces(window_pieces(window, start, length), patterns):
            hit["offset"] += start
            channel.line(json.dumps(facts | {"area": "unallocated"} | hit))


def _types(session: Session, request: Request) -> None:
    """Answer with every stream that has content, what its first bytes say it is, and whether its ending disagrees."""
    fs = session.file_system(request)

    def emit(text: str) -> None:
        entry = json.loads(text)
        if not has_content(entry) or not entry["size"]:
            return
        try:
            with opened_stream(fs, entry["inode"], entry.get("attribute")) as stream:
                head = b"".join(bytes(piece) for piece in pieces(stream, 0, HEAD))
        except FileSystemError as error:
            session.channel.report(inode=entry["inode"], path=entry["path"], message=error.message)
            return
        found = content_type(head)
        name = entry["stream"] or entry["path"].rsplit("/", 1)[-1]
        ending = name.rpartition(".")[2] if "." in name else ""
        facts = {"content_type": found[0] if found else None, "ending": ending, "mismatch": is_mismatch(ending, found)}
        session.channel.line(json.dumps(entry | facts))

    _run(session, request, _walker(session, request, emit))


def _allocation(session: Session, request: Request) -> None:
    """Answer with the ranges in use, as lines of [class, start, end] in bytes from the start of the file system.

    Then a value: ``size``, ``notes``, and ``reason`` where the allocation cannot be told.
    """
    fs = session.tsk_file_system(request)
    window = Window(session.image, fs.offset, request.get("length"))
    try:
        found = allocation_of_file_system(fs, window, session.count_read)
    except NotDetermined as error:
        session.channel.value(FrameKind.VALUE, {"size": 0, "notes": [], "reason": str(error)})
        return
    for kind, ranges in (("boot_area", found.boot), ("metadata", found.metadata), ("allocated", found.allocated)):
        for low, high in ranges:
            session.channel.line(f'["{kind}",{low},{high}]')
    session.tsk.unreadable.clear()
    session.channel.value(FrameKind.VALUE, {"size": found.size, "notes": found.notes, "reason": None})


HANDLERS: dict[str, Callable[[Session, Request], None]] = {
    "volumes": _volumes,
    "open": _open_file_system,
    "walk": _walk,
    "find": _find,
    "digest": _digest,
    "read": _read,
    "impact": _impact,
    "scan": _scan,
    "types": _types,
    "read_medium": _read_medium,
    "allocation": _allocation,
}
