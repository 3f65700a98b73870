"""The files that an interrupted writer left: what of them belongs to complete sections.

A section counts when its descriptor, both tables and their checksums are in order, and nothing before it in the image
is missing. What follows the last such section (a torn one, or the closing sections of a run that was stopped while it
finished) is cut off when the image is resumed.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from forensiq.errors import DestinationExistsError, ImageFormatError
from forensiq.images.ewf import layout
from forensiq.images.ewf.config import EwfConfig, volume_of
from forensiq.images.ewf.segment import segment_path
from forensiq.images.output import FileCalls, part_path, publish
from forensiq.streams.durable import destination_error

__all__ = ["LeftSegment", "StoredSection", "find_left", "read_identifier", "scan_left"]


class StoredSection(Struct, frozen=True):
    """A complete ``sectors`` section; file offsets of its bounds, its table's entries, and the end of its tables."""

    path: Path
    first_chunk: int
    chunks: int
    start: int
    end: int
    entries: int
    tables_end: int


class LeftSegment(Struct, frozen=True):
    """One file and its complete sections; ``closed`` says that another segment follows it."""

    number: int
    path: Path
    sections: Sequence[StoredSection]
    closed: bool


def find_left(config: EwfConfig, folders: Sequence[Path], calls: FileCalls) -> list[Path]:
    """Return the unfinished files of this image in order; none where there is nothing to resume.

    A run that was stopped while it named its files left some with their final names: these get the unfinished name
    back. Where the first one has its final name, the image is finished: ``DestinationExistsError``.
    """
    found: list[Path] = []
    while True:
        number = len(found) + 1
        finals = [segment_path(folder / config.stem.name, number) for folder in (config.stem.parent, *folders)]
        part = next((part_path(final) for final in finals if part_path(final).is_file()), None)
        final = next((final for final in finals if os.path.lexists(final)), None)
        if final is not None and (number == 1 or part is not None):
            raise DestinationExistsError(
                f"{final} exists already; nothing is replaced",
                hint="a finished image is verified, not resumed",
                path=str(final),
            )
        if final is not None:
            part = part_path(final)
            publish(final, part, calls=calls)
        if part is None:
            return found
        found.append(part)


def read_identifier(first: Path) -> uuid.UUID | None:
    """Return the set identifier in the volume section of an unfinished first segment; ``None`` where it has none."""
    with _Reader(first) as file:
        for kind, offset, _ in _sections(file):
            if kind == "volume":
                volume, checksum = layout.Volume.unpack(file.at(offset + layout.DESCRIPTOR_SIZE, layout.VOLUME_SIZE))
                return uuid.UUID(bytes_le=volume.set_identifier) if checksum.ok else None
    return None


def scan_left(config: EwfConfig, paths: Sequence[Path]) -> list[LeftSegment]:
    """Return the segments whose sections follow each other from the first chunk on; the last one may have none.

    A file that describes another medium or set is a ``DestinationExistsError``: it belongs to another acquisition.
    """
    found: list[LeftSegment] = []
    chunks = 0
    for number, path in enumerate(paths, 1):
        segment = _scan(config, number, path, chunks)
        if segment is None:
            _check_torn_front(path)
            return found
        found.append(segment)
        chunks += sum(section.chunks for section in segment.sections)
        if not segment.closed or not segment.sections:
            return found
    return found


def _scan(config: EwfConfig, number: int, path: Path, first_chunk: int) -> LeftSegment | None:
    """Return one segment, ``None`` where not even its front is whole."""
    complete: list[StoredSection] = []
    start = end = 0
    tables: list[bytes] = []
    described = False
    with _Reader(path) as file:
        for kind, offset, size in _sections(file):
            body = offset + layout.DESCRIPTOR_SIZE
            if kind in ("volume", "data"):
                if complete:
                    break
                _check_volume(config, path, file.at(body, layout.VOLUME_SIZE))
                described = True
            elif kind == "sectors":
                start, end, tables = offset, offset + size, []
            elif kind in ("table", "table2"):
                tables.append(file.at(body, size - layout.DESCRIPTOR_SIZE))
                if kind == "table2":
                    count = _checked_entries(tables, start, end)
                    if not count:
                        break
                    table = body + layout.TABLE_HEADER_SIZE - size
                    complete.append(StoredSection(path, first_chunk, count, start, end, table, offset + size))
                    first_chunk += count
            elif kind == "next":
                return LeftSegment(number, path, complete, closed=True)
            elif kind not in ("header", "header2"):
                break
    return LeftSegment(number, path, complete, closed=False) if described else None


def _check_volume(config: EwfConfig, path: Path, body: bytes) -> None:
    if body != volume_of(config).pack():
        raise DestinationExistsError(
            f"{path} belongs to another acquisition: its medium, settings or set identifier differ",
            hint="choose another name for the image",
            path=str(path),
        )


def _check_torn_front(path: Path) -> None:
    """Refuse a file that no EWF writer began: it would be removed as the torn start of a segment."""
    with _Reader(path) as file:
        start = file.at(0, min(file.size, len(layout.SIGNATURE)))
    if start.strip(b"\0") and not layout.SIGNATURE.startswith(start):
        raise DestinationExistsError(f"{path} is not what a stopped acquisition leaves; it is kept", path=str(path))


def _checked_entries(tables: Sequence[bytes], start: int, end: int) -> int:
    """Return the number of entries of two equal, sound tables of the section at ``start``; 0 where they are not."""
    if len(tables) != 2 or tables[0] != tables[1]:
        return 0
    header, head = layout.TableHeader.unpack(tables[0])
    entries, foot = layout.unpack_entries(tables[0][layout.TABLE_HEADER_SIZE :], header.entries)
    offsets = [entry & layout.MAX_TABLE_OFFSET for entry in entries]
    ordered = all(one < two for one, two in zip(offsets, [*offsets[1:], end - start], strict=True))
    sound = head.ok and foot is not None and foot.ok and header.base == start and ordered
    return len(offsets) if sound and offsets[:1] == [layout.DESCRIPTOR_SIZE] else 0


class _Reader:
    """Bounded reads of one file; what is not there is an ``ImageFormatError``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self.size = os.fstat(self.descriptor).st_size
        except OSError as error:
            raise destination_error(error, path, f"opening {path}") from error

    def at(self, offset: int, size: int) -> bytes:
        if offset + size > self.size:
            raise ImageFormatError(f"{self.path} ends before byte {offset + size}", path=str(self.path))
        try:
            return os.pread(self.descriptor, size, offset)
        except OSError as error:
            raise destination_error(error, self.path, f"reading {self.path}") from error

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def _sections(file: _Reader) -> Iterator[tuple[str, int, int]]:
    """Yield type, offset and size of the sections whose descriptors are sound, up to the first that is not."""
    offset = layout.FILE_HEADER_SIZE
    while True:
        try:
            descriptor, checksum = layout.SectionDescriptor.unpack(file.at(offset, layout.DESCRIPTOR_SIZE))
        except ImageFormatError:
            return
        ends = descriptor.kind in ("next", "done")
        following = offset if ends else offset + descriptor.size
        if not checksum.ok or descriptor.next != following or following > file.size:
            return
        yield descriptor.kind, offset, descriptor.size
        if ends or descriptor.size < layout.DESCRIPTOR_SIZE:
            return
        offset = following
