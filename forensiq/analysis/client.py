"""The parent's side of a worker process: starts it, asks it, watches it, and survives it.

A worker that dies, hangs or breaks the protocol is a :class:`WorkerDied`, which tells where it was; who asked decides
what that costs. It hangs when nothing moves (no answer, no entry, no read of the image) for ``stall`` seconds.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import forensiq
from forensiq.analysis.opening import ImageRef
from forensiq.clock import monotonic
from forensiq.errors import ForensiqError, ImageFormatError, MissingSegmentError, SourceError
from forensiq.streams.closing import Closing
from forensiq.streams.frames import ENTRIES_DONE, HEADER, LARGEST_FRAME, NEED, NEEDED, FrameKind, SharedCells

__all__ = ["RequestFailed", "Worker", "WorkerDied", "WorkerPlace"]

_MEMORY = 4 << 30
_STALL = 60.0
_PLAIN = bytes(range(0x20, 0x7F)) + b"\n"
_UNSAFE_TEXT = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")
_READ = 1 << 20
_MOST_SERVED = 16 << 20
_ERRORS = {each.__name__: each for each in (ImageFormatError, MissingSegmentError, SourceError)}


def _is_plain(payload: bytes) -> bool:
    return not payload.translate(None, _PLAIN)


def _is_text(payload: bytes) -> bool:
    return _UNSAFE_TEXT.search(payload) is None


def _is_printable(payload: bytes) -> bool:
    try:
        return payload.replace(b"\n", b"").decode().isprintable()
    except UnicodeDecodeError:
        return False


_CHECKS = {FrameKind.LINES: _is_plain, FrameKind.TEXT: _is_text, FrameKind.ROWS: _is_printable}
"""What the lines of a frame must be, whatever the process that sent them has become."""


class RequestFailed(Exception):
    """The worker is well, but could not do what it was asked; ``kind`` names its error. Never leaves the analysis."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class WorkerPlace:
    """Where a worker was when it was last seen: directory, entry in it, entries done before. Numbers are hostile."""

    def __init__(self, inode: int, index: int, done: int = 0) -> None:
        self.inode = inode
        self.index = index
        self.done = done


class WorkerDied(Exception):
    """A worker crashed, hung, ran out of memory or broke the protocol; ``place`` tells where it was.

    Never leaves the analysis: it becomes a loss with its place, or a sentence for people.
    """

    def __init__(self, reason: str, place: WorkerPlace) -> None:
        self.message = f"the process that reads the image {reason}"
        super().__init__(self.message)
        self.reason = reason
        self.place = place


class Worker(Closing):
    """One worker process over one image. Use it from one thread at a time."""

    def __init__(
        self, reference: ImageRef, *, memory: int = _MEMORY, stall: float = _STALL, formatter: bool = False
    ) -> None:
        """Start it and wait until it has locked itself in.

        ``memory`` in bytes, ``stall`` in seconds. With ``formatter`` a second process makes the lines of its walks
        (:mod:`forensiq.analysis.formatter`). Raises what opening the image raises, or :class:`WorkerDied`.
        """
        self._stall = stall
        self._served = served = reference.served
        self._buffer = bytearray()
        self._shared = SharedCells()
        self._cells = self._shared.cells
        environment = {key: value for key, value in os.environ.items() if not key.startswith("FORENSIQ_")}
        here = str(Path(forensiq.__file__).resolve().parent.parent)
        environment["PYTHONPATH"] = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "forensiq.analysis.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pipesize=_READ,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._shared.descriptor,),
            env=environment,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout.fileno()
        start = {
            "path": str(Path(reference.path).absolute()),
            "format": reference.format,
            "segments_in": [str(Path(each).absolute()) for each in reference.segments_in],
            "sector_size": reference.sector_size,
            "progress": self._shared.descriptor,
            "memory": memory,
            "formatter": formatter,
            "served": None if served is None else [served.size, served.sector_size],
        }
        with ExitStack() as undo:
            undo.callback(self.close)
            self._send(start)
            self.facts = self._first_answer()
            undo.pop_all()

    def _first_answer(self) -> Mapping[str, Any]:
        kind, payload = self._frame()
        value = self._object(payload)
        if kind is FrameKind.FAILED:
            error = _ERRORS.get(str(value.get("kind")), ForensiqError)
            raise error(str(value.get("message")))
        return value

    def place(self) -> WorkerPlace:
        """Return where the worker is."""
        return WorkerPlace(self._cells[0], self._cells[1], self._cells[ENTRIES_DONE])

    def ask(self, do: str, **facts: object) -> Iterator[tuple[FrameKind, bytes]]:
        """Ask and yield the frames of the answer (lines, data, values, reports).

        Raises :class:`RequestFailed` or :class:`WorkerDied`. An answer that is not read to its end leaves the worker
        busy: close it then.
        """
        self._send({"do": do, **facts})
        while True:
            kind, payload = self._frame()
            if kind is FrameKind.DONE:
                return
            if kind is FrameKind.FAILED:
                value = self._object(payload)
                raise RequestFailed(str(value.get("kind")), str(value.get("message")))
            yield kind, payload

    def value(self, do: str, **facts: object) -> Mapping[str, Any]:
        """Ask for one JSON object."""
        result: Mapping[str, Any] = {}
        for kind, payload in self.ask(do, **facts):
            if kind is FrameKind.VALUE:
                result = self._object(payload)
        return result

    def close(self) -> None:
        """End the worker; may be called twice."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._input.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._shared.close()

    def _send(self, value: object) -> None:
        try:
            self._input.write(json.dumps(value).encode("ascii") + b"\n")
            self._input.flush()
        except BrokenPipeError:
            raise self._dead() from None

    def _frame(self) -> tuple[FrameKind, bytes]:
        """Return the next frame that is an answer; reads that the worker needs are done meanwhile."""
        while (frame := self._next_frame())[0] is FrameKind.NEED:
            self._serve(frame[1])
        return frame

    def _serve(self, payload: bytes) -> None:
        served = self._served
        if served is None or len(payload) != NEED.size:
            raise WorkerDied("broke the protocol", self.place())
        offset, length = NEED.unpack(payload)
        if length > _MOST_SERVED or offset + length > served.size:
            raise WorkerDied("broke the protocol", self.place())
        data = served.read(offset, length)
        try:
            self._input.write(NEEDED.pack(-1 if data is None else len(data)) + (data or b""))
            self._input.flush()
        except BrokenPipeError:
            raise self._dead() from None

    def _next_frame(self) -> tuple[FrameKind, bytes]:
        self._fill(HEADER.size)
        length, number = HEADER.unpack_from(self._buffer)
        if length > LARGEST_FRAME or number not in set(FrameKind):
            raise WorkerDied("broke the protocol", self.place())
        self._fill(HEADER.size + length)
        payload = bytes(memoryview(self._buffer)[HEADER.size : HEADER.size + length])
        del self._buffer[: HEADER.size + length]
        kind = FrameKind(number)
        check = _CHECKS.get(kind)
        if check is not None and not (payload.endswith(b"\n") and check(payload)):
            raise WorkerDied("broke the protocol", self.place())
        return kind, payload

    def _fill(self, size: int) -> None:
        """Read until the buffer holds ``size`` bytes, watching that the worker moves."""
        seen: tuple[int, ...] = ()
        since = monotonic()
        while len(self._buffer) < size:
            ready, _, _ = select.select([self._output], [], [], 1.0)
            if ready:
                data = os.read(self._output, _READ)
                if not data:
                    raise self._dead()
                self._buffer += data
                since = monotonic()
                continue
            now = tuple(self._cells[:4])
            if now != seen:
                seen, since = now, monotonic()
            elif monotonic() - since > self._stall:
                self._process.kill()
                raise WorkerDied(f"did not move for {self._stall:.0f} seconds and was ended", self.place())

    def _dead(self) -> WorkerDied:
        code = self._process.wait()
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            return WorkerDied(f"crashed ({name})", self.place())
        return WorkerDied(f"ended unexpectedly (exit code {code})", self.place())

    def _object(self, payload: bytes) -> dict[str, Any]:
        try:
            value = json.loads(payload)
        except ValueError:
            raise WorkerDied("broke the protocol", self.place()) from None
        if not isinstance(value, dict):
            raise WorkerDied("broke the protocol", self.place())
        return value
