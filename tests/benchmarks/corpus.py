"""The medium that is measured: a third zeros, a third compressible files, a third random, in extents of 16 MiB."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

__all__ = ["EXTENT", "build_corpus"]

EXTENT = 16 << 20
_FILES = Path("/usr")


def build_corpus(path: Path, size: int) -> None:
    """Write ``size`` bytes (a multiple of 48 MiB gives exact thirds) to ``path``; nothing of it is a hole.

    The files are programs, libraries and texts of this system (they deflate to about .45), in a fixed order.
    """
    files = _file_bytes()
    noise = random.Random(2026)
    with path.open("wb") as output:
        for number in range(-(-size // EXTENT)):
            length = min(EXTENT, size - number * EXTENT)
            kind = number % 3
            data = bytes(length) if kind == 0 else _take(files, length) if kind == 1 else noise.randbytes(length)
            output.write(data)


def _file_bytes() -> Iterator[bytes]:
    while True:
        for folder, folders, entries in os.walk(_FILES):
            folders.sort()
            for name in sorted(entries):
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink():
                    with path.open("rb") as file:
                        while piece := file.read(1 << 20):
                            yield piece


def _take(files: Iterator[bytes], count: int) -> bytes:
    parts: list[bytes] = []
    while count:
        part = next(files)[:count]
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
