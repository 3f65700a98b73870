"""The trailer and the block tables of Apple disk images (UDIF, ``.dmg``).

====== ===== ==========================================================
offset bytes field of the trailer, 512 bytes at the end (big-endian)
====== ===== ==========================================================
0      4     ``koly``
24     8     data fork: place, 32: length
40     8     resource fork: place, 48: length
56     4     segment, 60: number of segments
80     136   checksum of the data fork: kind (2 CRC-32), bits, value
216    8     property list: place, 224: length
352    136   checksum of all tables' checksums
492    8     sectors of the medium, 512 bytes each
====== ===== ==========================================================

The property list (or, in old images, the resource fork) has one table ``blkx`` for each partition: ``mish``, its first
sector (8) and number of sectors (16), where its data begin (24), a checksum of its stored sectors (64), and from 204 on
runs of 40 bytes: kind, sector, sectors, place, stored bytes. Source: libmodi's documentation of the format, checked
against images.
"""

from __future__ import annotations

import plistlib
import struct
from pathlib import Path
from xml.parsers.expat import ExpatError

from msgspec import Struct

from forensiq.errors import ImageFormatError
from forensiq.images.ewf.files import SegmentFiles

__all__ = ["RUN", "SECTOR", "Checksum", "Table", "Trailer", "read_tables", "read_trailer"]

SECTOR = 512
RUN = struct.Struct(">IIQQQQ")
_CRC32 = 2
_MOST_LIST = 128 << 20
_MOST_TABLES = 4096


class Checksum(Struct, frozen=True):
    """A checksum as it is stated; ``crc`` is ``None`` where it is of another kind, or not there (kind 0)."""

    kind: int
    crc: int | None


class Trailer(Struct, frozen=True):
    """What the last 512 bytes say: places and sizes in bytes."""

    data_at: int
    data_size: int
    data_checksum: Checksum
    list_at: int
    list_size: int
    fork_at: int
    fork_size: int
    segment: int
    segments: int
    master: Checksum
    sectors: int
    variant: int


class Table(Struct, frozen=True):
    """One partition: sectors of the medium, where its data begin in the data fork, and its runs as they are stored."""

    name: str
    first: int
    sectors: int
    data_at: int
    checksum: Checksum
    runs: bytes


def _checksum(data: bytes) -> Checksum:
    kind, bits = struct.unpack_from(">II", data)
    return Checksum(kind, int.from_bytes(data[8:12], "big") if kind == _CRC32 and bits == 32 else None)


def read_trailer(path: Path, files: SegmentFiles) -> Trailer:
    """Return the trailer; :class:`~forensiq.errors.ImageFormatError` for one that cannot be."""
    size = files.size(0)
    data = files.read(0, max(0, size - SECTOR), SECTOR)
    if len(data) < SECTOR or not data.startswith(b"koly"):
        raise ImageFormatError(f"{path}: the trailer of the disk image is missing: cut off", path=str(path))
    data_at, data_size, fork_at, fork_size, segment, segments = struct.unpack_from(">QQQQII", data, 24)
    list_at, list_size = struct.unpack_from(">QQ", data, 216)
    variant, sectors = struct.unpack_from(">IQ", data, 488)
    for what, at, length in (
        ("data", data_at, data_size), ("property list", list_at, list_size), ("resource fork", fork_at, fork_size)
    ):  # fmt: skip
        if at + length > size:
            raise ImageFormatError(f"{path}: its {what} does not lie in the file: cut off, or damaged", path=str(path))
    return Trailer(
        data_at, data_size, _checksum(data[80:216]), list_at, list_size, fork_at, fork_size, segment, segments,
        _checksum(data[352:488]), sectors, variant,
    )  # fmt: skip


def read_tables(path: Path, files: SegmentFiles, trailer: Trailer) -> list[Table]:
    """Return the block tables in the order of the file."""
    if trailer.list_size > _MOST_LIST or trailer.fork_size > _MOST_LIST:
        raise ImageFormatError(f"{path}: block tables of that size are not possible", path=str(path))
    if trailer.list_size:
        found = _from_list(path, files.read(0, trailer.list_at, trailer.list_size))
    else:
        found = _from_fork(path, files.read(0, trailer.fork_at, trailer.fork_size))
    if not found or len(found) > _MOST_TABLES:
        raise ImageFormatError(f"{path}: the disk image has no block tables that can be", path=str(path))
    return [_table(path, name, data) for name, data in found]


def _from_list(path: Path, data: bytes) -> list[tuple[str, bytes]]:
    damaged = ImageFormatError(f"{path}: the property list of the disk image is damaged", path=str(path))
    try:
        # Entities are refused by plistlib, so that the list cannot grow beyond what is stored.
        value = plistlib.loads(data, fmt=plistlib.FMT_XML)
    except (plistlib.InvalidFileException, ExpatError, ValueError, IndexError, KeyError, RecursionError):
        raise damaged from None
    fork = value.get("resource-fork") if isinstance(value, dict) else None
    rows = fork.get("blkx") if isinstance(fork, dict) else None
    if not isinstance(rows, list):
        raise damaged
    found = []
    for row in rows:
        body = row.get("Data") if isinstance(row, dict) else None
        if not isinstance(body, bytes):
            raise damaged
        found.append((str(row.get("Name") or row.get("CFName") or ""), body))
    return found


def _from_fork(path: Path, data: bytes) -> list[tuple[str, bytes]]:
    """Read a classic resource fork (*Inside Macintosh: More Macintosh Toolbox*): data, map, list of types."""
    damaged = ImageFormatError(f"{path}: the resource fork of the disk image is damaged", path=str(path))
    found: list[tuple[str, bytes]] = []
    room = len(data)
    try:
        data_at, map_at = struct.unpack_from(">II", data)
        types_at = map_at + struct.unpack_from(">H", data, map_at + 24)[0]
        for index in range(struct.unpack_from(">H", data, types_at)[0] + 1):
            kind, count, refs = struct.unpack_from(">4sHH", data, types_at + 2 + index * 8)
            if kind != b"blkx":
                continue
            for number in range(count + 1):
                _, _, place = struct.unpack_from(">HHI", data, types_at + refs + number * 12)
                at = data_at + (place & 0xFF_FFFF)
                size = struct.unpack_from(">I", data, at)[0]
                # Resources that share their bytes would make far more of them than the file has.
                room -= size + 4
                if room < 0 or len(found) == _MOST_TABLES:
                    raise damaged
                found.append((f"blkx {number}", data[at + 4 : at + 4 + size]))
    except struct.error:
        raise damaged from None
    return found


def _table(path: Path, name: str, data: bytes) -> Table:
    if len(data) < 204 or not data.startswith(b"mish"):
        raise ImageFormatError(f"{path}: a block table of the disk image is damaged", path=str(path), table=name)
    first, sectors, data_at = struct.unpack_from(">QQQ", data, 8)
    runs = data[204 : 204 + int.from_bytes(data[200:204], "big") * RUN.size]
    if len(runs) % RUN.size or len(runs) // RUN.size < int.from_bytes(data[200:204], "big"):
        raise ImageFormatError(f"{path}: a block table of the disk image is cut off", path=str(path), table=name)
    return Table(name, first, sectors, data_at, _checksum(data[64:200]), runs)
