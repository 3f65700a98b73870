"""Cyclic redundancy checks of 32 bits, lowest bit first, that the standard library does not have."""

from __future__ import annotations

__all__ = ["crc32c", "edc"]


def _table(polynomial: int) -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CASTAGNOLI = _table(0x82F6_3B78)
_EDC = _table(0xD801_8001)


def crc32c(data: bytes | memoryview) -> int:
    """Return the CRC-32C (Castagnoli) of ``data``: that of VHDX."""
    return _crc(_CASTAGNOLI, 0xFFFF_FFFF, data) ^ 0xFFFF_FFFF


def edc(data: bytes | memoryview) -> int:
    """Return the EDC of ``data``, a sector of a disc: the CRC of ECMA-130, section 14.3."""
    return _crc(_EDC, 0, data)


def _crc(table: tuple[int, ...], crc: int, data: bytes | memoryview) -> int:
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc
