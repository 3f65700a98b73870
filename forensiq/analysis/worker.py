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
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from msgspec.structs import asdict

from forensiq.analysis.channel import Channel
from forensiq.analysis.formatter import FormatterLink, fork_formatter
from forensiq.analysis.opening import ImageRef, open_reference
from forensiq.analysis.orphan import end_with_parent
from forensiq.analysis.requested import RequestedMedium
from forensiq.analysis.sandbox import enter_sandbox
from forensiq.errors import ForensiqError
from forensiq.images.base import EvidenceImage
from forensiq.streams.frames import FrameKind, FrameWriter, SharedCells

__all__ = ["main"]


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


def _serve(
    image: EvidenceImage | RequestedMedium,
    channel: Channel,
    cells: memoryview,
    requests: BinaryIO,
    formatter: FormatterLink | None = None,
) -> None:
    # Imported late, inside the sandbox: this is where the C library is loaded.
    from forensiq.analysis.file_system_error import FileSystemError
    from forensiq.analysis.requests import HANDLERS
    from forensiq.analysis.session import Session

    session = Session(image, channel, cells, formatter)
    handlers: dict[str, Callable[[Session, dict[str, Any]], None]] = HANDLERS
    for line in requests:
        request = json.loads(line)
        channel.forget_done()
        way = channel.way
        try:
            handlers[request["do"]](session, request)
        except (ForensiqError, FileSystemError) as error:
            channel.value(FrameKind.FAILED, {"kind": type(error).__name__, "message": error.message})
        except MemoryError:
            channel.value(FrameKind.FAILED, {"kind": "MemoryError", "message": "more memory needed than is allowed"})
        else:
            channel.send(FrameKind.DONE)
        channel.through(way)


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
    formatter = fork_formatter(out, requests, _program(), start["memory"]) if start["formatter"] else None
    reference = ImageRef(start["path"], start["format"], tuple(start["segments_in"]), start["sector_size"])
    try:
        image = open_reference(reference)
    except ForensiqError as error:
        channel.value(FrameKind.FAILED, {"kind": type(error).__name__, "message": error.message})
        return
    report = enter_sandbox(_readable(image, reference) | _program(), start["memory"])
    size = {"size": image.size, "sector_size": reference.sector_size or image.sector_size, "format": image.format}
    channel.value(FrameKind.VALUE, {"sandbox": asdict(report), **size})
    _serve(image, channel, cells, requests, formatter)


if __name__ == "__main__":
    main()
