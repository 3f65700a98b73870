"""A process beside a worker that makes the lines of its walks, so that finding and rendering have a processor each.

It is forked off the worker before that one opens the image, gives up as much as the worker and the image besides, and
never loads a C library. While a walk runs, everything that the worker says goes through it, in order; what it writes
is checked by the parent as ever. The worker's death ends its input: it writes what it has, and ends.
"""

from __future__ import annotations

import fcntl
import marshal
import os
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from forensiq.analysis.channel import Channel
from forensiq.analysis.forms import kind_of, rendering_of
from forensiq.analysis.printer import Batch, Item, Printer
from forensiq.analysis.rendering import JsonLines
from forensiq.analysis.sandbox import enter_sandbox
from forensiq.streams.frames import ENTRIES_DONE, HEADER, FrameKind, FrameWriter

__all__ = ["FormatterLink", "fork_formatter"]

_WALK, _STEPS = 200, 201
"""Kinds of frames that only the worker and its formatter know."""
_BATCH, _GIVE, _TEXT, _DONE = range(4)
_VERSION = 2
"""Of marshal: the last one that does not look for values that are the same, which costs more than it saves."""
_AT_ONCE = 1500
_BYTES = _PIPE = 1 << 20
_LARGEST = 1 << 30
"""Bytes of a frame between the two, which share what memory they may have."""


class FormatterLink:
    """The worker's end: a :class:`~forensiq.analysis.printer.Sink` for one walk, and the way for its other frames."""

    def __init__(self, descriptor: int) -> None:
        """``descriptor`` is the writing end of the formatter's input, owned from now on."""
        self._out = FrameWriter(descriptor, _LARGEST)
        self._steps: list[tuple[Any, ...]] = []
        self._entries = self._bytes = self._number = 0

    def begin(self, request: Mapping[str, Any]) -> None:
        """Begin a walk that renders as ``request`` says."""
        self._out.send(_WALK, marshal.dumps(dict(request), _VERSION))

    def batch(self, batch: Batch) -> None:
        self._number += 1
        batch.number = self._number
        names = "\0".join(batch.names)
        addresses = array("Q", batch.addresses).tobytes()
        self._steps.append(
            (_BATCH, batch.number, batch.path, names, addresses, bytes(batch.kinds), batch.loaded, batch.files)
        )
        self._bytes += len(batch.path) + len(names) + len(batch.loaded)
        if batch.files is not None:
            self._bytes += sum(len(stream or "") for streams, _ in batch.files for _, stream, _ in streams)

    def give(self, items: Sequence[Item]) -> None:
        for item in items:
            if isinstance(item, str):
                self._steps.append((_TEXT, item))
                self._entries += 1
                self._bytes += len(item)
            else:
                batch, low, high = item
                self._steps.append((_GIVE, batch.number, low, high))
                self._entries += high - low
        if self._entries >= _AT_ONCE or self._bytes >= _BYTES:
            self._flush()

    def done(self, batch: Batch) -> None:
        self._steps.append((_DONE, batch.number))

    def send(self, kind: int, payload: bytes | memoryview = b"") -> None:
        """Send any other frame, behind what was given before."""
        self._flush()
        self._out.send(kind, payload)

    def _flush(self) -> None:
        if self._steps:
            self._out.send(_STEPS, marshal.dumps(self._steps, _VERSION))
            self._steps = []
            self._entries = self._bytes = 0


class _Lines:
    """The formatter's side of one walk."""

    def __init__(self, request: Mapping[str, Any], channel: Channel) -> None:
        place = int(request["partition"]), int(request["offset"])
        self._channel = channel
        self._drop = int(request.get("drop", 0))
        self._printer = Printer(rendering_of(request, *place), JsonLines(*place), self._emit)
        self._batches: dict[int, Batch] = {}
        channel.kind = kind_of(request)
        channel.sorts = bool(request.get("events"))

    def _emit(self, lines: Sequence[str]) -> None:
        if self._drop:
            single = "\n".join(lines).split("\n")
            lines, self._drop = single[self._drop :], max(0, self._drop - len(single))
        self._channel.lines(lines)

    def follow(self, steps: Iterable[tuple[Any, ...]]) -> None:
        """Do what the worker says."""
        batches, printer = self._batches, self._printer
        for step in steps:
            if step[0] == _GIVE:
                _, number, low, high = step
                printer.give(((batches[number], low, high),))
            elif step[0] == _BATCH:
                _, number, path, names, addresses, kinds, loaded, files = step
                inodes = array("Q", addresses).tolist()
                batch = Batch(path, names.split("\0"), inodes, list(kinds), loaded, files, number)
                batches[number] = batch
                printer.batch(batch)
            elif step[0] == _TEXT:
                printer.give((step[1],))
            else:
                del batches[step[1]]


def _serve(incoming: BinaryIO, out: FrameWriter) -> None:
    """Follow a worker until its frames end, also in the middle of one."""
    channel = Channel(out, memoryview(bytearray(8 * (ENTRIES_DONE + 1))).cast("q"))
    lines: _Lines | None = None
    while len(head := incoming.read(HEADER.size)) == HEADER.size:
        length, kind = HEADER.unpack(head)
        payload = incoming.read(length)
        if len(payload) < length:
            break
        # Marshal believes what it reads; whoever has taken over the worker gains nothing by taking over this process.
        if kind == _WALK:
            lines = _Lines(marshal.loads(payload), channel)  # noqa: S302
        elif kind == _STEPS and lines is not None:
            lines.follow(marshal.loads(payload))  # noqa: S302
        else:
            channel.send(FrameKind(kind), payload)
    channel.flush_lines()


def fork_formatter(out: FrameWriter, requests: BinaryIO, readable: Iterable[str], memory: int) -> FormatterLink:
    """Start one, and return the way to it; it writes to ``out``. Call this with one thread, before an image is open."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
    if os.fork():
        os.close(reading)
        return FormatterLink(writing)
    code = 1
    try:
        os.close(writing)
        os.close(0)
        requests.close()
        enter_sandbox(readable, memory)
        _serve(os.fdopen(reading, "rb"), out)
        code = 0
    finally:
        # Not the way out that the worker's code would take.
        os._exit(code)
