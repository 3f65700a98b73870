"""The process that parses evidence: opens the image, locks itself in, and answers requests until its input ends.

Started by :mod:`forensiq.analysis.client` as ``python -m forensiq.analysis.worker``, with one line of JSON on stdin
that says what to open. It has no way to write to a file or to reach the network, and only so much memory; when a C
library crashes or hangs in it, the parent loses one answer and starts another.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from forensiq.analysis.opening import ImageRef, open_reference
from forensiq.analysis.orphan import end_with_parent
from forensiq.analysis.requested import RequestedMedium
from forensiq.analysis.sandbox import enter_sandbox
from forensiq.errors import ForensiqError
from forensiq.images.base import EvidenceImage
from forensiq.streams.frames import ENTRIES_DONE, LARGEST_FRAME, FrameKind, FrameWriter, SharedCells

__all__ = ["Channel", "main"]

_BATCH = 1500
"""Lines in a frame: about 500 KiB."""


_HEAVY = 64 << 20
"""Bytes of content whose lines may be held back."""


class Channel:
    """The way to the parent."""

    def __init__(self, out: FrameWriter, cells: memoryview) -> None:
        self._out = out
        self._cells = cells
        self._done = 0
        self._weight = 0
        self._lines: list[str] = []
        self.kind = FrameKind.LINES
        """What the lines are."""

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


def _readable(image: EvidenceImage, reference: ImageRef) -> set[str]:
    """Return where the image is."""
    first = Path(reference.path).resolve()
    places = {str(first.parent if first.is_file() else first), *reference.segments_in}
    return places | {str((first.parent / segment.path).resolve().parent) for segment in image.segments}


def _program() -> set[str]:
    """Return what is needed besides: Python with its packages, the system's libraries, forensiq itself."""
    places = {path for path in sys.path if path}
    places |= {sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    return places | {"/lib", "/lib64", "/usr/lib", "/usr/lib64", sys.base_prefix, "/dev/null", "/dev/urandom"}


def _serve(image: EvidenceImage | RequestedMedium, channel: Channel, cells: memoryview, requests: BinaryIO) -> None:
    # Imported late, inside the sandbox: this is where the C library is loaded.
    from forensiq.analysis.file_system_error import FileSystemError
    from forensiq.analysis.requests import HANDLERS
    from forensiq.analysis.session import Session

    session = Session(image, channel, cells)
    handlers: dict[str, Callable[[Session, dict[str, Any]], None]] = HANDLERS
    for line in requests:
        request = json.loads(line)
        channel.forget_done()
        try:
            handlers[request["do"]](session, request)
        except (ForensiqError, FileSystemError) as error:
            channel.value(FrameKind.FAILED, {"kind": type(error).__name__, "message": error.message})
        except MemoryError:
            channel.value(FrameKind.FAILED, {"kind": "MemoryError", "message": "more memory needed than is allowed"})
        else:
            channel.send(FrameKind.DONE)


def main() -> None:
    """Serve one parent."""
    end_with_parent()
    # Nothing here makes reference cycles; looking for them costs a tenth of a walk.
    gc.disable()
    requests = os.fdopen(os.dup(0), "rb")
    out = FrameWriter(os.dup(1))
    # Whatever a library prints goes to the parent's error stream, never into the frames.
    os.dup2(2, 1)
    start = json.loads(requests.readline())
    cells = SharedCells(start["progress"]).cells
    channel = Channel(out, cells)
    if start["served"] is not None:
        size, sector_size = start["served"]
        report = enter_sandbox(_program(), start["memory"])
        facts = {"size": size, "sector_size": sector_size, "format": "served"}
        channel.value(FrameKind.VALUE, {"sandbox": asdict(report), **facts})
        _serve(RequestedMedium(size, sector_size, out, requests), channel, cells, requests)
        return
    reference = ImageRef(start["path"], start["format"], tuple(start["segments_in"]), start["sector_size"])
    try:
        image = open_reference(reference)
    except ForensiqError as error:
        channel.value(FrameKind.FAILED, {"kind": type(error).__name__, "message": error.message})
        return
    report = enter_sandbox(_readable(image, reference) | _program(), start["memory"])
    size = {"size": image.size, "sector_size": reference.sector_size or image.sector_size, "format": image.format}
    channel.value(FrameKind.VALUE, {"sandbox": asdict(report), **size})
    _serve(image, channel, cells, requests)


if __name__ == "__main__":
    main()
