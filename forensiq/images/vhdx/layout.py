"""The headers, regions and metadata of a Hyper-V disk (VHDX), with every checksum checked.

========= ======================================================================
offset    what (little-endian)
========= ======================================================================
0         ``vhdxfile``, and the name of the program that made it (UTF-16)
64 KiB    first header, 128 KiB: second; the one with the higher number counts
192 KiB   first region table, 256 KiB: second
========= ======================================================================

Headers and region tables have a CRC-32C over all of themselves. Metadata and the block table have none. Source:
Microsoft, *[MS-VHDX] Virtual Hard Disk v2 (VHDX) File Format*.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, field

from forensiq.errors import ImageFormatError
from forensiq.images.crc import crc32c
from forensiq.images.mapped import check_size, problem
from forensiq.model.finding import Finding

__all__ = ["Reader", "VhdxHeader", "VhdxMetadata", "read_headers", "read_metadata", "read_regions"]

Reader = Callable[[int, int], bytes]
"""Reads bytes of the file: offset, length; fewer only at its end."""

_HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")
_HEADERS, _REGIONS = (64 << 10, 128 << 10), (192 << 10, 256 << 10)
_MiB = 1 << 20
_BAT = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_FILE_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_DISK_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
_LOGICAL = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
_PHYSICAL = uuid.UUID("cda348c7-445d-4471-9cc9-e9885251c556")
_DISK = uuid.UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
_PARENT = uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
_VHDX_PARENT = uuid.UUID("b04aefb7-d19e-4a81-b789-25b8e9445913")


def _sealed(data: bytes) -> bool:
    stored = int.from_bytes(data[4:8], "little")
    return crc32c(data[:4] + bytes(4) + data[8:]) == stored


class VhdxHeader(Struct, frozen=True):
    """The header that counts. ``log`` is all zeros where the file was closed in order; places and sizes in bytes."""

    sequence: int
    file_write: bytes
    data_write: bytes
    log: bytes
    log_at: int
    log_size: int


def read_headers(path: Path, read: Reader, noted: list[Finding]) -> VhdxHeader:
    """Return the header that counts; one of the two that is damaged becomes a finding."""
    found: list[VhdxHeader] = []
    for at in _HEADERS:
        data = read(at, 4096)
        if len(data) < 4096 or not data.startswith(b"head") or not _sealed(data):
            noted.append(problem("vhdx.header", "one of the two headers is damaged", file_offset=at))
            continue
        _, _, sequence, file_write, data_write, log, log_version, version, log_size, log_at = _HEADER.unpack_from(data)
        if version != 1 or log_version != 0:
            raise ImageFormatError(f"{path}: a VHDX of version {version}: forensiq does not know it", path=str(path))
        found.append(VhdxHeader(sequence, file_write, data_write, log, log_at, log_size))
    if not found:
        raise ImageFormatError(f"{path}: both headers of the VHDX are damaged or cut off", path=str(path))
    return max(found, key=lambda each: each.sequence)


def read_regions(path: Path, read: Reader, size: int, noted: list[Finding]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return place and size in bytes of the block table and of the metadata; ``size`` is that of the file."""
    for at in _REGIONS:
        data = read(at, 64 << 10)
        if len(data) < 64 << 10 or not data.startswith(b"regi") or not _sealed(data):
            noted.append(problem("vhdx.regions", "one of the two region tables is damaged", file_offset=at))
            continue
        regions: dict[uuid.UUID, tuple[int, int]] = {}
        for index in range(min(int.from_bytes(data[8:12], "little"), 2047)):
            guid, place, length, required = struct.unpack_from("<16sQII", data, 16 + index * 32)
            name = uuid.UUID(bytes_le=guid)
            if name not in (_BAT, _METADATA) and required & 1:
                raise ImageFormatError(
                    f"{path}: it needs a region that forensiq does not know ({name})", path=str(path)
                )
            regions[name] = (place, length)
        if _BAT not in regions or _METADATA not in regions:
            break
        if any(place < _MiB or place + length > size for place, length in regions.values()):
            break
        return regions[_BAT], regions[_METADATA]
    raise ImageFormatError(
        f"{path}: block table or metadata of the VHDX do not lie in the file: cut off, or damaged", path=str(path)
    )


class VhdxMetadata(Struct, frozen=True):
    """What the disk is. Sizes in bytes; ``locator`` is what a differencing disk says of its parent, hostile text."""

    size: int
    block: int
    sector: int
    physical_sector: int | None
    disk: bytes
    backed: bool
    locator: dict[str, str] = field(default_factory=dict)


def read_metadata(path: Path, read: Reader, place: int, length: int) -> VhdxMetadata:
    """Return the metadata; :class:`~forensiq.errors.ImageFormatError` for what cannot be."""
    region = read(place, min(length, _MiB))
    if not region.startswith(b"metadata") or len(region) < 64 << 10:
        raise ImageFormatError(f"{path}: the metadata of the VHDX are damaged", path=str(path))
    items: dict[uuid.UUID, bytes] = {}
    for index in range(min(int.from_bytes(region[10:12], "little"), 2047)):
        guid, at, size, flags, _ = struct.unpack_from("<16sIIII", region, 32 + index * 32)
        name = uuid.UUID(bytes_le=guid)
        known = name in (_FILE_PARAMETERS, _DISK_SIZE, _LOGICAL, _PHYSICAL, _DISK, _PARENT)
        if not known and flags & 4:
            raise ImageFormatError(f"{path}: it needs metadata that forensiq does not know ({name})", path=str(path))
        items[name] = region[at : at + size]
    try:
        block, flags = struct.unpack_from("<II", items[_FILE_PARAMETERS])
        (size,) = struct.unpack_from("<Q", items[_DISK_SIZE])
        (sector,) = struct.unpack_from("<I", items[_LOGICAL])
    except (KeyError, struct.error):
        raise ImageFormatError(f"{path}: the metadata of the VHDX are not complete", path=str(path)) from None
    if sector not in (512, 4096) or not _MiB <= block <= 256 * _MiB or block & block - 1:
        raise ImageFormatError(f"{path}: blocks of {block}, sectors of {sector} bytes: not possible", path=str(path))
    physical = items.get(_PHYSICAL, b"")
    return VhdxMetadata(
        check_size(path, size),
        block,
        sector,
        int.from_bytes(physical[:4], "little") if len(physical) >= 4 else None,
        items.get(_DISK, b"")[:16].ljust(16, b"\0"),
        bool(flags & 2),
        _locator(items.get(_PARENT, b"")),
    )


def _locator(data: bytes) -> dict[str, str]:
    if len(data) < 20 or uuid.UUID(bytes_le=data[:16]) != _VHDX_PARENT:
        return {}
    found: dict[str, str] = {}
    for index in range(min(int.from_bytes(data[18:20], "little"), 64)):
        entry = data[20 + index * 12 : 32 + index * 12]
        if len(entry) < 12:
            break
        key_at, value_at, key_size, value_size = struct.unpack("<IIHH", entry)
        key, value = data[key_at : key_at + key_size], data[value_at : value_at + value_size]
        found[key.decode("utf-16-le", "replace")] = value.decode("utf-16-le", "replace")
    return found
