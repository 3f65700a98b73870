"""Places and lengths on a medium as people name them: in bytes, or in sectors of a size that is known only later."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["MediaQuantity"]


class MediaQuantity(Struct, frozen=True):
    """``amount`` bytes, or ``amount`` sectors where ``in_sectors``; never negative."""

    amount: int
    in_sectors: bool = False

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValueError("a place on a medium is not negative")

    def in_bytes(self, sector_size: int) -> int:
        """Return the quantity in bytes on a medium with sectors of ``sector_size`` bytes."""
        return self.amount * sector_size if self.in_sectors else self.amount

    def __str__(self) -> str:
        return f"{self.amount}s" if self.in_sectors else str(self.amount)
