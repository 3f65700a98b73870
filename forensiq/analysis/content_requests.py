"""What a worker can be asked about the content of every file: digests, types, searches.

The work on an entry is long and can crash a library, so a walk must not begin again at the first file: the lines of an
entry are sent together, and how many entries are done is shown to the parent when they are sent. The next worker
passes over as many.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from forensiq.analysis.content import digest_stream, has_content, largest_readable, opened_stream, pieces
from forensiq.analysis.content_types import HEAD, content_type, is_mismatch
from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.scan import compile_patterns, free_ranges, scan_pieces, scan_stream, window_pieces
from forensiq.analysis.session import OpenFileSystem, Request, Session
from forensiq.analysis.walking import run_walk, walker
from forensiq.analysis.window import Window

__all__ = ["digest", "scan", "types"]

_PLACE = ("partition", "partition_offset", "path", "path_hex", "inode", "stream", "attribute", "allocated")

Entry = dict[str, Any]


def _each_content(session: Session, request: Request, work: Callable[[Entry, str], list[str]]) -> None:
    """Give every stream with content to ``work`` and send the lines it returns; what it cannot read is reported."""
    done = int(request.get("done", 0))
    number = 0

    def emit(text: str) -> None:
        nonlocal number
        number += 1
        if number <= done:
            return
        lines: list[str] = []
        entry = json.loads(text)
        if has_content(entry):
            try:
                lines = work(entry, text)
            except FileSystemError as error:
                _report(session, entry, error)
        session.channel.entry_done(number, lines, entry["size"] or 0)

    run_walk(session, request, walker(session, request, emit))


def _report(session: Session, entry: Entry, error: FileSystemError) -> None:
    session.channel.report(inode=entry["inode"], path=entry["path"], message=error.message)


def digest(session: Session, request: Request) -> None:
    """Answer with the lines of a walk and ``digests`` for every stream; of ``shares`` workers this one is ``share``."""
    fs = session.file_system(request)
    algorithms = [str(name) for name in request["algorithms"]]
    share, shares = int(request.get("share", 0)), int(request.get("shares", 1))
    largest = largest_readable(session.image.size)

    def work(entry: Entry, text: str) -> list[str]:
        # By inode, not by count: what one worker passes over must not move the shares of the others.
        if shares > 1 and zlib.crc32(b"%d" % entry["inode"]) % shares != share:
            return []
        try:
            digests = digest_stream(fs, entry, algorithms, largest)
        except FileSystemError as error:
            _report(session, entry, error)
            digests = None
        return [f'{text[:-1]},"digests":{json.dumps(digests)}}}']

    _each_content(session, request, work)


def types(session: Session, request: Request) -> None:
    """Answer with every stream that has content, what its first bytes say it is, and whether its ending disagrees."""
    fs = session.file_system(request)

    def work(entry: Entry, _: str) -> list[str]:
        if not entry["size"]:
            return []
        with opened_stream(fs, entry["inode"], entry.get("attribute")) as stream:
            head = b"".join(bytes(piece) for piece in pieces(stream, 0, HEAD))
        found = content_type(head)
        name = entry["stream"] or entry["path"].rsplit("/", 1)[-1]
        ending = name.rpartition(".")[2] if "." in name else ""
        facts = {"content_type": found[0] if found else None, "ending": ending, "mismatch": is_mismatch(ending, found)}
        return [json.dumps(entry | facts)]

    _each_content(session, request, work)


def scan(session: Session, request: Request) -> None:
    """Answer with a line for each hit in files, their slack, and (``free``) blocks that are not in use."""
    fs = session.file_system(request)
    patterns = compile_patterns(request["texts"], request["expressions"], request["hexes"])
    rules = _rules(session, request)
    largest = largest_readable(session.image.size)

    def work(entry: Entry, _: str) -> list[str]:
        if not entry["size"]:
            return []
        if entry["size"] > largest:
            raise FileSystemError(f"claims {entry['size']} bytes, far more than the medium holds: not searched")
        facts = {key: entry.get(key) for key in _PLACE}
        hits = list(scan_stream(fs, entry, patterns, session.count_read)) if patterns else []
        if rules is not None:
            hits += rules.stream(fs, entry)
        return [json.dumps(facts | {"area": "slack" if hit.pop("in_slack") else "file"} | hit) for hit in hits]

    _each_content(session, request, work)
    if request.get("free"):
        _scan_free(session, request, patterns, rules)


def _scan_free(session: Session, request: Request, patterns: list[Any], rules: _Rules | None) -> None:
    fs = session.file_system(request)
    window = Window(session.image, fs.offset)
    facts = dict.fromkeys(_PLACE) | {"partition": int(request["partition"]), "partition_offset": fs.offset}
    facts["area"] = "unallocated"
    for start, length in free_ranges(fs) if patterns else ():
        session.count_read()
        for hit in scan_pieces(window_pieces(window, start, length), patterns):
            hit["offset"] += start
            session.channel.line(json.dumps(facts | hit))
    if rules is not None:
        for hit in rules.free(fs, window):
            session.channel.line(json.dumps(facts | hit))


class _Rules:
    """YARA rules; loaded only where they are asked for."""

    def __init__(self, compiled: bytes, session: Session) -> None:
        from forensiq.analysis.yara_rules import RuleScanner
        from forensiq.analysis.yara_scan import YaraScan

        self._scan = YaraScan(RuleScanner(compiled), session.count_read)
        self._session = session

    def stream(self, fs: OpenFileSystem, entry: Entry) -> list[dict[str, Any]]:
        """Return the hits in a stream and its slack."""
        return list(self._scan.stream(fs, entry))

    def free(self, fs: OpenFileSystem, window: Window) -> Iterator[dict[str, Any]]:
        """Yield the hits in free space."""
        return self._scan.free(fs, window, lambda message: self._session.channel.report(message=message))


def _rules(session: Session, request: Request) -> _Rules | None:
    return _Rules(base64.b64decode(request["yara"]), session) if request.get("yara") else None
