"""Which places of a file are taken: whether two units of a container overlap. Memory is bounded."""

from __future__ import annotations

from array import array

__all__ = ["AlignedPlaces", "Places"]

_MOST_BYTES = 256 << 20


class Places:
    """Units of ``unit`` bytes that may begin at any byte of the file; 4 bytes for each unit that it has room for.

    Where that would be more than 256 MiB, nothing is checked, and ``checked`` says so.
    """

    def __init__(self, file_size: int, unit: int) -> None:
        count = file_size // unit + 3
        self.checked = count * 4 <= _MOST_BYTES
        self._unit = unit
        # For each window of the size of a unit: where inside of it a unit begins, counted from 1.
        self._begins = array("I", bytes(4 * count if self.checked else 0))

    def take(self, at: int) -> bool:
        """Take the unit that begins at byte ``at`` of the file, inside of it; say whether all of it was free."""
        if not self.checked:
            return True
        window, inside = divmod(at, self._unit)
        begins, inside, window = self._begins, inside + 1, window + 1
        if begins[window] or begins[window - 1] > inside or 0 < begins[window + 1] < inside:
            return False
        begins[window] = inside
        return True


class AlignedPlaces:
    """Units that are counted from the start of the file, such as clusters; one bit for each.

    Where that would be more than 256 MiB, nothing is checked, and ``checked`` says so.
    """

    def __init__(self, count: int) -> None:
        self.checked = count // 8 < _MOST_BYTES
        self._bits = bytearray(count // 8 + 1 if self.checked else 0)

    def take(self, number: int) -> bool:
        """Take unit ``number``, which is less than the count; say whether it was free."""
        if not self.checked:
            return True
        place, bit = number >> 3, 1 << (number & 7)
        if self._bits[place] & bit:
            return False
        self._bits[place] |= bit
        return True
