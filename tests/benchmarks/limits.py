"""What the machine can do at best: CPU seconds of digests, deflate and copy, each measured alone, divided by cores."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from isal import isal_zlib

__all__ = ["cpu_limit", "measure_limit"]

_CHUNK = 32 << 10
_PIECE = 4 << 20


def measure_limit(source: Path, *, deflate: bool, block_digest: bool, stored_share: float) -> float:
    """Return :func:`cpu_limit`, measured in a process of its own.

    It holds the whole medium in memory, and the peak memory of a process starts with that of the one that made it.
    """
    arguments = [str(source), str(int(deflate)), str(int(block_digest)), str(stored_share)]
    command = [sys.executable, "-m", "tests.benchmarks.limits", *arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def cpu_limit(source: Path, *, deflate: bool, block_digest: bool, stored_share: float) -> float:
    """Return the least wall seconds for an acquisition of ``source`` with MD5 and SHA-256 on this machine.

    ``deflate`` for an E01 (zeros are free, incompressible chunks cost one attempt in eight); ``block_digest`` adds a
    second SHA-256 of what is not zero; ``stored_share`` is the part of the medium whose stored form is digested too.
    """
    pieces: list[bytes] = []
    with source.open("rb") as file:
        while piece := file.read(_PIECE):
            pieces.append(piece)
    zeros = bytes(_PIECE)
    full = [piece for piece in pieces if piece != zeros[: len(piece)]]
    md5, sha256, sha256_of_blocks = hashlib.md5(), hashlib.sha256(), hashlib.sha256()
    buffer = bytearray(_PIECE)
    total = _cpu(md5.update, pieces)
    total += _cpu(sha256.update, pieces) * (1 + stored_share)
    total += _cpu(lambda piece: _copy(piece, buffer), pieces)
    if block_digest:
        total += _cpu(sha256_of_blocks.update, full)
    total += _cpu(_deflate if deflate else lambda piece: _copy(piece, buffer), full)
    return total / len(os.sched_getaffinity(0))


def _cpu(work: Callable[[bytes], None], pieces: Sequence[bytes]) -> float:
    start = time.process_time()
    for piece in pieces:
        work(piece)
    return time.process_time() - start


def _copy(piece: bytes, buffer: bytearray) -> None:
    buffer[: len(piece)] = piece


def _deflate(piece: bytes) -> None:
    view = memoryview(piece)
    hard = False
    for start in range(0, len(view), _CHUNK):
        chunk = view[start : start + _CHUNK]
        hard = len(isal_zlib.compress(chunk[-4096:] if hard else chunk, 2)) >= (4096 if hard else len(chunk))


if __name__ == "__main__":
    print(
        cpu_limit(
            Path(sys.argv[1]),
            deflate=sys.argv[2] == "1",
            block_digest=sys.argv[3] == "1",
            stored_share=float(sys.argv[4]),
        )
    )
