"""Every chunk of an image, checked in parallel, and the digests of the medium in the same pass.

Each reading thread takes a free buffer first and the next piece of the medium second, so the piece that the digests
wait for always has a buffer. Finished pieces are put in order and fed to one thread for each algorithm. The buffers are
the memory bound, whatever the size of the medium.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from itertools import groupby

from msgspec import Struct

from forensiq.errors import Interrupted
from forensiq.images.base import EvidenceImage
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.model.extent import Extent, merge
from forensiq.model.finding import Damage
from forensiq.streams.buffers import Buffer, BufferPool
from forensiq.streams.crew import Crew
from forensiq.streams.digester import Digester
from forensiq.streams.failure import FirstFailure
from forensiq.streams.progress import Progress
from forensiq.streams.switching import quick_switches

__all__ = ["ContentResult", "check_content", "join_damage"]

_PIECE = 2 << 20
_MEMORY = 64 << 20
_MAX_RANGES = 100_000


class ContentResult(Struct, frozen=True):
    """What reading the medium showed. Sizes in bytes of the medium.

    ``digests`` are of the medium, ``tail_digests`` of the medium and the odd bytes behind it (empty where there are
    none); both are empty where no digest was asked for. ``ranges_left_out`` counts damaged ranges beyond those listed.
    """

    digests: DigestSet
    tail_digests: DigestSet
    damage: tuple[Damage, ...]
    damaged_bytes: int
    checked_bytes: int
    ranges_left_out: int = 0


def check_content(
    image: EvidenceImage,
    algorithms: Iterable[HashAlgorithm],
    *,
    extents: Sequence[Extent] | None = None,
    tail: bytes = b"",
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    threads: int | None = None,
) -> ContentResult:
    """Read ``extents`` of the medium (all of it without) and check every chunk of them.

    Digests with ``algorithms`` are of the extents in their order. ``progress`` gets the stages ``check`` and, with
    algorithms, ``hash``. A set ``stop`` ends the run with :class:`~forensiq.errors.Interrupted`.
    """
    with quick_switches():
        return _Check(image, tuple(algorithms), extents, tail, progress, stop, threads).run()


class _Check:
    def __init__(
        self,
        image: EvidenceImage,
        algorithms: Sequence[HashAlgorithm],
        extents: Sequence[Extent] | None,
        tail: bytes,
        progress: Progress | None,
        stop: threading.Event | None,
        threads: int | None,
    ) -> None:
        self.image = image
        self.tail = tail
        self.stop = stop or threading.Event()
        self.extents = [Extent(0, image.size)] if extents is None else list(extents)
        total = sum(extent.length for extent in self.extents)
        self.progress = progress or Progress(total)
        self.progress.begin("verifying", total, ["check", "hash"] if algorithms else ["check"])
        unit = image.chunk_size or 4096
        size = max(unit, _PIECE // unit * unit)
        self.pieces = (piece for extent in self.extents for piece in _aligned(extent, size))
        buffers = max(3, min(16, _MEMORY // size))
        wanted = threads or min(os.cpu_count() or 1, image.parallel_reads)
        self.threads = max(1, min(wanted, buffers - 2))
        self.failure = FirstFailure()
        self.pool = BufferPool(buffers, size, self.failure)
        self.digester = Digester(algorithms, self.failure, lambda count: self.progress.add("hash", count))
        self.hashing = bool(algorithms)
        self.lock = threading.Lock()
        self.taken = 0
        self.due = 0
        self.waiting: dict[int, tuple[Buffer, int]] = {}
        self.damage = _DamageList()
        self.checked = 0

    def run(self) -> ContentResult:
        try:
            with Crew(self.failure, self.threads) as crew:
                for _ in range(self.threads):
                    crew.start(self._work)
            if self.hashing and self.tail and not self.failure.stopped:
                self._feed_tail()
        finally:
            self.digester.stop()
        self.failure.raise_if_any()
        digests = self.digester.finish()
        return ContentResult(
            self.digester.marked() if self.tail else digests,
            digests if self.tail else DigestSet(),
            tuple(join_damage(self.damage.ranges)),
            self.damage.bytes,
            self.checked,
            self.damage.left_out,
        )

    def _work(self) -> None:
        while (buffer := self.pool.take()) is not None:
            with self.lock:
                piece = next(self.pieces, None)
                number = self.taken
                self.taken += piece is not None
            if piece is None:
                buffer.release()
                return
            if self.stop.is_set():
                buffer.release()
                raise Interrupted("the verification was stopped; the image is as it was")
            count, damage = self.image.read_checked(piece.offset, buffer.memory[: piece.length])
            self.progress.add("check", count)
            self._finish(number, buffer, count, damage)

    def _finish(self, number: int, buffer: Buffer, count: int, damage: Sequence[Damage]) -> None:
        with self.lock:
            self.checked += count
            if damage:
                self.damage.add(damage)
                for each in damage:
                    self.progress.add_unreadable(each.media.offset, each.media.length)
            self.waiting[number] = (buffer, count)
            while (ready := self.waiting.pop(self.due, None)) is not None:
                self.due += 1
                self.digester.feed(ready[0], ready[0].memory[: ready[1]])
                ready[0].release()

    def _feed_tail(self) -> None:
        self.digester.mark()
        buffer = self.pool.take()
        if buffer is not None:
            buffer.memory[: len(self.tail)] = self.tail
            self.digester.feed(buffer, buffer.memory[: len(self.tail)])
            buffer.release()


class _DamageList:
    def __init__(self) -> None:
        self.ranges: list[Damage] = []
        self.bytes = 0
        self.left_out = 0

    def add(self, damage: Sequence[Damage]) -> None:
        self.bytes += sum(each.media.length for each in damage)
        self.ranges += damage
        if len(self.ranges) > 2 * _MAX_RANGES:
            joined = join_damage(self.ranges)
            self.left_out += max(0, len(joined) - _MAX_RANGES)
            self.ranges = joined[:_MAX_RANGES]


def _aligned(extent: Extent, size: int) -> Iterable[Extent]:
    """Cut ``extent`` at multiples of ``size``, so that no chunk is read twice."""
    first, rest = extent.split_at(-(-extent.offset // size) * size)
    if first:
        yield first
    yield from rest.pieces(size)


def join_damage(damage: Iterable[Damage]) -> list[Damage]:
    """Return ``damage`` in order, with ranges that touch and say the same joined."""
    result: list[Damage] = []
    ordered = sorted(damage, key=lambda each: each.media)
    for (segment, code, reason), same in groupby(ordered, key=lambda each: (each.segment, each.code, each.reason)):
        result += [Damage(extent, segment, code, reason) for extent in merge(each.media for each in same)]
    return result
