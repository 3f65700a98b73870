"""Reads of a medium for parsers of file systems: small ones from pages that are kept, large ones straight."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.window import Medium
from forensiq.errors import ImageDamageError, SourceReadError

__all__ = ["Pages"]

_PAGE = 1 << 16
_KEPT = 512
_MOST_NOTED = 10_000


class Pages:
    """A medium by byte offsets. ``unreadable`` gets (offset, length) of what was needed and cannot be read."""

    def __init__(self, medium: Medium, unreadable: list[tuple[int, int]], on_read: Callable[[], None]) -> None:
        self.size = medium.size
        self._medium = medium
        self._unreadable = unreadable
        self._on_read = on_read
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes; :class:`FileSystemError` where they lie outside or cannot be read."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise FileSystemError(f"bytes {offset}+{length} are behind the end of the medium")
        first, last = offset // _PAGE, (offset + max(length, 1) - 1) // _PAGE
        if last - first > 16:
            data = bytearray(length)
            self.read_into(offset, memoryview(data))
            return bytes(data)
        start = offset - first * _PAGE
        if first == last:
            return self._page(first)[start : start + length]
        return b"".join(self._page(number) for number in range(first, last + 1))[start : start + length]

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer``; as :meth:`read`."""
        if offset < 0 or offset + len(buffer) > self.size:
            raise FileSystemError(f"bytes {offset}+{len(buffer)} are behind the end of the medium")
        self._on_read()
        done = 0
        while done < len(buffer):
            try:
                count = self._medium.read_into(offset + done, buffer[done:])
            except (ImageDamageError, SourceReadError) as error:
                if len(self._unreadable) < _MOST_NOTED:
                    self._unreadable.append((offset, len(buffer)))
                raise FileSystemError(f"bytes {offset}+{len(buffer)} of the image cannot be read") from error
            if not count:
                raise FileSystemError(f"the image ends at byte {offset + done}")
            done += count

    def _page(self, number: int) -> bytes:
        page = self._kept.get(number)
        if page is not None:
            self._kept.move_to_end(number)
            return page
        data = bytearray(min(_PAGE, self.size - number * _PAGE))
        self.read_into(number * _PAGE, memoryview(data))
        page = self._kept[number] = bytes(data)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return page
