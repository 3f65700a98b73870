"""Sources and writers in memory, for tests of the stages between them."""

from __future__ import annotations

import random
import threading
from types import TracebackType
from typing import Self

from forensiq.errors import DestinationError, DestinationFullError
from forensiq.model.chunk import Batch
from forensiq.model.image import ClosingFacts, ImageManifest
from forensiq.model.source import SourceIdentity, SourceKind


class MemorySource:
    """A source over bytes."""

    def __init__(self, data: bytes, sector_size: int = 512, parallel_reads: int = 1) -> None:
        self.data = data
        self.size = len(data)
        self.sector_size = sector_size
        self.parallel_reads = parallel_reads
        self.identity = SourceIdentity(SourceKind.STREAM, "memory", len(data), sector_size)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        part = self.data[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        return len(part)

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        return self.read_into(offset, buffer)

    def close(self) -> None:
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MemoryWriter:
    """A writer that keeps the medium in memory; ``full_at`` is the byte at which it has no more room."""

    def __init__(self, chunk_size: int = 4096, full_at: int | None = None, fail_finish: bool = False) -> None:
        self.chunk_size = chunk_size
        self.full_at = full_at
        self.fail_finish = fail_finish
        self.stored = bytearray()
        self.state = "open"
        self.facts: ClosingFacts | None = None
        self.encoders: set[int] = set()

    def begin(self) -> None:
        return None

    def encode(self, batch: Batch) -> bytes:
        self.encoders.add(threading.get_ident())
        return bytes(batch.data)

    def write(self, encoded: bytes) -> None:
        assert self.state == "open"
        if self.full_at is not None and len(self.stored) + len(encoded) > self.full_at:
            raise DestinationFullError("no room left")
        self.stored += encoded

    def finish(self, facts: ClosingFacts) -> ImageManifest:
        assert self.state == "open"
        if self.fail_finish:
            raise DestinationError("cannot be closed")
        self.state = "finished"
        self.facts = facts
        return ImageManifest("memory", (), len(self.stored), 512)

    def suspend(self) -> None:
        assert self.state == "open"
        self.state = "suspended"

    def abort(self) -> None:
        self.state = "aborted"


def media(size: int, seed: int = 1) -> bytes:
    """Return bytes with zeros, text and noise in pieces of odd lengths."""
    source = random.Random(seed)
    parts: list[bytes] = []
    total = 0
    while total < size:
        length = source.randrange(1, 200_000)
        kind = source.randrange(3)
        part = b"\0" * length if kind == 0 else source.randbytes(length) if kind == 1 else (b"text %d " % total) * 99
        parts.append(part)
        total += len(part)
    return b"".join(parts)[:size]
