"""SHA-256 of each file of an image."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from forensiq.errors import ImageDamageError, ImageFormatError, Interrupted
from forensiq.images.ewf.files import open_read_only
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.image import Segment

__all__ = ["hash_segments", "segment_file"]

_STEP = 4 << 20


def segment_file(folder: Path, segment: Segment) -> Path:
    """Return the path of a segment, given the folder of the first one."""
    return folder / segment.path


def hash_segments(
    folder: Path,
    segments: Sequence[Segment],
    *,
    done: Callable[[int], None] = lambda _count: None,
    stop: threading.Event | None = None,
) -> tuple[tuple[Segment, ...], tuple[Finding, ...]]:
    """Return the segments with the SHA-256 of their files; one that cannot be read to its end is a finding.

    ``done`` is called with the bytes of each piece.
    """
    result: list[Segment] = []
    findings: list[Finding] = []
    buffer = bytearray(_STEP)
    for segment in segments:
        path = segment_file(folder, segment)
        try:
            result.append(replace(segment, sha256=_digest(path, memoryview(buffer), done, stop)))
        except (ImageFormatError, ImageDamageError) as error:
            result.append(segment)
            findings.append(
                Finding(
                    Severity.ERROR, Cause.DATA, "file.unreadable", str(error), segment=segment.path, media=segment.media
                )
            )
    return tuple(result), tuple(findings)


def _digest(path: Path, buffer: memoryview, done: Callable[[int], None], stop: threading.Event | None) -> str:
    hasher = hashlib.sha256()
    descriptor, _ = open_read_only(path)
    try:
        offset = 0
        while count := os.preadv(descriptor, [buffer], offset):
            if stop is not None and stop.is_set():
                raise Interrupted("the verification was stopped; the image is as it was")
            hasher.update(buffer[:count])
            done(count)
            offset += count
    except OSError as error:
        raise ImageDamageError(f"{path} could not be read at byte {offset}: {error.strerror}") from error
    finally:
        os.close(descriptor)
    return hasher.hexdigest()
