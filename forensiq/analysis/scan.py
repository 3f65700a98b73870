"""Searches for byte patterns in streams, their slack, and free blocks, inside the worker."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec import Struct

from forensiq.analysis.content import opened_stream, pieces
from forensiq.analysis.native.base import NativeFileSystem
from forensiq.analysis.tsk import TskFileSystem
from forensiq.analysis.window import Window

__all__ = ["Pattern", "compile_patterns", "free_ranges", "scan_pieces", "scan_stream", "window_pieces"]

_OVERLAP = 4096
"""Bytes that are looked at again with the next piece: a match may be this long."""
_CONTEXT = 32
_MOST_HITS = 1000
"""Hits told for each stream and pattern."""


class Pattern(Struct, frozen=True):
    """One thing that is looked for; ``wide`` patterns are looked for in every second byte, the others being zero."""

    name: str
    expression: re.Pattern[bytes]
    encoding: str
    wide: bool = False


def compile_patterns(texts: Iterable[str], expressions: Iterable[str], hexes: Iterable[str]) -> list[Pattern]:
    """Return the patterns for literal texts (UTF-8 and UTF-16), regular expressions and bytes in hex.

    ``re.error`` or ``ValueError`` where one cannot be understood.
    """
    patterns = []
    for text in texts:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            raw = re.escape(text.encode(encoding))
            patterns.append(Pattern(text, re.compile(raw, re.IGNORECASE if text.isascii() else 0), encoding))
    for expression in expressions:
        compiled = re.compile(expression.encode("utf-8"), re.DOTALL)
        patterns.append(Pattern(expression, compiled, "utf-8"))
        patterns.append(Pattern(expression, compiled, "utf-16", wide=True))
    patterns += [Pattern(text, re.compile(re.escape(bytes.fromhex(text)), re.DOTALL), "bytes") for text in hexes]
    return patterns


def scan_pieces(parts: Iterable[bytes | memoryview], patterns: list[Pattern]) -> Iterator[dict[str, Any]]:
    """Yield hits (``offset`` from the first byte, ``length``, ``pattern``, ``encoding``, ``context``), each once."""
    tail = b""
    start = 0
    counts: dict[str, int] = {}
    reached = [-1] * len(patterns)
    for part in parts:
        data = tail + part
        base = start - len(tail)
        for number, pattern in enumerate(patterns):
            for low, high in _matches(pattern, data):
                if base + low <= reached[number] or counts.get(pattern.name, 0) >= _MOST_HITS:
                    continue
                reached[number] = base + low
                counts[pattern.name] = counts.get(pattern.name, 0) + 1
                context = data[max(0, low - _CONTEXT) : high + _CONTEXT]
                yield {
                    "offset": base + low,
                    "length": high - low,
                    "pattern": pattern.name,
                    "encoding": pattern.encoding,
                    "context": context.hex(),
                }
        start += len(part)
        tail = data[-_OVERLAP:]


def _matches(pattern: Pattern, data: bytes) -> Iterator[tuple[int, int]]:
    if not pattern.wide:
        for match in pattern.expression.finditer(data):
            if match.end() > match.start():
                yield match.start(), match.end()
        return
    for shift in (0, 1):
        every_second, others = data[shift::2], data[1 - shift :: 2]
        for match in pattern.expression.finditer(every_second):
            low, high = match.span()
            # Little-endian: the zero follows (shift 0); big-endian: it comes first (shift 1).
            if high > low and not any(others[low:high]):
                yield 2 * low, 2 * high


def scan_stream(
    fs: TskFileSystem | NativeFileSystem, entry: dict[str, Any], patterns: list[Pattern], moved: Callable[[], None]
) -> Iterator[dict[str, Any]]:
    """Yield hits in a stream and in the slack behind it (``in_slack``)."""
    with opened_stream(fs, entry["inode"], entry.get("attribute")) as stream:
        size = stream.size

        def counted() -> Iterator[memoryview]:
            for piece in pieces(stream, slack=True):
                moved()
                yield piece

        for hit in scan_pieces(counted(), patterns):
            yield hit | {"in_slack": hit["offset"] + hit["length"] > size}


def free_ranges(fs: TskFileSystem | NativeFileSystem) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) in bytes of the file system of consecutive blocks that are not in use."""
    if isinstance(fs, NativeFileSystem):
        yield from fs.free_ranges()
        return
    block = fs.block_size
    start: int | None = None
    for number in range(fs.info.first_block, fs.info.last_block_act + 1):
        if fs.block_flags(number) & 0x02:
            start = number if start is None else start
        elif start is not None:
            yield start * block, (number - start) * block
            start = None
    if start is not None:
        yield start * block, (fs.info.last_block_act + 1 - start) * block


def window_pieces(window: Window, offset: int, length: int, step: int = 1 << 20) -> Iterator[bytes]:
    """Yield the bytes of a range of a window, zeros where they cannot be read."""
    for at in range(offset, offset + length, step):
        count = min(step, offset + length - at)
        yield window.read(at, count).ljust(count, b"\0")
