"""What a worker says: lines, many in a frame, and single values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

from forensiq.streams.frames import ENTRIES_DONE, LARGEST_FRAME, FrameKind

__all__ = ["Channel", "FrameWay"]

_BATCH = 1500
"""Lines in a frame: about 500 KiB."""

_HEAVY = 64 << 20
"""Bytes of content whose lines may be held back."""


class FrameWay(Protocol):
    """Where frames go."""

    def send(self, kind: int, payload: bytes | memoryview = b"") -> None:
        """Send one frame."""


class Channel:
    """The way to the parent."""

    def __init__(self, out: FrameWay, cells: memoryview) -> None:
        self._out = out
        self._cells = cells
        self._done = 0
        self._weight = 0
        self._lines: list[str] = []
        self.kind = FrameKind.LINES
        """What the lines are."""
        self.sorts = False
        """Whether the lines of a frame are sorted: who sorts all of them later then has half of the work."""

    @property
    def way(self) -> FrameWay:
        """Where frames go now."""
        return self._out

    def through(self, way: FrameWay) -> None:
        """Send everything from now on another way."""
        self.flush_lines()
        self._out = way

    def send(self, kind: FrameKind, payload: bytes | memoryview = b"") -> None:
        """Send one frame, after what was held back."""
        self.flush_lines()
        self._out.send(kind, payload)

    def value(self, kind: FrameKind, value: object) -> None:
        """Send a JSON object."""
        self.send(kind, json.dumps(value).encode("ascii"))

    def line(self, text: str) -> None:
        """Send a line, with others."""
        self.lines((text,))

    def lines(self, lines: Sequence[str]) -> None:
        """Send lines, with others."""
        held = self._lines
        held += lines
        if len(held) >= _BATCH:
            self.flush_lines()

    def entry_done(self, number: int, lines: list[str], weight: int) -> None:
        """Send all lines of an entry together, with others; its number is shown to the parent when they are sent.

        ``weight`` (bytes that were read for it) bounds what must be done again when this process dies.
        """
        self._lines += lines
        self._done = number
        self._weight += weight
        if len(self._lines) >= _BATCH or self._weight >= _HEAVY:
            self.flush_lines()

    def flush_lines(self) -> None:
        """Send what was held back."""
        held, self._lines = self._lines, []
        if held and self.sorts:
            held = "\n".join(held).split("\n")
            held.sort()
        if held:
            payload = self._encoded(held)
            if len(payload) <= LARGEST_FRAME:
                self._out.send(self.kind, payload)
            else:
                self._one_by_one(held)
        self._cells[ENTRIES_DONE] = self._done
        self._weight = 0

    def _encoded(self, lines: Sequence[str]) -> bytes:
        text = "\n".join(lines) + "\n"
        return text.encode("ascii") if self.kind is FrameKind.LINES else text.encode("utf-8", "replace")

    def _one_by_one(self, lines: Sequence[str]) -> None:
        """Send lines alone; one that is longer than a frame may be becomes a report."""
        for line in lines:
            payload = self._encoded((line,))
            if len(payload) <= LARGEST_FRAME:
                self._out.send(self.kind, payload)
            else:
                facts = {"path": line[:200], "message": "its path is too long to be listed"}
                self._out.send(FrameKind.REPORT, json.dumps(facts).encode("ascii"))

    def forget_done(self) -> None:
        """Count entries anew: another question is answered now."""
        self._done = 0
        self._cells[ENTRIES_DONE] = 0

    def report(self, **facts: object) -> None:
        """Send something that could not be read."""
        self.value(FrameKind.REPORT, facts)
