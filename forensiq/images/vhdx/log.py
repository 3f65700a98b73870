"""The log of a Hyper-V disk: what was being written when the file was last used, replayed in memory.

A VHDX that was not closed in order has pages of 4096 bytes in its log that the file itself does not have yet. Whoever
opens it for writing copies them into place; evidence is not written to, so they are kept here and read instead.

1. Read the log and find every entry in order: signature, checksum, identifier of the log.
2. Take the newest entry whose chain, from the tail that it names, is whole.
3. Apply the chain from its tail on.

Source: [MS-VHDX], section 2.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from forensiq.errors import ImageFormatError
from forensiq.images.crc import crc32c
from forensiq.images.vhdx.layout import Reader, VhdxHeader

__all__ = ["Replay", "replay_log"]

_PAGE = 4096
_MOST_LOG = 64 << 20
_MOST_PAGES = 1 << 18
_ENTRY = struct.Struct("<4sIIIQII16sQQ")
_DESCRIPTOR = struct.Struct("<4sIQQQ")


class _Entry(Struct, frozen=True):
    at: int
    size: int
    tail: int
    sequence: int
    descriptors: int
    flushed: int
    data: bytes


class Replay:
    """The file as it is after the replay: pages that the log has newer, and the file below them."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self.pages: dict[int, bytes] = {}
        self.entries = 0
        self.torn = 0
        """Entries of this log whose checksum is wrong: torn by the end of power, or damaged."""
        self.needed = 0
        """How long the file must be, in bytes, as the log says."""

    def read(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes from ``offset`` of the file on."""
        data = self._read(offset, length)
        if not self.pages:
            return data
        parts = []
        for page, place, count in self.pieces(offset, length):
            start = place - offset
            parts.append(data[start : start + count] if page is None else page[place % _PAGE :][:count])
        return b"".join(parts)

    def pieces(self, offset: int, length: int) -> Iterator[tuple[bytes | None, int, int]]:
        """Yield (page or ``None``, place, length) for ``length`` bytes from ``offset`` of the file on."""
        if not self.pages:
            yield None, offset, length
            return
        end = offset + length
        while offset < end:
            count = min(end - offset, _PAGE - offset % _PAGE)
            yield self.pages.get(offset // _PAGE), offset, count
            offset += count


def replay_log(path: Path, read: Reader, header: VhdxHeader) -> Replay:
    """Return the file with its log applied; ``header.log`` is not all zeros where there is one.

    Raises :class:`~forensiq.errors.ImageFormatError` where there must be a log and none can be read.
    """
    replay = Replay(read)
    if not any(header.log):
        return replay
    if header.log_size > _MOST_LOG or header.log_size % _PAGE:
        raise ImageFormatError(f"{path}: a log of {header.log_size:,} bytes is not possible", path=str(path))
    log = read(header.log_at, header.log_size)
    if len(log) < header.log_size:
        raise ImageFormatError(f"{path}: its log does not lie in the file: cut off, or damaged", path=str(path))
    entries, replay.torn = _entries(path, log, header.log)
    chain = _newest_chain(path, entries, len(log))
    for entry in chain:
        _apply(path, entry, replay)
    replay.entries = len(chain)
    replay.needed = chain[-1].flushed if chain else 0
    return replay


def _entries(path: Path, log: bytes, identifier: bytes) -> tuple[dict[int, _Entry], int]:
    """Return the entries in order by their place, and how many there are that are not."""
    found: dict[int, _Entry] = {}
    torn = 0
    budget = 4 * len(log)
    for at in range(0, len(log), _PAGE):
        if log[at : at + 4] != b"loge":
            continue
        _, checksum, size, tail, sequence, count, _, guid, flushed, _ = _ENTRY.unpack_from(log, at)
        if guid != identifier or not _PAGE <= size <= len(log) or size % _PAGE or tail % _PAGE or not sequence:
            continue
        budget -= size
        if budget < 0:
            raise ImageFormatError(f"{path}: its log is damaged on purpose or beyond use", path=str(path))
        data = (log[at : at + size] + log[: max(0, at + size - len(log))])[:size]
        if crc32c(data[:4] + bytes(4) + data[8:]) == checksum:
            found[at] = _Entry(at, size, tail, sequence, count, flushed, data)
        else:
            torn += 1
    return found, torn


def _newest_chain(path: Path, entries: dict[int, _Entry], size: int) -> list[_Entry]:
    if not entries:
        return []
    for head in sorted(entries.values(), key=lambda each: each.sequence, reverse=True):
        chain: list[_Entry] = []
        at = head.tail
        while (entry := entries.get(at)) is not None and len(chain) < len(entries):
            if chain and entry.sequence != chain[-1].sequence + 1:
                break
            chain.append(entry)
            if entry is head:
                return chain
            at = (at + entry.size) % size
    raise ImageFormatError(
        f"{path}: it was not closed in order, and its log is damaged: what it holds cannot be told", path=str(path)
    )


def _apply(path: Path, entry: _Entry, replay: Replay) -> None:
    wrong = ImageFormatError(f"{path}: an entry of its log is damaged", path=str(path), sequence=str(entry.sequence))
    data_at = -(-(64 + entry.descriptors * 32) // _PAGE) * _PAGE
    if data_at > entry.size:
        raise wrong
    for index in range(entry.descriptors):
        kind, trailing, leading, place, sequence = _DESCRIPTOR.unpack_from(entry.data, 64 + index * 32)
        if sequence != entry.sequence or place % _PAGE:
            raise wrong
        if kind == b"zero" and leading % _PAGE == 0 and leading // _PAGE <= _MOST_PAGES:
            replay.pages.update(dict.fromkeys(range(place // _PAGE, (place + leading) // _PAGE), bytes(_PAGE)))
        elif kind == b"desc":
            sector = entry.data[data_at : data_at + _PAGE]
            data_at += _PAGE
            marks = struct.pack("<4sI", b"data", entry.sequence >> 32), struct.pack("<I", entry.sequence & 0xFFFF_FFFF)
            if len(sector) < _PAGE or (sector[:8], sector[-4:]) != marks:
                raise wrong
            page = struct.pack("<Q", leading) + sector[8:-4] + struct.pack("<I", trailing)
            replay.pages[place // _PAGE] = page
        else:
            raise wrong
        if len(replay.pages) > _MOST_PAGES:
            raise wrong
