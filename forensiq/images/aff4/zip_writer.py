"""Writes an uncompressed zip file front to back, with 64-bit fields only where 32 bits do not suffice.

A member's header is patched when its size and CRC-32 are known; each member is below 4 GiB. Source: PKWARE,
``APPNOTE.TXT`` 6.3.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime

from isal import isal_zlib
from msgspec import Struct

from forensiq.images.output import OutputFile

__all__ = ["ZipWriter"]

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR = struct.Struct("<4sIQI")
_SMALL, _FEW = 0xFFFFFFFF, 0xFFFF
_CUT = 1 << 16


class _Member(Struct, frozen=True):
    name: bytes
    offset: int
    size: int
    crc: int


class ZipWriter:
    """Members one after the other: :meth:`open`, :meth:`write`, :meth:`close`; at last :meth:`finish`."""

    def __init__(self, file: OutputFile, created: int) -> None:
        """``created`` in seconds since 1970 is the time of every member."""
        self._file = file
        when = datetime.fromtimestamp(max(created, 315_532_800), UTC)  # zip counts from 1980
        self._time = when.hour << 11 | when.minute << 5 | when.second // 2
        self._date = when.year - 1980 << 9 | when.month << 5 | when.day
        self._members: list[_Member] = []
        self._name = b""
        self._offset = self._size = self._crc = 0

    def open(self, name: str) -> None:
        """Begin a member."""
        self._name, self._size, self._crc = name.encode(), 0, 0
        self._offset = self._file.append([self._local(), self._name])

    def _local(self) -> bytes:
        size = self._size
        fields = (20, 0, 0, self._time, self._date, self._crc, size, size, len(self._name), 0)
        return _LOCAL.pack(b"PK\3\4", *fields)

    def write(self, parts: Sequence[bytes | memoryview]) -> None:
        """Append to the open member."""
        for part in parts:
            self._crc = isal_zlib.crc32(part, self._crc)
            self._size += len(part)
        self._file.append(parts)

    def close(self) -> None:
        """End the open member."""
        self._file.patch(self._offset, self._local())
        self._members.append(_Member(self._name, self._offset, self._size, self._crc))

    def add(self, name: str, data: bytes) -> None:
        """Write a whole member."""
        self.open(name)
        self.write([data])
        self.close()

    def finish(self, comment: bytes) -> None:
        """Write the directory; ``comment`` is that of the file."""
        start = self._file.end
        for first in range(0, len(self._members), _CUT):
            self._file.append([part for each in self._members[first : first + _CUT] for part in self._entry(each)])
        size, count = self._file.end - start, len(self._members)
        if start >= _SMALL or count >= _FEW:
            end = self._file.end
            record = _END_64.pack(b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
            self._file.append([record, _LOCATOR.pack(b"PK\6\7", 0, end, 1)])
        few = min(count, _FEW)
        last = _END.pack(b"PK\5\6", 0, 0, few, few, min(size, _SMALL), min(start, _SMALL), len(comment))
        self._file.append([last, comment])

    def _entry(self, member: _Member) -> tuple[bytes, bytes, bytes]:
        far = member.offset >= _SMALL
        extra = struct.pack("<HHQ", 1, 8, member.offset) if far else b""
        version = 45 if far else 20
        fields = (version, version, 0, 0, self._time, self._date, member.crc, member.size, member.size)
        rest = (len(member.name), len(extra), 0, 0, 0, 0, _SMALL if far else member.offset)
        return _CENTRAL.pack(b"PK\1\2", *fields, *rest), member.name, extra
