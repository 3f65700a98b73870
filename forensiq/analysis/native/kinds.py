"""Which file systems are read by our own code: a table of kinds, by the names that signatures give."""

from __future__ import annotations

from forensiq.analysis.native.base import NativeFileSystem
from forensiq.analysis.native.pages import Pages
from forensiq.analysis.native.xfs import XfsFileSystem
from forensiq.analysis.signatures import linux
from forensiq.analysis.window import Window

__all__ = ["native_kind", "open_native"]

_KINDS = {"XFS": (linux.xfs, XfsFileSystem)}


def native_kind(volume: Window, name: str) -> str | None:
    """Return the kind that is read by our own code: ``name``, or where that is empty what the volume begins with."""
    if name:
        return name if name in _KINDS else None
    return next((kind for kind, (recognise, _) in _KINDS.items() if recognise(volume) is not None), None)


def open_native(kind: str, pages: Pages, offset: int) -> NativeFileSystem:
    """Open a file system; ``FileSystemError`` where its own description of itself makes no sense."""
    return _KINDS[kind][1](pages, offset)
