"""How a worker and its parent talk: requests as JSON lines, answers as frames of bounded length.

Frame: length of the payload (4 bytes, little-endian), kind (1 byte), payload. The parent believes nothing: lengths are
bounded, lines must be plain ASCII without control characters, JSON must have the right types.
"""

from __future__ import annotations

import struct
from enum import IntEnum

__all__ = ["HEADER", "LARGEST_FRAME", "FrameKind", "encode_frame"]

HEADER = struct.Struct("<IB")
LARGEST_FRAME = 8 * 1024 * 1024


class FrameKind(IntEnum):
    """What a payload is."""

    LINES = 1
    """Lines of JSON, each ended by a line feed."""
    DATA = 2
    """Bytes of a file or a medium."""
    REPORT = 3
    """A JSON object: something that could not be read, with its place."""
    VALUE = 4
    """A JSON object: the answer to a request."""
    DONE = 5
    """End of the answer; empty."""
    FAILED = 6
    """A JSON object: the request failed (``message``, ``kind``)."""


def encode_frame(kind: FrameKind, payload: bytes | memoryview) -> bytes:
    """Return the header of a frame; the payload follows it."""
    if len(payload) > LARGEST_FRAME:
        raise ValueError("a frame is too long")
    return HEADER.pack(len(payload), kind)
