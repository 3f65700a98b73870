"""Writes raw DMG images: the medium as it is, and behind it what makes it a UDIF disk image.

===================== ==========================================================================================
where                 what
===================== ==========================================================================================
byte 0                the medium
behind it             a property list (XML) with a block table (``mish``): raw pieces of 16 MiB, which stand where they
                      stand on the medium
last 512 bytes        ``koly``: places, sizes, CRC-32 of the medium
===================== ==========================================================================================

So the file is a raw image with something behind it, for programs that do not know UDIF. Numbers are big-endian. Source:
libyal, "Mac OS disk image types (libmodi)"; QEMU's ``block/dmg.c``.
"""

from __future__ import annotations

import base64
import struct

from isal import isal_zlib

from forensiq.images.container_blocks import EncodedBlocks
from forensiq.images.container_file import ContainerConfig
from forensiq.images.flat_writer import FlatWriter
from forensiq.images.output import FileCalls
from forensiq.model.image import ClosingFacts

__all__ = ["DmgWriter", "largest_dmg", "worst_dmg"]

_PIECE = 16 << 20
_RAW, _LAST = 1, 0xFFFFFFFF
_CRC32 = 2
_CHECKSUM = struct.Struct(">III124x")
_ENTRY = struct.Struct(">IIQQQQ")
_TABLE = struct.Struct(">4sIQQQII24x")
_KOLY = struct.Struct(">4sIIIQQQQQII16s136sQQ120x136sIQ12x")
_LARGEST_LIST = 16 << 20


def largest_dmg() -> int:
    """Return the largest medium in bytes: QEMU reads property lists of 16 MiB."""
    return (_LARGEST_LIST - 8192) // 56 * _PIECE


def worst_dmg(media_size: int) -> int:
    """Return the size of the file in bytes."""
    return media_size + -(-media_size // _PIECE) * 56 + 8192


def _checksum(value: int) -> bytes:
    return _CHECKSUM.pack(_CRC32, 32, value)


class DmgWriter(FlatWriter):
    """See the description of the module; a CRC-32 is computed while it is written."""

    format = "dmg"

    def __init__(self, config: ContainerConfig, *, calls: FileCalls | None = None) -> None:
        super().__init__(config, calls=calls)
        self._crc = 0

    def _store(self, encoded: EncodedBlocks) -> None:
        super()._store(encoded)
        self._crc = isal_zlib.crc32(encoded.data, self._crc)

    def _end(self, facts: ClosingFacts) -> None:
        super()._end(facts)
        size = self._config.media_size
        plist = self._property_list().encode()
        at = self.file.append([plist])
        whole = _checksum(self._crc)
        # The checksum of the file is that of the checksums of its tables.
        master = _checksum(isal_zlib.crc32(self._crc.to_bytes(4, "big")))
        identifier = self._config.identifier
        data = (b"koly", 4, 512, 1, 0, 0, size, 0, 0, 1, 1, identifier, whole)
        self.file.append([_KOLY.pack(*data, at, len(plist), master, 1, size // 512)])

    def _property_list(self) -> str:
        size = self._config.media_size
        starts = range(0, size, _PIECE)
        entries = [
            _ENTRY.pack(_RAW, 0, at // 512, min(_PIECE, size - at) // 512, at, min(_PIECE, size - at)) for at in starts
        ]
        entries.append(_ENTRY.pack(_LAST, 0, size // 512, 0, size, 0))
        table = _TABLE.pack(b"mish", 1, 0, size // 512, 0, _PIECE // 512 + 8, 0)
        table += _checksum(self._crc) + len(entries).to_bytes(4, "big") + b"".join(entries)
        return _PLIST.format(data=base64.b64encode(table).decode())


_PLIST = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple Computer//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
<key>resource-fork</key>
<dict>
<key>blkx</key>
<array>
<dict>
<key>Attributes</key>
<string>0x0050</string>
<key>CFName</key>
<string>whole disk</string>
<key>Data</key>
<data>
{data}
</data>
<key>ID</key>
<string>0</string>
<key>Name</key>
<string>whole disk</string>
</dict>
</array>
</dict>
</dict>
</plist>
"""
