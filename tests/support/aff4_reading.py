"""Reads an AFF4 image with nothing but the standard library: a second implementation, for tests only."""

from __future__ import annotations

import hashlib
import re
import struct
import zipfile
import zlib
from pathlib import Path
from urllib.parse import quote

__all__ = ["read_aff4", "turtle_of"]


def turtle_of(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read("information.turtle").decode()


def read_aff4(path: Path) -> bytes:
    """Return the medium; every chunk is checked against its block digest, every member against its CRC-32."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        text = archive.read("information.turtle").decode()
        name = _one(r"aff4:dataStream <([^>]+)>", text)
        size = int(_one(r'aff4:sectorCount [^;]+;\s+aff4:size "(\d+)"', text))
        folder = quote(name, safe="")
        stream = quote(archive.read(f"{folder}/idx").decode().splitlines()[0], safe="")
        data = _stream(archive, stream)
        medium = bytearray(size)
        end = 0
        for place, length, target, number in struct.iter_unpack("<QQQI", archive.read(f"{folder}/map")):
            assert place == end, "the map has a gap"
            end = place + length
            if number == 0:
                medium[place:end] = data[target : target + length]
        assert end == size
        return bytes(medium)


def _stream(archive: zipfile.ZipFile, name: str) -> bytes:
    data = bytearray()
    bevies = sorted(each for each in archive.namelist() if re.fullmatch(re.escape(name) + r"/\d{8}", each))
    for bevy in bevies:
        stored, digests = archive.read(bevy), archive.read(f"{bevy}.blockHash.sha256")
        for number, (offset, length) in enumerate(struct.iter_unpack("<QI", archive.read(f"{bevy}.index"))):
            chunk = stored[offset : offset + length]
            chunk = chunk if length == 32768 else zlib.decompress(chunk)
            assert len(chunk) == 32768
            assert hashlib.sha256(chunk).digest() == digests[32 * number : 32 * number + 32]
            data += chunk
    return bytes(data)


def _one(pattern: str, text: str) -> str:
    (found,) = re.findall(pattern, text)
    return str(found)
