"""The structures of an EWF version 1 file, byte by byte; no I/O.

All numbers are little-endian, all checksums Adler-32 (RFC 1950) with start value 1. Source of every fact: J. Metz,
*Expert Witness Compression Format (EWF)*, in the documentation of libewf (github.com/libyal/libewf), and ASR Data's
*Expert Witness Compression Format Specification* of 2002; checked against files by EnCase, FTK Imager and ewfacquire.

=================  =====  ======================================================================================
structure          bytes  offset: field
=================  =====  ======================================================================================
file header        13     0: ``EVF 09 0d 0a ff 00`` (``LVF…``: logical) · 8: 1 · 9: u16 segment number · 11: u16 0
section            76     0: type, char[16] · 16: u64 offset of the next descriptor · 24: u64 size with these 76 ·
descriptor                32: 40 zeros · 72: Adler-32 of 0..71
volume             1052   0: u8 media type · 4: u32 chunks · 8: u32 sectors per chunk · 12: u32 bytes per sector ·
(disk, data)              16: u64 sectors · 24: u32 cylinders, 28: heads, 32: sectors · 36: u8 media flags ·
                          40: u32 PALM volume start · 48: u32 SMART log start · 52: u8 compression level ·
                          56: u32 error granularity in sectors · 64: 16 bytes set identifier ·
                          1043: 5 bytes signature · 1048: Adler-32 of 0..1047
table header       24     0: u32 entries · 8: u64 base offset · 20: Adler-32 of 0..19
table entries      4 n    each u32: offset relative to the base, bit 31: the chunk is compressed
table footer       4      Adler-32 of the entries
error2             520    0: u32 entries · 516: Adler-32 of 0..515; then n × (u32 first sector, u32 sectors); then
                          Adler-32 of the entries
session            36     0: u32 entries · 32: Adler-32 of 0..31; then n × (u32 flags, u32 first sector, 24 zeros);
                          then Adler-32 of the entries
digest             80     0: MD5 · 16: SHA-1 · 36: 40 zeros · 76: Adler-32 of 0..75
hash               36     0: MD5 · 16: 16 zeros · 32: Adler-32 of 0..31
=================  =====  ======================================================================================

The ``unpack`` functions are meant for hostile data: they check lengths and counts, allocate nothing that the given
bytes do not hold, and raise nothing but :class:`~forensiq.errors.ImageFormatError`. A wrong checksum is not an error
here: they return it beside the value, and the reader decides.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from typing import Self

from isal import isal_zlib
from msgspec import Struct
from msgspec.structs import astuple

from forensiq.errors import ImageFormatError

__all__ = [
    "ADLER_SIZE",
    "COMPRESSED",
    "DESCRIPTOR_SIZE",
    "DIGEST_SIZE",
    "ERROR_ENTRY_SIZE",
    "ERROR_HEADER_SIZE",
    "FILE_HEADER_SIZE",
    "HASH_SIZE",
    "LOGICAL_SIGNATURE",
    "MAX_CHUNKS",
    "MAX_ERROR_SECTOR",
    "MAX_TABLE_OFFSET",
    "MEDIA_FLAG_FASTBLOC",
    "MEDIA_FLAG_IMAGE",
    "MEDIA_FLAG_PHYSICAL",
    "MEDIA_FLAG_TABLEAU",
    "MEDIA_TYPE_FIXED",
    "MEDIA_TYPE_LOGICAL",
    "MEDIA_TYPE_MEMORY",
    "MEDIA_TYPE_OPTICAL",
    "MEDIA_TYPE_REMOVABLE",
    "SESSION_ENTRY_SIZE",
    "SESSION_HEADER_SIZE",
    "SIGNATURE",
    "TABLE_HEADER_SIZE",
    "VOLUME_SIZE",
    "Checksum",
    "DigestBody",
    "ErrorTable",
    "FileHeader",
    "HashBody",
    "SectionDescriptor",
    "SessionTable",
    "TableHeader",
    "Volume",
    "adler32",
    "pack_table",
    "table_body_size",
    "unpack_entries",
]

SIGNATURE = b"EVF\x09\x0d\x0a\xff\x00"
LOGICAL_SIGNATURE = b"LVF\x09\x0d\x0a\xff\x00"

ADLER_SIZE = 4
FILE_HEADER_SIZE = 13
DESCRIPTOR_SIZE = 76
VOLUME_SIZE = 1052
TABLE_HEADER_SIZE = 24
ERROR_HEADER_SIZE = 520
ERROR_ENTRY_SIZE = 8
SESSION_HEADER_SIZE = 36
SESSION_ENTRY_SIZE = 32
DIGEST_SIZE = 80
HASH_SIZE = 36

MEDIA_TYPE_REMOVABLE = 0x00
MEDIA_TYPE_FIXED = 0x01
MEDIA_TYPE_OPTICAL = 0x03
MEDIA_TYPE_LOGICAL = 0x0E
MEDIA_TYPE_MEMORY = 0x10

MEDIA_FLAG_IMAGE = 0x01
MEDIA_FLAG_PHYSICAL = 0x02
MEDIA_FLAG_FASTBLOC = 0x04
MEDIA_FLAG_TABLEAU = 0x08

COMPRESSED = 0x8000_0000
MAX_TABLE_OFFSET = 0x7FFF_FFFF
"""Largest offset, relative to the base of its table, that an entry can hold."""
MAX_CHUNKS = 0xFFFF_FFFF
MAX_ERROR_SECTOR = 0xFFFF_FFFF

_FILE_HEADER = struct.Struct("<8sBHH")
_DESCRIPTOR = struct.Struct("<16sQQ40x")
_VOLUME = struct.Struct("<B3xIIIQIIIB3xI4xIB3xI4x16s963x5s")
_TABLE_HEADER = struct.Struct("<I4xQ4x")
_ERROR_HEADER = struct.Struct("<I512x")
_SESSION_HEADER = struct.Struct("<I28x")
_SESSION_ENTRY = struct.Struct("<II24x")
_DIGEST = struct.Struct("<16s20s40x")
_HASH = struct.Struct("<16s16s")
_U32 = struct.Struct("<I")


def adler32(data: bytes | memoryview) -> int:
    """Return the Adler-32 checksum of ``data``; releases the GIL for large data."""
    return int(isal_zlib.adler32(data))


class Checksum(Struct, frozen=True):
    """An Adler-32 as it stands in a file, and as it is of the bytes that it covers."""

    stored: int
    computed: int

    @property
    def ok(self) -> bool:
        """Whether the two agree."""
        return self.stored == self.computed


def _need(data: bytes | memoryview, size: int, what: str) -> None:
    if len(data) < size:
        raise ImageFormatError(f"{what}: {len(data)} bytes where {size} are needed", structure=what, size=len(data))


def _checksum(data: bytes | memoryview, covered: int) -> Checksum:
    return Checksum(stored=_U32.unpack_from(data, covered)[0], computed=adler32(data[:covered]))


def _with_checksum(body: bytes) -> bytes:
    return body + _U32.pack(adler32(body))


class FileHeader(Struct, frozen=True):
    """The first 13 bytes of a segment file. ``segment`` counts from 1; ``logical`` is an L01."""

    segment: int
    logical: bool = False

    def pack(self) -> bytes:
        """Return the 13 bytes."""
        return _FILE_HEADER.pack(LOGICAL_SIGNATURE if self.logical else SIGNATURE, 1, self.segment, 0)

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> Self:
        """Read a file header; one with another signature or other constants is an ``ImageFormatError``."""
        _need(data, FILE_HEADER_SIZE, "file header")
        signature, start, segment, end = _FILE_HEADER.unpack_from(data)
        if signature not in (SIGNATURE, LOGICAL_SIGNATURE):
            raise ImageFormatError("not an EWF version 1 file: the signature differs", found=signature.hex())
        if (start, end) != (1, 0):
            raise ImageFormatError("the file header is damaged: its constants differ", found=bytes(data[:13]).hex())
        return cls(segment, signature == LOGICAL_SIGNATURE)


class SectionDescriptor(Struct, frozen=True):
    """What stands before every section.

    ``next`` is the file offset of the next descriptor (its own in ``next`` and ``done``); ``size`` counts the
    descriptor too, but is 0 in the ``next`` and ``done`` of EnCase. ``kind`` is the type up to the first NUL, one
    character per byte.
    """

    kind: str
    next: int
    size: int

    def pack(self) -> bytes:
        """Return the 76 bytes."""
        return _with_checksum(_DESCRIPTOR.pack(self.kind.encode("latin-1"), self.next, self.size))

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> tuple[Self, Checksum]:
        """Read a descriptor; the type may be any bytes."""
        _need(data, DESCRIPTOR_SIZE, "section descriptor")
        kind, following, size = _DESCRIPTOR.unpack_from(data)
        value = cls(kind.split(b"\0", 1)[0].decode("latin-1"), following, size)
        return value, _checksum(data, DESCRIPTOR_SIZE - ADLER_SIZE)


class Volume(Struct, frozen=True, kw_only=True):
    """The medium, as a ``volume``, ``disk`` or ``data`` section tells it; the fields stand as in the file.

    ``set_identifier`` is the same in all segments of one image. ``compression`` is 0 none, 1 fast, 2 best, and a mere
    statement: each chunk says itself how it is stored.
    """

    media_type: int = MEDIA_TYPE_FIXED
    chunks: int
    sectors_per_chunk: int
    bytes_per_sector: int
    sectors: int
    cylinders: int = 0
    heads: int = 0
    sectors_per_track: int = 0
    media_flags: int = MEDIA_FLAG_IMAGE
    palm_start: int = 0
    smart_start: int = 0
    compression: int = 0
    error_granularity: int = 64
    set_identifier: bytes = bytes(16)
    signature: bytes = bytes(5)

    def pack(self) -> bytes:
        """Return the 1052 bytes."""
        return _with_checksum(_VOLUME.pack(*astuple(self)))

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> tuple[Self, Checksum]:
        """Read the body of a volume, disk or data section; no number in it is checked."""
        _need(data, VOLUME_SIZE, "volume")
        values = zip(cls.__struct_fields__, _VOLUME.unpack_from(data), strict=True)
        value = cls(**dict(values))
        return value, _checksum(data, VOLUME_SIZE - ADLER_SIZE)


class TableHeader(Struct, frozen=True):
    """The head of a ``table`` or ``table2`` section. ``base`` is added to each entry; 0 in files of EnCase 1 to 5."""

    entries: int
    base: int

    def pack(self) -> bytes:
        """Return the 24 bytes."""
        return _with_checksum(_TABLE_HEADER.pack(self.entries, self.base))

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> tuple[Self, Checksum]:
        """Read a table header; ``entries`` is not checked against anything."""
        _need(data, TABLE_HEADER_SIZE, "table header")
        return cls(*_TABLE_HEADER.unpack_from(data)), _checksum(data, TABLE_HEADER_SIZE - ADLER_SIZE)


def table_body_size(entries: int) -> int:
    """Bytes of a table section with ``entries`` entries, without its descriptor."""
    return TABLE_HEADER_SIZE + 4 * entries + ADLER_SIZE


def pack_table(base: int, entries: array[int]) -> bytes:
    """Return the body of a table section; ``entries`` has type code ``I``."""
    return TableHeader(len(entries), base).pack() + _with_checksum(_little_endian(entries).tobytes())


def unpack_entries(data: bytes | memoryview, count: int) -> tuple[array[int], Checksum | None]:
    """Return the ``count`` entries at the start of ``data``, which begins behind a table header.

    The footer's checksum is ``None`` where the section ends with the entries (early EnCase and SMART files).
    """
    if count < 0 or len(data) < 4 * count:
        raise ImageFormatError(
            f"table: {count} entries do not fit into {len(data)} bytes", structure="table", count=count, size=len(data)
        )
    entries = array("I")
    entries.frombytes(data[: 4 * count])
    checksum = _checksum(data, 4 * count) if len(data) >= 4 * count + ADLER_SIZE else None
    return _little_endian(entries), checksum


def _little_endian(entries: array[int]) -> array[int]:
    if sys.byteorder == "little":
        return entries
    swapped = array("I", entries)
    swapped.byteswap()
    return swapped


class ErrorTable(Struct, frozen=True):
    """The body of an ``error2`` section: unreadable ranges as (first sector, number of sectors), both 32-bit."""

    ranges: Sequence[tuple[int, int]]

    def pack(self) -> bytes:
        """Return the body; a number beyond 32 bits is a ``ValueError``."""
        if any(not (0 <= first <= MAX_ERROR_SECTOR and 0 < count <= 0xFFFF_FFFF) for first, count in self.ranges):
            raise ValueError("error2 holds 32-bit sector numbers only")
        flat = array("I", (number for entry in self.ranges for number in entry))
        return _with_checksum(_ERROR_HEADER.pack(len(self.ranges))) + _with_checksum(_little_endian(flat).tobytes())

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> tuple[Self, Checksum, Checksum]:
        """Read the body; return the ranges, the checksum of the head and that of the entries."""
        _need(data, ERROR_HEADER_SIZE, "error2")
        count = _ERROR_HEADER.unpack_from(data)[0]
        body = data[ERROR_HEADER_SIZE:]
        _need(body, ERROR_ENTRY_SIZE * count + ADLER_SIZE, "error2 entries")
        flat, _ = unpack_entries(body, 2 * count)
        ranges = tuple(zip(flat[::2], flat[1::2], strict=True))
        head = _checksum(data, ERROR_HEADER_SIZE - ADLER_SIZE)
        return cls(ranges), head, _checksum(body, ERROR_ENTRY_SIZE * count)


class SessionTable(Struct, frozen=True):
    """The body of a ``session`` section (optical media): (flags, first sector); flag 1 is an audio track."""

    sessions: Sequence[tuple[int, int]]

    def pack(self) -> bytes:
        """Return the body."""
        entries = b"".join(_SESSION_ENTRY.pack(flags, first) for flags, first in self.sessions)
        return _with_checksum(_SESSION_HEADER.pack(len(self.sessions))) + _with_checksum(entries)

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> tuple[Self, Checksum, Checksum]:
        """Read the body; return the sessions, the checksum of the head and that of the entries."""
        _need(data, SESSION_HEADER_SIZE, "session")
        count = _SESSION_HEADER.unpack_from(data)[0]
        body = data[SESSION_HEADER_SIZE:]
        _need(body, SESSION_ENTRY_SIZE * count + ADLER_SIZE, "session entries")
        sessions = tuple(_SESSION_ENTRY.iter_unpack(body[: SESSION_ENTRY_SIZE * count]))
        head = _checksum(data, SESSION_HEADER_SIZE - ADLER_SIZE)
        return cls(sessions), head, _checksum(body, SESSION_ENTRY_SIZE * count)


class DigestBody(Struct, frozen=True):
    """The body of a ``digest`` section: MD5 and SHA-1 of the medium (EnCase 6.12 and later)."""

    md5: bytes
    sha1: bytes

    def pack(self) -> bytes:
        """Return the 80 bytes."""
        return _with_checksum(_DIGEST.pack(self.md5, self.sha1))

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> tuple[Self, Checksum]:
        """Read the body."""
        _need(data, DIGEST_SIZE, "digest")
        return cls(*_DIGEST.unpack_from(data)), _checksum(data, DIGEST_SIZE - ADLER_SIZE)


class HashBody(Struct, frozen=True):
    """The body of a ``hash`` section: MD5 of the medium. ``unknown`` is not zero in some files of EnCase."""

    md5: bytes
    unknown: bytes = bytes(16)

    def pack(self) -> bytes:
        """Return the 36 bytes."""
        return _with_checksum(_HASH.pack(self.md5, self.unknown))

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> tuple[Self, Checksum]:
        """Read the body."""
        _need(data, HASH_SIZE, "hash")
        return cls(*_HASH.unpack_from(data)), _checksum(data, HASH_SIZE - ADLER_SIZE)
