"""Bounds how often a walk enters folders that it has listed already: two names each, forty deep, are 2⁴⁰ paths."""

from __future__ import annotations

__all__ = ["FolderPaths"]

_MOST_AGAIN = 1000


class FolderPaths:
    """The folders that one walk has entered."""

    def __init__(self) -> None:
        self._entered: set[int] = set()
        self._again = 0

    def refusal(self, inode: int) -> str | None:
        """Note that a folder is entered, or return why it is not: links to folders are rare, and bounded."""
        if inode not in self._entered:
            self._entered.add(inode)
            return None
        self._again += 1
        if self._again <= _MOST_AGAIN:
            return None
        return f"one of more than {_MOST_AGAIN} further paths to folders: not entered again"
