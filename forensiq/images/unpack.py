"""Compressed units to bytes, each bounded by the size that it must have: no stream makes more memory than that."""

from __future__ import annotations

import bz2
import lzma
import struct
from collections.abc import Callable

import cramjam
import lzfse
from isal import isal_zlib

from forensiq.images.spans import Codec

__all__ = ["UnpackError", "unpack"]

_ISAL_ERROR: type[Exception] = getattr(isal_zlib, "error")  # noqa: B009 its stub says that it is no class
_MEMORY = 256 << 20
"""Most memory that an xz stream may ask for."""


class UnpackError(Exception):
    """A unit that is not what it must be; the message says what is wrong. Never leaves the images package."""


def unpack(codec: Codec, stored: bytes, size: int) -> bytes | bytearray:
    """Return the ``size`` bytes that ``stored`` holds; :class:`UnpackError` where it holds anything else.

    Checksums inside the stream (zlib's Adler-32, those of bzip2, xz and zstd) are checked. Releases the GIL.
    """
    return _CODECS[codec](stored, size)


def _exactly(data: bytes, size: int, ended: bool) -> bytes:
    if len(data) > size:
        raise UnpackError(f"it holds more than the {size} bytes that belong there")
    if len(data) < size:
        raise UnpackError(f"it holds {len(data)} bytes where {size} belong")
    if not ended:
        raise UnpackError("its end is missing")
    return data


def _deflate(stored: bytes, size: int) -> bytes:
    stream = isal_zlib.decompressobj(wbits=-15)
    try:
        data = stream.decompress(stored, size + 1)
    except _ISAL_ERROR:
        raise UnpackError("it is no deflate stream") from None
    return _exactly(data, size, stream.eof)


def _zlib(stored: bytes, size: int) -> bytes:
    stream = isal_zlib.decompressobj()
    try:
        data = stream.decompress(stored, size + 1)
    except _ISAL_ERROR:
        raise UnpackError("it is no zlib stream, or its checksum is wrong") from None
    return _exactly(data, size, stream.eof)


def _bzip2(stored: bytes, size: int) -> bytes:
    stream = bz2.BZ2Decompressor()
    try:
        data = stream.decompress(stored, size + 1)
    except (OSError, ValueError):
        raise UnpackError("it is no bzip2 stream, or its checksum is wrong") from None
    return _exactly(data, size, stream.eof)


def _xz(stored: bytes, size: int) -> bytes:
    stream = lzma.LZMADecompressor(memlimit=_MEMORY)
    try:
        data = stream.decompress(stored, size + 1)
    except (lzma.LZMAError, MemoryError):
        raise UnpackError("it is no xz stream, or its checksum is wrong") from None
    return _exactly(data, size, stream.eof)


def _into(function: Callable[[bytes, bytearray], int], name: str) -> Callable[[bytes, int], bytearray]:
    def run(stored: bytes, size: int) -> bytearray:
        data = bytearray(size)
        try:
            count = function(stored, data)
        except cramjam.DecompressionError:
            raise UnpackError(f"it is no {name} data that gives {size} bytes") from None
        if count != size:
            raise UnpackError(f"it holds {count} bytes where {size} belong")
        return data

    return run


_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def _zstd_end(stored: bytes) -> int:
    """Return where the frame that ``stored`` begins with ends (RFC 8878, section 3.1.1): padding may follow it."""
    if stored[:4] != _ZSTD_MAGIC or len(stored) < 6:
        raise UnpackError("it is no zstd frame")
    descriptor = stored[4]
    single = descriptor >> 5 & 1
    at = 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3] + (single, 2, 4, 8)[descriptor >> 6]
    last = False
    while not last:
        header = int.from_bytes(stored[at : at + 3], "little")
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        at += 3 + (1 if kind == 1 else size)
        if at > len(stored):
            raise UnpackError("its end is missing")
    return at + 4 * (descriptor >> 2 & 1)


def _zstd(stored: bytes, size: int) -> bytearray:
    return _zstd_frame(stored[: _zstd_end(stored)], size)


def _lzfse_size(stored: bytes) -> int:
    """Return the size that the block headers state (``lzfse_internal.h``): the library itself has no bound."""
    total = at = 0
    while (magic := stored[at : at + 4]) != b"bvx$":
        head = stored[at : at + 32]
        if len(head) < 12:
            raise UnpackError("its end is missing")
        raw, payload = struct.unpack_from("<II", head, 4)
        total += raw
        if magic == b"bvx-":
            at += 8 + raw
        elif magic == b"bvxn":
            at += 12 + payload
        elif magic == b"bvx1":
            at += 772 + payload
        elif magic == b"bvx2" and len(head) == 32:
            first, second, third = struct.unpack_from("<QQQ", head, 8)
            at += max(32, third & 0xFFFFFFFF) + (first >> 20 & 0xFFFFF) + (second >> 40 & 0xFFFFF)
        else:
            raise UnpackError("it is no LZFSE stream")
    return total


def _lzfse(stored: bytes, size: int) -> bytes:
    stated = _lzfse_size(stored)
    if stated != size:
        raise UnpackError(f"it states {stated} bytes where {size} belong")
    try:
        data = lzfse.decompress(stored)
    except lzfse.error:
        raise UnpackError("it is no LZFSE stream") from None
    return _exactly(data, size, ended=True)


def _adc(stored: bytes, size: int) -> bytes:
    """Apple Data Compression: literals (``1lllllll``), short (``00llllhh h``) and long (``01llllll hh``) copies."""
    out = bytearray()
    at = 0
    while at < len(stored) and len(out) < size:
        code = stored[at]
        if code & 0x80:
            count = (code & 0x7F) + 1
            out += stored[at + 1 : at + 1 + count]
            at += 1 + count
            continue
        wide = code & 0x40
        place = stored[at + 1 : at + (3 if wide else 2)]
        if len(place) < (2 if wide else 1):
            break
        count = (code & 0x3F) + 4 if wide else (code >> 2 & 0xF) + 3
        back = (int.from_bytes(place, "big") if wide else (code & 3) << 8 | place[0]) + 1
        at += 1 + len(place)
        if back > len(out):
            raise UnpackError("it points before its beginning")
        start = len(out) - back
        copied = bytes(out[start : start + count])
        out += (copied * (count // len(copied) + 1))[:count]
    return _exactly(bytes(out), size, ended=True)


_zstd_frame = _into(cramjam.zstd.decompress_into, "zstd")
_CODECS: dict[Codec, Callable[[bytes, int], bytes | bytearray]] = {
    Codec.STORED: lambda stored, size: _exactly(stored, size, ended=True),
    Codec.DEFLATE: _deflate,
    Codec.ZLIB: _zlib,
    Codec.ZSTD: _zstd,
    Codec.BZIP2: _bzip2,
    Codec.LZFSE: _lzfse,
    Codec.XZ: _xz,
    Codec.ADC: _adc,
    Codec.SNAPPY: _into(cramjam.snappy.decompress_raw_into, "Snappy"),
    Codec.LZ4: _into(cramjam.lz4.decompress_block_into, "LZ4"),
}
