"""What the file systems of the practice drive hold."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from msgspec import Struct

__all__ = ["PracticeFile", "noise"]


class PracticeFile(Struct, frozen=True):
    """One file: folders and name, content, when it was last changed, whether it is deleted."""

    path: tuple[str, ...]
    data: bytes
    modified: datetime = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
    deleted: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path[-1]


def noise(length: int, seed: str) -> bytes:
    """Return ``length`` bytes that cannot be compressed and are the same everywhere."""
    blocks = (hashlib.sha256(f"{seed}/{index}".encode()).digest() for index in range(-(-length // 32)))
    return b"".join(blocks)[:length]
