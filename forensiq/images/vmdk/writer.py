"""Writes VMDK images in one file: growing (monolithicSparse), and compressed for transport (streamOptimized)."""

from __future__ import annotations

import struct
from array import array

from forensiq.images.container_blocks import ZLIB, BlockEncoder, EncodedBlocks, deflate_for, stored_zlib
from forensiq.images.container_file import ContainerConfig, ContainerWriter
from forensiq.images.output import FileCalls
from forensiq.images.tables import little_endian
from forensiq.images.vmdk import layout
from forensiq.images.vmdk.layout import (
    DESCRIPTOR_SECTORS,
    GRAIN,
    GRAIN_SECTORS,
    TABLE_ENTRIES,
    TABLE_SECTORS,
    directory_sectors,
    table_count,
)
from forensiq.model.image import ClosingFacts

__all__ = [
    "VmdkStreamWriter",
    "VmdkWriter",
    "largest_vmdk",
    "largest_vmdk_stream",
    "worst_vmdk",
    "worst_vmdk_stream",
]

_REDUNDANT_AT = 1 + DESCRIPTOR_SECTORS
_TABLE_MARKER, _DIRECTORY_MARKER, _FOOTER_MARKER = 1, 2, 3
_MARKER = struct.Struct("<QII496x")
_GRAIN_MARKER = struct.Struct("<QI")


def largest_vmdk() -> int:
    """Return the largest medium in bytes: places in the file are sectors in 32 bits, its tables included."""
    return (2 << 40) - (2 << 30)


def largest_vmdk_stream() -> int:
    """Return the same for a streamOptimized image: a grain that does not get smaller takes 512 bytes more."""
    return (2 << 40) - (18 << 30)


def _overhead(media_size: int) -> int:
    tables = directory_sectors(media_size) + table_count(media_size) * TABLE_SECTORS
    sectors = _REDUNDANT_AT + 2 * tables
    return -(-sectors // GRAIN_SECTORS) * GRAIN_SECTORS


def worst_vmdk(media_size: int) -> int:
    """Return the size of a monolithicSparse file in bytes when nothing is zero."""
    return _overhead(media_size) * 512 + -(-media_size // GRAIN) * GRAIN


def worst_vmdk_stream(media_size: int) -> int:
    """Return the size of a streamOptimized file in bytes when nothing gets smaller."""
    grains = -(-media_size // GRAIN) * (GRAIN + 512)
    return (
        GRAIN_SECTORS + table_count(media_size) * (TABLE_SECTORS + 1) + directory_sectors(media_size) + 4
    ) * 512 + grains


class VmdkWriter(ContainerWriter):
    """monolithicSparse. Both grain directories and all tables have their place before the first grain, so a table is
    written when its 32 MiB of the medium are: memory is one table."""

    format = "vmdk"

    def __init__(self, config: ContainerConfig, *, calls: FileCalls | None = None) -> None:
        super().__init__(config, BlockEncoder(GRAIN), calls=calls)
        self._table = array("I", bytes(TABLE_ENTRIES * 4))
        half = directory_sectors(config.media_size) + table_count(config.media_size) * TABLE_SECTORS
        self._directories = (_REDUNDANT_AT, _REDUNDANT_AT + half)

    def _start(self) -> None:
        size = self._config.media_size
        for at in self._directories:
            tables = at + directory_sectors(size)
            entries = array("I", [tables + number * TABLE_SECTORS for number in range(table_count(size))])
            self.file.patch(at * 512, little_endian(entries))
        self.file.end = _overhead(size) * 512

    def _store(self, encoded: EncodedBlocks) -> None:
        parts: list[bytes | memoryview] = []
        end = self.file.end
        for number, block in enumerate(encoded.blocks, encoded.offset // GRAIN):
            if block is not None:
                self._table[number % TABLE_ENTRIES] = end // 512
                parts.append(block)
                if len(block) < GRAIN:
                    parts.append(bytes(GRAIN - len(block)))
                end += GRAIN
            if number % TABLE_ENTRIES == TABLE_ENTRIES - 1:
                self._close_table(number // TABLE_ENTRIES)
        self.file.append(parts)

    def _close_table(self, number: int) -> None:
        if not any(self._table):
            return
        for at in self._directories:
            place = at + directory_sectors(self._config.media_size) + number * TABLE_SECTORS
            self.file.patch(place * 512, little_endian(self._table))
        self._table = array("I", bytes(TABLE_ENTRIES * 4))

    def _end(self, facts: ClosingFacts) -> None:
        del facts
        self._close_table(self._config.media_size // (GRAIN * TABLE_ENTRIES))

    def _seal(self) -> None:
        size = self._config.media_size
        second, first = self._directories
        overhead, flags = _overhead(size), layout.LINE_ENDS | layout.REDUNDANT
        head = layout.header(1, flags, size, redundant=second, directory=first, overhead=overhead, compression=0)
        self.file.patch(0, head + layout.descriptor(self._config, "monolithicSparse"))


class VmdkStreamWriter(ContainerWriter):
    """streamOptimized: grains as zlib streams, each behind a marker; a table behind the grains it lists; the directory
    and a second header at the end."""

    format = "vmdk"

    def __init__(self, config: ContainerConfig, *, calls: FileCalls | None = None) -> None:
        encoder = BlockEncoder(GRAIN, deflate_for(config.compression, ZLIB), stored=stored_zlib, whole=True)
        super().__init__(config, encoder, calls=calls)
        self._table = array("I", bytes(TABLE_ENTRIES * 4))
        self._directory = array("I")

    def _header(self, directory: int) -> bytes:
        flags = layout.LINE_ENDS | layout.COMPRESSED | layout.MARKERS
        return layout.header(
            3,
            flags,
            self._config.media_size,
            redundant=0,
            directory=directory,
            overhead=GRAIN_SECTORS,
            compression=1,
        )

    def _start(self) -> None:
        self.file.append([self._header(layout.AT_END), layout.descriptor(self._config, "streamOptimized")])
        self.file.skip(GRAIN_SECTORS * 512 - self.file.end)

    def _store(self, encoded: EncodedBlocks) -> None:
        parts: list[bytes | memoryview] = []
        end = self.file.end
        for number, block in enumerate(encoded.blocks, encoded.offset // GRAIN):
            if block is not None:
                self._table[number % TABLE_ENTRIES] = end // 512
                length = _GRAIN_MARKER.size + len(block)
                parts += [_GRAIN_MARKER.pack(number * GRAIN_SECTORS, len(block)), block, bytes(-length % 512)]
                end += length + -length % 512
            if number % TABLE_ENTRIES == TABLE_ENTRIES - 1:
                self.file.append(parts)
                self._close_table()
                parts, end = [], self.file.end
        self.file.append(parts)

    def _close_table(self) -> None:
        if not any(self._table):
            self._directory.append(0)
            return
        at = self.file.append([_MARKER.pack(TABLE_SECTORS, 0, _TABLE_MARKER), little_endian(self._table)])
        self._directory.append(at // 512 + 1)
        self._table = array("I", bytes(TABLE_ENTRIES * 4))

    def _end(self, facts: ClosingFacts) -> None:
        del facts
        size = self._config.media_size
        if size % (GRAIN * TABLE_ENTRIES):
            self._close_table()
        sectors = directory_sectors(size)
        entries = little_endian(self._directory).ljust(sectors * 512, b"\0")
        at = self.file.append([_MARKER.pack(sectors, 0, _DIRECTORY_MARKER), entries])
        footer = self._header(at // 512 + 1)
        self.file.append([_MARKER.pack(1, 0, _FOOTER_MARKER), footer, bytes(512)])
