"""Writes VHDX images, dynamic. Numbers are little-endian.

=============== ===================================================================================================
where           what
=============== ===================================================================================================
byte 0          ``vhdxfile`` and the name of the program (UTF-16)
64, 128 KiB     two headers: sequence number, identifiers, an empty log; CRC-32C
192, 256 KiB    two region tables: where block table and metadata are; CRC-32C
1 MiB           the log, empty
2 MiB           metadata: block size, disk size, sector sizes, identifier of the disk
3 MiB           block table (BAT): 8 bytes for each block; after as many as 2^23 sectors fill, one (unused) for a bitmap
then            the blocks that are not zero, each on a boundary of 1 MiB
=============== ===================================================================================================

Source: Microsoft, [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format".
"""

from __future__ import annotations

import hashlib
import struct
import uuid
from array import array

from forensiq.images.container_blocks import BlockEncoder, EncodedBlocks
from forensiq.images.container_file import ContainerConfig, ContainerWriter
from forensiq.images.crc import crc32c
from forensiq.images.output import FileCalls
from forensiq.images.tables import little_endian
from forensiq.model.image import ClosingFacts

__all__ = ["VhdxWriter", "largest_vhdx", "worst_vhdx"]

_MIB = 1 << 20
_KIB = 1 << 10
_LOG_AT, _METADATA_AT, _TABLE_AT = 1 * _MIB, 2 * _MIB, 3 * _MIB
_CREATOR = "forensiq"
_PRESENT = 6
_SMALL_BLOCK, _LARGE_BLOCK, _SMALL_MEDIUM = 1 * _MIB, 4 * _MIB, 4 << 40
_HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")
_REGION = struct.Struct("<16sQII")
_ITEM = struct.Struct("<16sIIII")

_BAT_REGION = uuid.UUID("2DC27766-F623-4200-9D64-115E9BFD4A08").bytes_le
_METADATA_REGION = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E").bytes_le
_FILE_PARAMETERS = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B").bytes_le
_DISK_SIZE = uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8").bytes_le
_DISK_ID = uuid.UUID("BECA12AB-B2E6-4523-93EF-C309E000C746").bytes_le
_LOGICAL = uuid.UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F").bytes_le
_PHYSICAL = uuid.UUID("CDA348C7-445D-4471-9CC9-E9885251C556").bytes_le


def largest_vhdx() -> int:
    """Return the largest medium in bytes, by the specification."""
    return 64 << 40


def worst_vhdx(media_size: int) -> int:
    """Return the size of the file in bytes when nothing is zero (for 4096-byte sectors it is the same or less)."""
    block = _block_size(media_size)
    return _TABLE_AT + _table_room(_entries(media_size, 512)) + -(-media_size // block) * block


def _block_size(media_size: int) -> int:
    return _SMALL_BLOCK if media_size <= _SMALL_MEDIUM else _LARGE_BLOCK


def _ratio(media_size: int, sector_size: int) -> int:
    return (1 << 23) * sector_size // _block_size(media_size)


def _entries(media_size: int, sector_size: int) -> int:
    blocks = -(-media_size // _block_size(media_size))
    return blocks + (blocks - 1) // _ratio(media_size, sector_size)


def _table_room(entries: int) -> int:
    return -(-entries * 8 // _MIB) * _MIB


def _with_checksum(data: bytes) -> bytes:
    return data[:4] + crc32c(data).to_bytes(4, "little") + data[8:]


class VhdxWriter(ContainerWriter):
    """Memory: 8 bytes for each block (1 MiB; 4 MiB for media of more than 4 TiB)."""

    format = "vhdx"

    def __init__(self, config: ContainerConfig, *, calls: FileCalls | None = None) -> None:
        self._block = _block_size(config.media_size)
        super().__init__(config, BlockEncoder(self._block), calls=calls)
        self._ratio = _ratio(config.media_size, self._logical)
        self._table = array("Q", bytes(8 * _entries(config.media_size, self._logical)))

    @property
    def _logical(self) -> int:
        """Bytes of a sector; the format knows two sizes."""
        return 4096 if self._config.sector_size == 4096 else 512

    def _start(self) -> None:
        room = _table_room(len(self._table))
        for at, sequence in ((64 * _KIB, 1), (128 * _KIB, 2)):
            self.file.patch(at, self._header(sequence))
        for at in (192 * _KIB, 256 * _KIB):
            self.file.patch(at, _regions(room))
        self.file.patch(_METADATA_AT, self._metadata())
        self.file.end = _TABLE_AT + room

    def _identifier(self, what: str) -> bytes:
        return hashlib.sha256(self._config.identifier + what.encode()).digest()[:16]

    def _header(self, sequence: int) -> bytes:
        written, data = self._identifier("file"), self._identifier("data")
        fields = (b"head", 0, sequence, written, data, bytes(16), 0, 1, _MIB, _LOG_AT)
        return _with_checksum(_HEADER.pack(*fields).ljust(4 * _KIB, b"\0"))

    def _metadata(self) -> bytes:
        items = (
            (_FILE_PARAMETERS, 0b100, struct.pack("<II", self._block, 0)),
            (_DISK_SIZE, 0b110, struct.pack("<Q", self._config.media_size)),
            (_DISK_ID, 0b110, self._config.identifier),
            (_LOGICAL, 0b110, struct.pack("<I", self._logical)),
            (_PHYSICAL, 0b110, struct.pack("<I", self._logical)),
        )
        table = struct.pack("<8sHH20x", b"metadata", 0, len(items))
        values = b""
        for name, flags, value in items:
            table += _ITEM.pack(name, 64 * _KIB + len(values), len(value), flags, 0)
            values += value
        return table.ljust(64 * _KIB, b"\0") + values

    def _store(self, encoded: EncodedBlocks) -> None:
        parts: list[bytes | memoryview] = []
        end = self.file.end
        for number, block in enumerate(encoded.blocks, encoded.offset // self._block):
            if block is not None:
                self._table[number + number // self._ratio] = end | _PRESENT
                parts.append(block)
                if len(block) < self._block:
                    parts.append(bytes(self._block - len(block)))
                end += self._block
        self.file.append(parts)

    def _end(self, facts: ClosingFacts) -> None:
        del facts
        self.file.patch(_TABLE_AT, little_endian(self._table))

    def _seal(self) -> None:
        self.file.patch(0, b"vhdxfile" + _CREATOR.encode("utf-16-le"))


def _regions(table_room: int) -> bytes:
    data = struct.pack("<4sIII", b"regi", 0, 2, 0)
    data += _REGION.pack(_BAT_REGION, _TABLE_AT, table_room, 1)
    data += _REGION.pack(_METADATA_REGION, _METADATA_AT, _MIB, 1)
    return _with_checksum(data.ljust(64 * _KIB, b"\0"))
