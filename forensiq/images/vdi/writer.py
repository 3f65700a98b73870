"""Writes VDI images (VirtualBox, version 1.1, dynamic). Numbers are little-endian.

====== ==== ==================================================================================
offset size field
====== ==== ==================================================================================
0      64   a text
64     4    0xBEDA107F
68     4    version 1.1
72     4    size of what follows: 400
76     4    1: dynamic
84     256  description
340    4    place of the block map, bytes
344    4    place of the first block, bytes
348    16   cylinders, heads, sectors (not used any more), bytes of a sector: 512
368    8    size of the disk, bytes
376    4    size of a block: 1 MiB
384    4    blocks of the disk
388    4    blocks in the file
392    64   identifiers: of the image, of its last change, of a parent and of that one's last change (none)
====== ==== ==================================================================================

The block map has 4 bytes for each block: its number in the file, or all ones. Source: QEMU's ``block/vdi.c``;
VirtualBox, ``VDICore.h``.
"""

from __future__ import annotations

import hashlib
import struct
from array import array

from forensiq.images.container_blocks import BlockEncoder, EncodedBlocks
from forensiq.images.container_file import ContainerConfig, ContainerWriter
from forensiq.images.output import FileCalls
from forensiq.images.tables import little_endian
from forensiq.model.image import ClosingFacts

__all__ = ["VdiWriter", "largest_vdi", "worst_vdi"]

_BLOCK = 1 << 20
_MAP_AT = 512
_NOT_STORED = 0xFFFFFFFF
_HEADER = struct.Struct("<64sIIIII256sIIIIIIIQIIII16s16s16s16s56x")
_TEXT = b"<<< Oracle VM VirtualBox Disk Image >>>\n"


def largest_vdi() -> int:
    """Return the largest medium in bytes that QEMU takes."""
    return 0x3FFFFFFF * _BLOCK // 2


def worst_vdi(media_size: int) -> int:
    """Return the size of the file in bytes when nothing is zero."""
    return _data_at(media_size) + -(-media_size // _BLOCK) * _BLOCK


def _data_at(media_size: int) -> int:
    # On a boundary of 1 MiB: blocks of the file fall on blocks of the disk under it.
    return -(-(_MAP_AT + -(-media_size // _BLOCK) * 4) // _BLOCK) * _BLOCK


class VdiWriter(ContainerWriter):
    """Memory: 4 bytes for each MiB of the medium."""

    format = "vdi"

    def __init__(self, config: ContainerConfig, *, calls: FileCalls | None = None) -> None:
        super().__init__(config, BlockEncoder(_BLOCK), calls=calls)
        self._map = array("I", [_NOT_STORED] * -(-config.media_size // _BLOCK))
        self._used = 0

    def _start(self) -> None:
        self.file.skip(_data_at(self._config.media_size))

    def _store(self, encoded: EncodedBlocks) -> None:
        parts: list[bytes | memoryview] = []
        for number, block in enumerate(encoded.blocks, encoded.offset // _BLOCK):
            if block is not None:
                self._map[number] = self._used
                self._used += 1
                parts.append(block)
                if len(block) < _BLOCK:
                    parts.append(bytes(_BLOCK - len(block)))
        self.file.append(parts)

    def _end(self, facts: ClosingFacts) -> None:
        del facts
        config = self._config
        header = _HEADER.pack(
            _TEXT,
            0xBEDA107F,
            0x10001,
            400,
            1,
            0,
            b"",
            _MAP_AT,
            _data_at(config.media_size),
            0,
            0,
            0,
            512,
            0,
            config.media_size,
            _BLOCK,
            0,
            len(self._map),
            self._used,
            config.identifier,
            hashlib.sha256(config.identifier).digest()[:16],
            bytes(16),
            bytes(16),
        )
        self.file.patch(0, header + little_endian(self._map))
