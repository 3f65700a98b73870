"""What an unfinished E01 holds, as a source: digests are rebuilt from it, never by reading the evidence again."""

from __future__ import annotations

import bisect
import os
import threading
from array import array
from collections.abc import Sequence
from pathlib import Path

from forensiq.errors import ImageDamageError
from forensiq.images.ewf import layout
from forensiq.images.ewf.config import EwfConfig
from forensiq.images.ewf.decode import decode_chunk
from forensiq.images.ewf.unfinished import StoredSection
from forensiq.model.source import SourceIdentity, SourceKind
from forensiq.streams.closing import Closing
from forensiq.streams.durable import destination_error

__all__ = ["StoredMedia"]


class StoredMedia(Closing):
    """The medium as far as it is stored in complete sections; every chunk's checksum is checked when it is read.

    One table and one open file are kept at a time, whatever the size. Satisfies
    :class:`~forensiq.sources.base.Source`.
    """

    parallel_reads = 1

    def __init__(self, config: EwfConfig, sections: Sequence[StoredSection]) -> None:
        self._chunk_size = config.chunk_size
        self._media_size = config.media_size
        self._sections = sections
        self._starts = [section.first_chunk for section in sections]
        chunks = sections[-1].first_chunk + sections[-1].chunks if sections else 0
        self.size = min(chunks * config.chunk_size, config.media_size)
        self.sector_size = config.sector_size
        self.identity = SourceIdentity(SourceKind.IMAGE, str(config.stem), self.size, config.sector_size)
        self._lock = threading.Lock()
        self._loaded: StoredSection | None = None
        self._entries = array("I")
        self._path: Path | None = None
        self._descriptor = -1

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from ``offset`` on; a chunk that is not as it was stored is an ``ImageDamageError``."""
        done = 0
        with self._lock:
            while done < len(buffer) and offset + done < self.size:
                number, skip = divmod(offset + done, self._chunk_size)
                part = self._chunk(number)[skip : skip + len(buffer) - done]
                buffer[done : done + len(part)] = part
                done += len(part)
        return done

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """The same as :meth:`read_into`."""
        return self.read_into(offset, buffer)

    def first_damage(self, start: int) -> int | None:
        """Read everything from byte ``start`` on; return the offset of the first section with a bad chunk, if any."""
        buffer = memoryview(bytearray(self._chunk_size))
        for offset in range(start // self._chunk_size * self._chunk_size, self.size, self._chunk_size):
            try:
                self.read_into(offset, buffer)
            except ImageDamageError:
                return self._section(offset // self._chunk_size).first_chunk * self._chunk_size
        return None

    def close(self) -> None:
        """Close the file that is open."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._path = None

    def _section(self, chunk: int) -> StoredSection:
        return self._sections[bisect.bisect_right(self._starts, chunk) - 1]

    def _chunk(self, number: int) -> bytes | memoryview:
        section = self._section(number)
        if section is not self._loaded:
            self._load(section)
        index = number - section.first_chunk
        start = self._entries[index] & layout.MAX_TABLE_OFFSET
        last = index + 1 == section.chunks
        end = section.end - section.start if last else self._entries[index + 1] & layout.MAX_TABLE_OFFSET
        stored = self._read(section.path, section.start + start, end - start)
        offset = number * self._chunk_size
        size = min(self._chunk_size, self._media_size - offset)
        decoded = decode_chunk(stored, compressed=bool(self._entries[index] & layout.COMPRESSED), size=size)
        if decoded.code is not None:
            raise ImageDamageError(
                f"{section.path.name}: chunk {number} is not as it was stored: {decoded.reason}",
                offset=offset,
                length=size,
                reason=decoded.code,
            )
        return decoded.data

    def _load(self, section: StoredSection) -> None:
        data = self._read(section.path, section.entries, 4 * section.chunks)
        if len(data) < 4 * section.chunks:
            raise ImageDamageError(f"{section.path.name} became shorter", path=str(section.path))
        self._entries, _ = layout.unpack_entries(data, section.chunks)
        self._loaded = section

    def _read(self, path: Path, offset: int, size: int) -> bytes:
        try:
            if path != self._path:
                self.close()
                self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                self._path = path
            return os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise destination_error(error, path, f"reading back {path}") from error
