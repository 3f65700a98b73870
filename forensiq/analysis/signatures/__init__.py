"""What is at the start of a volume, by signature; never more than the bytes say.

Each recogniser takes a :class:`~forensiq.analysis.window.Window` on the volume and returns a
:class:`~forensiq.model.listing.Content` or ``None``. All of them are asked: two valid file systems in one place are
both reported.
"""

from __future__ import annotations

from collections.abc import Callable

from forensiq.analysis.signatures import apple, encrypted, linux, other, windows
from forensiq.analysis.window import Window
from forensiq.model.listing import Content

__all__ = ["recognise"]

_RECOGNISERS: tuple[Callable[[Window], Content | None], ...] = (
    encrypted.bitlocker,
    encrypted.luks,
    encrypted.core_storage,
    windows.ntfs,
    windows.refs,
    windows.exfat,
    windows.fat,
    linux.ext,
    linux.xfs,
    linux.btrfs,
    linux.f2fs,
    linux.reiserfs,
    linux.jfs,
    linux.squashfs,
    linux.erofs,
    linux.minix,
    linux.swap,
    linux.lvm2,
    linux.md_raid,
    apple.apfs,
    apple.hfs,
    other.iso9660,
    other.udf,
    other.ufs,
    other.vmfs,
)


def recognise(volume: Window) -> tuple[Content, ...]:
    """Return everything recognised at the start of ``volume``, encryption first."""
    found = (each(volume) for each in _RECOGNISERS)
    return tuple(content for content in found if content is not None)
