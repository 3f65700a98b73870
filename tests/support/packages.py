"""Makes small DMG, AFF4 and BIN/CUE files byte by byte from their specifications."""

from __future__ import annotations

import bz2
import hashlib
import lzma
import plistlib
import struct
import zipfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cramjam
import lzfse

from forensiq.images.crc import edc

__all__ = ["build_aff4", "build_bin", "build_dmg"]

_DMG: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "raw": (1, bytes),
    "zlib": (0x8000_0005, zlib.compress),
    "bzip2": (0x8000_0006, bz2.compress),
    "lzfse": (0x8000_0007, lzfse.compress),
    "lzma": (0x8000_0008, lzma.compress),
    "adc": (
        0x8000_0004,
        lambda data: b"".join(
            bytes([0x80 | len(data[at : at + 128]) - 1]) + data[at : at + 128] for at in range(0, len(data), 128)
        ),
    ),
}
URN = "aff4://11111111-2222-3333-4444-555555555555"


def build_dmg(media: bytes, path: Path, codec: str = "zlib", *, ignore: range | None = None) -> Path:
    """Write a UDIF image with runs of 32 sectors; runs of zeros are not stored, those in ``ignore`` left out."""
    kind, pack = _DMG[codec]
    sectors = len(media) // 512
    data, runs, crc = bytearray(), [], 0
    for first in range(0, sectors, 32):
        piece = media[first * 512 : (first + 32) * 512]
        count = len(piece) // 512
        if ignore is not None and first in ignore:
            runs.append((2, 0, first, count, 0, 0))
            continue
        crc = zlib.crc32(piece, crc)
        if any(piece):
            stored = pack(piece)
            runs.append((kind, 0, first, count, len(data), len(stored)))
            data += stored
        else:
            runs.append((0, 0, first, count, 0, 0))
    runs.append((0xFFFF_FFFF, 0, sectors, 0, 0, 0))
    checksum = struct.pack(">III", 2, 32, crc).ljust(136, b"\0")
    mish = struct.pack(">4sIQQQII24x", b"mish", 1, 0, sectors, 0, 0, 0) + checksum + struct.pack(">I", len(runs))
    mish += b"".join(struct.pack(">IIQQQQ", *run) for run in runs)
    plist = plistlib.dumps({"resource-fork": {"blkx": [{"Name": "whole disk", "Data": mish, "ID": "0"}]}})
    trailer = bytearray(512)
    struct.pack_into(">4sIIIQQQQQII", trailer, 0, b"koly", 4, 512, 1, 0, 0, len(data), 0, 0, 1, 1)
    struct.pack_into(">III", trailer, 80, 2, 32, zlib.crc32(data))
    struct.pack_into(">QQ", trailer, 216, len(data), len(plist))
    struct.pack_into(">III", trailer, 352, 2, 32, zlib.crc32(crc.to_bytes(4, "big")))
    struct.pack_into(">IQ", trailer, 488, 1, sectors)
    path.write_bytes(bytes(data) + plist + bytes(trailer))
    return path


_AFF4: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "stored": ("http://aff4.org/Schema#NullCompressor", bytes),
    "snappy": ("http://code.google.com/p/snappy/", lambda data: bytes(cramjam.snappy.compress_raw(data))),
    "lz4": ("https://code.google.com/p/lz4/", lambda data: bytes(cramjam.lz4.compress_block(data, store_size=False))),
    "deflate": ("https://tools.ietf.org/html/rfc1951", lambda data: zlib.compress(data)[2:-4]),
    "zlib": ("https://www.ietf.org/rfc/rfc1950.txt", zlib.compress),
}


def build_aff4(
    media: bytes,
    path: Path,
    codec: str = "snappy",
    *,
    unreadable: range | None = None,
    unknown: range | None = None,
    more: str = "",
    turtle: str | None = None,
) -> Path:
    """Write an image of one volume: chunks of 8 KiB, 16 to a bevy; ranges in bytes are mapped to the symbolic streams.

    ``more`` is added to the facts, ``turtle`` replaces them.
    """
    method, pack = _AFF4[codec]
    stream, mapped, disk = f"{URN}/stream", f"{URN}/map", "aff4://image"
    cuts = sorted(
        {0, len(media), *(each for part in (unreadable, unknown) if part for each in (part.start, part.stop))}
    )
    rows = b""
    for first, last in pairwise(cuts):
        target = 1 if unreadable and first in unreadable else 2 if unknown and first in unknown else 0
        rows += struct.pack("<QQQI", first, last - first, first, target)
    idx = f"{stream}\nhttp://aff4.org/Schema#UnreadableData\nhttp://aff4.org/Schema#UnknownData\n".encode()
    facts = (
        turtle
        if turtle is not None
        else f"""@prefix : <{URN}> .
@prefix aff4: <http://aff4.org/Schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
: a aff4:ZipVolume ; aff4:stored "x.aff4" .
<{disk}> a aff4:DiskImage , aff4:Image ; aff4:dataStream <{mapped}> ; aff4:size "{len(media)}"^^xsd:long ;
    aff4:blockSize 512 ; aff4:diskSerial "S\\u0031 \\"x\\"" ; .
<{mapped}> a aff4:Map ; aff4:size "{len(media)}"^^xsd:long ; aff4:dependentStream <{stream}> ; aff4:stored : ;
    aff4:mapPointHash "{hashlib.sha512(rows).hexdigest()}"^^aff4:SHA512 .
<{stream}> a aff4:ImageStream ; aff4:chunkSize "8192"^^xsd:int ; aff4:chunksInSegment "16"^^xsd:int ;
    aff4:compressionMethod <{method}> ; aff4:size "{len(media)}"^^xsd:long ; aff4:stored : ;
    aff4:hash "{hashlib.md5(media).hexdigest()}"^^aff4:MD5 .
{more}
"""
    )
    with zipfile.ZipFile(path, "w") as package:
        package.comment = URN.encode()
        package.writestr("container.description", URN)
        package.writestr("version.txt", "major=1\nminor=0\ntool=test\n")
        for bevy in range(-(-len(media) // (16 * 8192))):
            body, index = bytearray(), b""
            for at in range(bevy * 16 * 8192, min(len(media), (bevy + 1) * 16 * 8192), 8192):
                piece = media[at : at + 8192]
                stored = pack(piece)
                stored = piece if len(stored) >= 8192 else stored
                index += struct.pack("<QI", len(body), len(stored))
                body += stored
            package.writestr(f"stream/{bevy:08d}", bytes(body))
            package.writestr(f"stream/{bevy:08d}.index", index)
        package.writestr("map/map", rows, compress_type=zipfile.ZIP_DEFLATED)
        package.writestr("map/idx", idx)
        package.writestr("information.turtle", facts, compress_type=zipfile.ZIP_DEFLATED)
    return path


def _bcd(value: int) -> int:
    return value // 10 << 4 | value % 10


def build_bin(media: bytes, path: Path, *, mode: int = 1, cue: str | None = "") -> Path:
    """Write raw sectors of a disc and a cue sheet (its own, the one given, or none); return the path of the sectors."""
    raw = bytearray()
    for number in range(len(media) // 2048):
        data, place = media[number * 2048 : (number + 1) * 2048], number + 150
        head = b"\0" + b"\xff" * 10 + b"\0"
        head += bytes([_bcd(place // 4500), _bcd(place // 75 % 60), _bcd(place % 75), mode])
        if mode == 1:
            sector = head + data
            sector += edc(sector).to_bytes(4, "little")
        else:
            body = bytes([0, 0, 8, 0]) * 2 + data
            sector = head + body + edc(body).to_bytes(4, "little")
        raw += sector.ljust(2352, b"\0")
    path.write_bytes(raw)
    if cue is not None:
        own = f'FILE "{path.name}" BINARY\n  TRACK 01 MODE{mode}/2352\n    INDEX 01 00:00:00\n'
        path.with_suffix(".cue").write_text(cue or own)
    return path
