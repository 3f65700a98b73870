"""One segment file while it is being written: its sections, and the table of the section that is open.

A ``sectors`` section begins with a descriptor of zeros, which is replaced when the section is closed; the tables
follow it. Until then the chunks behind it belong to no table: a run that stops there loses at most that section.
"""

from __future__ import annotations

import contextlib
import hashlib
from array import array
from itertools import accumulate, takewhile
from pathlib import Path

from forensiq.errors import DestinationError
from forensiq.images.ewf import config, layout
from forensiq.images.ewf.chunk import EncodedBatch
from forensiq.images.ewf.config import EwfConfig, closing_size, section, table_sections_size
from forensiq.images.output import OutputFile

__all__ = ["SegmentFile"]


class SegmentFile:
    """Appends chunks to one file, section by section.

    ``first_chunk`` is the number of its first chunk, ``chunks`` how many it holds, ``final`` its name when the image is
    finished, ``complete`` the file offset before which nothing changes any more. ``announced``, ``hashed``
    (file offsets) and ``sha256`` belong to the :class:`~forensiq.images.ewf.seal.Sealer`.
    """

    def __init__(self, number: int, first_chunk: int, final: Path, output: OutputFile, settings: EwfConfig) -> None:
        self.number = number
        self.first_chunk = first_chunk
        self.chunks = 0
        self.final = final
        self.output = output
        self.sha256 = hashlib.sha256()
        self.complete = 0
        self.announced = 0
        self.hashed = 0
        self._limit = settings.segment_size - closing_size(settings)
        self._start: int | None = None
        self._entries = array("I")
        self._torn = False

    @property
    def has_open_section(self) -> bool:
        """Whether chunks were stored that no table lists yet."""
        return self._start is not None

    def append(self, batch: EncodedBatch, first: int) -> int:
        """Store chunks of ``batch`` from index ``first`` on; return how many had room, 0 where the segment is full.

        After an error the segment is as it was before the call, but that a section may have been closed.
        """
        count = self._room(batch, first)
        if not count and self._start is not None:
            self.close_section()
            count = self._room(batch, first)
        if not count:
            return 0
        last = first + count
        pairs = zip(batch.data[first:last], batch.checksums[first:last], strict=True)
        parts: list[bytes | memoryview] = [part for pair in pairs for part in pair if part]
        if self._start is None:
            parts.insert(0, bytes(layout.DESCRIPTOR_SIZE))
        base = self.output.end if self._start is None else self._start
        position = self.output.end - base + (layout.DESCRIPTOR_SIZE if self._start is None else 0)
        self._write(parts)
        self._start = base
        starts = accumulate(batch.lengths[first:last], initial=position)
        stored = zip(starts, batch.checksums[first:last], strict=False)
        self._entries.extend(start if checksum else start | layout.COMPRESSED for start, checksum in stored)
        self.chunks += count
        return count

    def close_section(self) -> None:
        """Write the tables of the open section, if there is one; it then belongs to the image."""
        if self._start is None:
            return
        start, end = self._start, self.output.end
        body = layout.pack_table(start, self._entries)
        table = section("table", end, body)
        self._write([table, section("table2", end + len(table), body)])
        try:
            self.output.patch(start, layout.SectionDescriptor("sectors", end, end - start).pack())
        except DestinationError:
            self._cut_to(end)
            raise
        self._start = None
        self._entries = array("I")
        self.complete = self.output.end

    def close(self, sections: list[tuple[str, bytes]], last: str) -> None:
        """Close the open section, then write ``sections`` and the section ``last`` (``next`` or ``done``)."""
        self.close_section()
        offset = self.output.end
        parts: list[bytes | memoryview] = []
        for kind, body in sections:
            parts.append(section(kind, offset, body))
            offset += len(parts[-1])
        parts.append(layout.SectionDescriptor(last, offset, 0).pack())
        self._write(parts)
        self.complete = self.output.end

    def mend(self) -> None:
        """Cut off what a failed write left behind the end."""
        if self._torn:
            self.output.truncate(self.output.end)
            self._torn = False

    def _write(self, parts: list[bytes | memoryview]) -> None:
        self.mend()
        start = self.output.end
        try:
            self.output.append(parts)
        except DestinationError:
            self._cut_to(start)
            raise

    def _cut_to(self, end: int) -> None:
        """Give room back after a failure; where even that fails, the next write tries again."""
        self.output.end = end
        self._torn = True
        with contextlib.suppress(DestinationError):
            self.mend()

    def _room(self, batch: EncodedBatch, first: int) -> int:
        """Count the chunks that fit into the open section, or into a new one."""
        base = self.output.end if self._start is None else self._start
        position = self.output.end if self._start is not None else base + layout.DESCRIPTOR_SIZE
        entries = len(self._entries)
        lengths = batch.lengths[first : first + config.SECTION_CHUNKS - entries]
        if self._has_room(base, position + sum(lengths), entries + len(lengths)):
            return len(lengths)
        ends = accumulate(lengths, initial=position)
        next(ends)
        fitting = takewhile(lambda item: self._has_room(base, item[1], entries + item[0]), enumerate(ends, 1))
        return sum(1 for _ in fitting)

    def _has_room(self, base: int, end: int, entries: int) -> bool:
        """Say whether a section from ``base`` to ``end`` has room with its tables, and in their 31-bit offsets."""
        return end + table_sections_size(entries) <= self._limit and end - base <= layout.MAX_TABLE_OFFSET
