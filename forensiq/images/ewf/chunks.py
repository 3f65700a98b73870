"""Ranges of the medium from chunks: many at once, each checked."""

from __future__ import annotations

from collections.abc import Sequence

from forensiq.errors import ImageDamageError
from forensiq.images.ewf.decode import DecodedChunk, decode_chunk, inflate_exactly, plain_exactly, stored_bound
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.ewf.groups import Gap
from forensiq.images.ewf.index import ChunkIndex, LoadedTable, StoredChunk
from forensiq.images.ewf.layout import COMPRESSED, MAX_TABLE_OFFSET
from forensiq.model.extent import Extent
from forensiq.model.finding import Damage

__all__ = ["ChunkReader"]

_SPAN = 8 << 20
"""Stored bytes that are read at once, at most: one call of the system for a run of chunks."""


class ChunkReader:
    """Reads media bytes through a :class:`ChunkIndex`; holds nothing that a thread could spoil for another."""

    def __init__(
        self,
        files: SegmentFiles,
        names: Sequence[str],
        index: ChunkIndex,
        missing: Sequence[tuple[int, int, Gap]],
        size: int,
        chunk_size: int,
    ) -> None:
        self._files = files
        self._names = names
        self._index = index
        self._size = size
        self._chunk = chunk_size
        self._bound = stored_bound(chunk_size)
        self._at_once = max(1, _SPAN // 2 // self._bound)
        self.missing: tuple[Damage, ...] = tuple(
            Damage(extent, None if gap.segment is None else names[gap.segment], gap.code, gap.reason)
            for first, count, gap in missing
            if (extent := Extent.between(min(first * chunk_size, size), min((first + count) * chunk_size, size)))
        )

    def read(self, offset: int, buffer: memoryview) -> tuple[int, Sequence[Damage]]:
        """Fill ``buffer`` from ``offset`` of the medium on; damage is clipped to what was asked for."""
        end = min(offset + len(buffer), self._size)
        if offset >= end:
            return 0, ()
        whole = Extent.between(offset, end)
        damage: list[Damage] = []
        number = offset // self._chunk
        last = (end - 1) // self._chunk
        while number <= last:
            number = self._run(number, last, whole, buffer, damage)
        return end - offset, damage

    def sound_chunk(self, number: int) -> bytes:
        """Return one chunk; :class:`~forensiq.errors.ImageDamageError` where it is not in order."""
        whole = self._plainly(number)
        if whole is not None:
            return whole
        start = number * self._chunk
        data = bytearray(min(self._chunk, self._size - start))
        _, damage = self.read(start, memoryview(data))
        if damage:
            reason = damage[0].reason
            raise ImageDamageError(
                f"{len(data)} bytes at offset {start} of the medium are damaged: {reason}",
                offset=start,
                length=len(data),
                segment=damage[0].segment,
                code=damage[0].code,
                reason=reason,
            )
        return bytes(data)

    def _plainly(self, number: int) -> bytes | None:
        """Return a chunk that is in every way in order, by the shortest way; ``None`` for any other."""
        if (number + 1) * self._chunk > self._size:
            return None
        try:
            table = self._index.table(number)
            if table is None:
                return None
            stored = table.locate(number)
            if not 0 < stored.length <= self._bound:
                return None
            data = self._files.read(stored.segment, stored.offset, stored.length)
        except ImageDamageError:
            return None
        if stored.compressed:
            return inflate_exactly(data, self._chunk)
        plain = plain_exactly(memoryview(data), self._chunk)
        return None if plain is None else bytes(plain)

    def find_tail(self, sector_size: int) -> bytes:
        """Return what the last chunk holds beyond the end of the medium: less than a sector, mostly nothing."""
        number = (self._size - 1) // self._chunk
        try:
            table = self._index.table(number)
            if table is None:
                return b""
            stored = table.locate(number)
            data = self._files.read(stored.segment, stored.offset, min(stored.length, self._bound))
        except ImageDamageError:
            return b""
        size = self._size - number * self._chunk
        return decode_chunk(data, compressed=stored.compressed, size=size, spare=sector_size - 1).tail

    def _run(self, number: int, last: int, whole: Extent, buffer: memoryview, damage: list[Damage]) -> int:
        """Read chunks from ``number`` on that lie one behind the other in one file; return the next number."""
        try:
            table = self._index.table(number)
        except ImageDamageError as error:
            return self._lost(number, number, whole, buffer, damage, "file.unreadable", str(error), None)
        if table is None:
            return self._absent(number, last, whole, buffer, damage)
        group = table.group
        stop = min(last, group.first + group.count - 1)
        done = self._quick(number, stop, table, whole, buffer)
        if done > number:
            return done
        stored = table.locate(number)
        try:
            piece = memoryview(self._files.read(stored.segment, stored.offset, min(stored.length, self._bound)))
        except ImageDamageError as error:
            return self._lost(number, number, whole, buffer, damage, "file.unreadable", str(error), group.segment)
        self._one(number, stored, piece, table, whole, buffer, damage)
        return number + 1

    def _quick(self, number: int, stop: int, table: LoadedTable, whole: Extent, buffer: memoryview) -> int:
        """Read whole chunks from ``number`` on as long as all is in order; return the first one that was not read.

        One call of the system for many chunks, and as little Python for each as can be: this is where the time goes.
        """
        size, group = self._chunk, table.group
        stop = min(stop, (whole.end // size) - 1, number + self._at_once - 1)
        if stop < number or number * size < whole.offset:
            return number
        at = number - group.first
        entries = table.entries[at : stop - group.first + 2]
        bounds = [group.base + (entry & MAX_TABLE_OFFSET) for entry in entries]
        if len(bounds) < stop - number + 2:
            bounds.append(group.end)
        start = bounds[0]
        if start < group.start or bounds[-1] > group.end or bounds != sorted(bounds) or bounds[-1] - start > _SPAN:
            return number
        try:
            data = memoryview(self._files.read(group.segment, start, bounds[-1] - start))
        except ImageDamageError:
            return number
        target = number * size - whole.offset
        begin = 0
        plain: bytes | memoryview | None
        for index in range(stop - number + 1):
            end = bounds[index + 1] - start
            stored = data[begin:end]
            if entries[index] & COMPRESSED:
                plain = inflate_exactly(stored, size) if end - begin <= self._bound else None
            else:
                plain = plain_exactly(stored, size)
            if plain is None:
                return number + index
            buffer[target : target + size] = plain
            target += size
            begin = end
        return stop + 1

    def _one(
        self,
        number: int,
        stored: StoredChunk,
        piece: memoryview,
        table: LoadedTable,
        whole: Extent,
        buffer: memoryview,
        damage: list[Damage],
    ) -> None:
        first = number * self._chunk
        size = min(self._chunk, self._size - first)
        spare = self._chunk - size if first + size == self._size else 0
        result = decode_chunk(piece, compressed=stored.compressed, size=size, spare=spare)
        if result.code is not None:
            result = self._second_try(number, size, spare, table, stored, result)
        extent = Extent(first, size)
        wanted = extent.intersect(whole)
        target = wanted.offset - whole.offset
        if wanted == extent:
            buffer[target : target + size] = result.data
        else:
            buffer[target : target + wanted.length] = memoryview(result.data)[wanted.offset - first :][: wanted.length]
        if result.code is not None:
            damage.append(Damage(wanted, self._names[stored.segment], result.code, result.reason))

    def _second_try(
        self, number: int, size: int, spare: int, table: LoadedTable, stored: StoredChunk, first: DecodedChunk
    ) -> DecodedChunk:
        """Look where ``table2`` says, if it says something else."""
        if stored.length <= 0:
            first = DecodedChunk(bytes(size), "chunk.location", "the table says an impossible place for the chunk")
        if table.second is None:
            return first
        other = table.locate(number, second=True)
        if other == stored:
            return first
        try:
            data = self._files.read(other.segment, other.offset, min(other.length, self._bound))
        except ImageDamageError:
            return first
        second = decode_chunk(data, compressed=other.compressed, size=size, spare=spare)
        return second if second.code is None else first

    def _absent(self, number: int, last: int, whole: Extent, buffer: memoryview, damage: list[Damage]) -> int:
        position = number * self._chunk
        for each in self.missing:
            if position in each.media:
                final = min(last, (each.media.end - 1) // self._chunk)
                self._zero(number, final, whole, buffer, damage, each.code, each.reason, each.segment)
                return final + 1
        return self._lost(number, number, whole, buffer, damage, "chunk.missing", "no table holds the chunk", None)

    def _lost(
        self,
        number: int,
        final: int,
        whole: Extent,
        buffer: memoryview,
        damage: list[Damage],
        code: str,
        reason: str,
        segment: int | None,
    ) -> int:
        name = None if segment is None else self._names[segment]
        self._zero(number, final, whole, buffer, damage, code, reason, name)
        return final + 1

    def _zero(
        self,
        number: int,
        final: int,
        whole: Extent,
        buffer: memoryview,
        damage: list[Damage],
        code: str,
        reason: str,
        segment: str | None,
    ) -> None:
        wanted = Extent(number * self._chunk, (final - number + 1) * self._chunk).intersect(whole)
        target = wanted.offset - whole.offset
        buffer[target : target + wanted.length] = bytes(wanted.length)
        damage.append(Damage(wanted, segment, code, reason))
