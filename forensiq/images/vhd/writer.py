"""Writes VHD images, fixed and dynamic. Numbers are big-endian; a sector has 512 bytes.

Footer, 512 bytes: the last sector of the file, of a dynamic image the first one too.

====== ==== ==================================================================================================
offset size field
====== ==== ==================================================================================================
0      8    ``conectix``
8      4    features: 2 (reserved, always set)
12     4    version 1.0
16     8    place of the dynamic header, all ones in a fixed image
24     4    seconds since 2000-01-01
28     4    program; see below
32     4    its version
36     4    its system: ``Wi2k``
40     8    original size, bytes
48     8    current size, bytes
56     4    cylinders (2), heads (1), sectors of a track (1)
60     4    2 fixed, 3 dynamic
64     4    checksum: the sum of all bytes of the footer, inverted
68     16   identifier
====== ==== ==================================================================================================

Readers differ in what the size of the disk is: some take the current size, some cylinders × heads × sectors, which is
smaller, and QEMU decides by the name of the program. ``qem2`` is the name by which it takes the current size, so every
reader sees the medium with its exact size, and the name of the program is a compatibility mark and no statement of
origin; that is in the record. Source: Microsoft, "Virtual Hard Disk Image Format Specification" 1.0; QEMU's ``vpc``.
"""

from __future__ import annotations

import struct
from array import array

from forensiq.images.container_blocks import BlockEncoder, EncodedBlocks
from forensiq.images.container_file import ContainerConfig, ContainerWriter
from forensiq.images.flat_writer import FlatWriter
from forensiq.images.geometry import vhd_geometry
from forensiq.images.output import FileCalls
from forensiq.images.tables import big_endian
from forensiq.model.image import ClosingFacts

__all__ = ["VhdFixedWriter", "VhdWriter", "largest_vhd", "worst_vhd"]

_BLOCK = 2 << 20
_SECTOR = 512
_BITMAP = b"\xff" * _SECTOR  # one bit for each of the 4096 sectors of a block
_NOWHERE = (1 << 64) - 1
_NOT_STORED = 0xFFFFFFFF
_FIXED, _DYNAMIC = 2, 3
_EPOCH = 946_684_800  # 2000-01-01
_FOOTER = struct.Struct(">8sIIQI4sI4sQQHBBII16sB427x")
_HEADER = struct.Struct(">8sQQIIII16sII512s192s256x")
_HEADER_AT = _SECTOR
_TABLE_AT = _HEADER_AT + _HEADER.size


def largest_vhd() -> int:
    """Return the largest medium in bytes, by the specification of Microsoft's own program."""
    return 2040 << 30


def worst_vhd(media_size: int) -> int:
    """Return the size of a dynamic image in bytes when nothing is zero."""
    blocks = -(-media_size // _BLOCK)
    return _TABLE_AT + -(-blocks * 4 // _SECTOR) * _SECTOR + blocks * (_BLOCK + _SECTOR) + _SECTOR


def _checksum(data: bytes) -> int:
    return ~sum(data) & 0xFFFFFFFF


def _footer(config: ContainerConfig, kind: int) -> bytes:
    def pack(checksum: int) -> bytes:
        return _FOOTER.pack(
            b"conectix",
            2,
            0x10000,
            _HEADER_AT if kind == _DYNAMIC else _NOWHERE,
            max(0, config.created - _EPOCH) & 0xFFFFFFFF,
            b"qem2",
            0x50003,
            b"Wi2k",
            config.media_size,
            config.media_size,
            *vhd_geometry(config.media_size),
            kind,
            checksum,
            config.identifier,
            0,
        )

    return pack(_checksum(pack(0)))


class VhdFixedWriter(FlatWriter):
    """The medium and a footer."""

    format = "vhd"

    def _end(self, facts: ClosingFacts) -> None:
        super()._end(facts)
        self.file.append([_footer(self._config, _FIXED)])


class VhdWriter(ContainerWriter):
    """A dynamic image: blocks of 2 MiB that are not zero, each behind a bitmap; memory is 4 bytes for each block."""

    format = "vhd"

    def __init__(self, config: ContainerConfig, *, calls: FileCalls | None = None) -> None:
        super().__init__(config, BlockEncoder(_BLOCK), calls=calls)
        self._table = array("I", [_NOT_STORED] * -(-config.media_size // _BLOCK))

    def _start(self) -> None:
        self.file.skip(_TABLE_AT + -(-len(self._table) * 4 // _SECTOR) * _SECTOR)

    def _header(self) -> bytes:
        def pack(checksum: int) -> bytes:
            fields = (_NOWHERE, _TABLE_AT, 0x10000, len(self._table), _BLOCK, checksum)
            return _HEADER.pack(b"cxsparse", *fields, bytes(16), 0, 0, b"", b"")

        return pack(_checksum(pack(0)))

    def _store(self, encoded: EncodedBlocks) -> None:
        parts: list[bytes | memoryview] = []
        end = self.file.end
        for number, block in enumerate(encoded.blocks, encoded.offset // _BLOCK):
            if block is not None:
                self._table[number] = end // _SECTOR
                parts += [_BITMAP, block]
                if len(block) < _BLOCK:
                    parts.append(bytes(_BLOCK - len(block)))
                end += _SECTOR + _BLOCK
        self.file.append(parts)

    def _end(self, facts: ClosingFacts) -> None:
        del facts
        table = big_endian(self._table)
        self.file.patch(_TABLE_AT, table.ljust(-(-len(table) // _SECTOR) * _SECTOR, b"\xff"))
        self.file.patch(_HEADER_AT, self._header())

    def _seal(self) -> None:
        footer = _footer(self._config, _DYNAMIC)
        self.file.append([footer])
        self.file.patch(0, footer)
