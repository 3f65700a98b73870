"""Reads an E01 with nothing but :mod:`struct` and :mod:`zlib`, so that the writer is not checked with its own code."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from msgspec import Struct


class Section(Struct):
    kind: str
    offset: int
    size: int
    body: bytes


def checked(data: bytes) -> bytes:
    """Return ``data`` without the Adler-32 at its end, which has to be right."""
    assert struct.unpack("<I", data[-4:])[0] == zlib.adler32(data[:-4])
    return data[:-4]


def sections(path: Path) -> list[Section]:
    data = path.read_bytes()
    assert data[:9] == b"EVF\x09\x0d\x0a\xff\x00\x01"
    found, offset = [], 13
    while True:
        kind, following, size = struct.unpack_from("<16sQQ", checked(data[offset : offset + 76]))
        name = kind.rstrip(b"\0").decode()
        found.append(Section(name, offset, size, data[offset + 76 : offset + size] if size else b""))
        if name in ("next", "done"):
            assert following == offset
            assert size == 0
            assert offset + 76 == len(data)
            return found
        assert following == offset + size
        offset = following


def media(paths: list[Path], sector_size: int = 512) -> bytes:
    """Return the medium; every table, checksum and count on the way is asserted."""
    out: list[bytes] = []
    volume = b""
    for number, path in enumerate(paths, 1):
        data = path.read_bytes()
        assert struct.unpack_from("<H", data, 9)[0] == number
        parts = sections(path)
        start = end = 0
        for index, part in enumerate(parts):
            if part.kind in ("volume", "data"):
                assert not volume or volume == part.body
                volume = checked(part.body) and part.body
            elif part.kind == "sectors":
                start, end = part.offset, part.offset + part.size
            elif part.kind == "table":
                assert parts[index + 1].kind == "table2"
                assert parts[index + 1].body == part.body
                count, base = struct.unpack_from("<I4xQ", checked(part.body[:24]))
                assert base == start
                assert 0 < count <= 16375
                entries = struct.unpack(f"<{count}I", checked(part.body[24:]))
                places = [base + (entry & 0x7FFFFFFF) for entry in entries] + [end]
                assert places[0] == start + 76
                for entry, here, there in zip(entries, places[:-1], places[1:], strict=True):
                    stored = data[here:there]
                    out.append(zlib.decompress(stored) if entry >> 31 else checked(stored))
    chunks, per_chunk, sector, sectors = struct.unpack_from("<4xIIIQ", volume)
    medium = b"".join(out)
    assert len(out) == chunks
    assert sector == sector_size
    assert len(medium) == sectors * sector
    assert all(len(chunk) == per_chunk * sector for chunk in out[:-1])
    return medium
