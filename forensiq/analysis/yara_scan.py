"""Applies YARA rules to streams, their slack, and free space, inside the worker.

A file is one block up to 128 MiB; larger ones, and free space, are looked at in windows that overlap. A hit from a
window says so (``window``): conditions on the size of a file or on its end do not mean there what their author meant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from forensiq.analysis.content import opened_stream, pieces
from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.scan import free_ranges, window_pieces
from forensiq.analysis.session import OpenFileSystem
from forensiq.analysis.window import Window
from forensiq.analysis.yara_rules import RuleScanner

__all__ = ["YaraScan"]

_WHOLE = 128 << 20
_FREE = 32 << 20
_OVERLAP = 64 << 10


class YaraScan:
    """Rules over one image; ``moved`` is called whenever something was read."""

    def __init__(self, scanner: RuleScanner, moved: Callable[[], None]) -> None:
        self._scanner = scanner
        self._moved = moved

    def stream(self, fs: OpenFileSystem, entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield hits in a stream and, as a block of its own, in the slack behind it (``in_slack``)."""
        with opened_stream(fs, entry["inode"], entry.get("attribute")) as stream:

            def read(start: int, length: int) -> bytes:
                parts = []
                for piece in pieces(stream, start, length, slack=True):
                    self._moved()
                    parts.append(bytes(piece))
                return b"".join(parts)

            for hit in self._windows(read, 0, stream.size, _WHOLE):
                yield hit | {"in_slack": False}
            slack = min(stream.allocated_size - stream.size, _WHOLE)
            if slack > 0:
                for hit in self._scanner.matches(read(stream.size, slack)):
                    yield _shifted(hit, stream.size) | {"in_slack": True}

    def free(self, fs: OpenFileSystem, window: Window, report: Callable[[str], None]) -> Iterator[dict[str, Any]]:
        """Yield hits in free space; offsets are those of the file system. What cannot be read is zeros."""

        def read(start: int, length: int) -> bytes:
            self._moved()
            return b"".join(window_pieces(window, start, length))

        for start, length in free_ranges(fs):
            try:
                yield from self._windows(read, start, length, _FREE)
            except FileSystemError as error:
                report(f"free space from byte {start} of the file system on, {length} bytes: {error.message}")

    def _windows(
        self, read: Callable[[int, int], bytes], start: int, length: int, most: int
    ) -> Iterator[dict[str, Any]]:
        whole = length <= most
        told: set[tuple[str, int]] = set()
        for at in _starts(start, length, most):
            count = min(most, start + length - at)
            found = [_shifted(hit, at) for hit in self._scanner.matches(read(at, count))]
            for hit in found:
                if (hit["pattern"], hit["offset"]) not in told or not hit["strings"]:
                    yield hit if whole else hit | {"window": {"offset": at, "length": count}}
            told = {(hit["pattern"], each["offset"]) for hit in found for each in hit["strings"]}


def _starts(start: int, length: int, most: int) -> Iterable[int]:
    if length <= most:
        return (start,) if length else ()
    return range(start, start + length - _OVERLAP, most - _OVERLAP)


def _shifted(hit: dict[str, Any], by: int) -> dict[str, Any]:
    strings = [each | {"offset": each["offset"] + by} for each in hit["strings"]]
    return hit | {"offset": hit["offset"] + by, "strings": strings}
