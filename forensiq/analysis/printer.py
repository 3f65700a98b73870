"""From what a walk finds to its lines: plain entries in batches, as the numbers of the library, all others as JSON.

A batch is rendered at once and given away piece by piece, because folders are gone into between its entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from forensiq.analysis.rendering import JsonLines, NtfsFile, Rendering
from forensiq.analysis.tsk_structs import META

__all__ = ["Batch", "Item", "Printer", "Sink"]


class Batch(Struct):
    """Plain entries of one folder, whose ``path`` ends with a slash: allocated, names valid, types in range.

    ``loaded`` holds a :data:`~forensiq.analysis.tsk_structs.META` for each; ``files`` are the streams where the file
    system is NTFS.
    """

    path: str
    names: list[str]
    addresses: list[int]
    kinds: list[int]
    loaded: bytes
    files: list[NtfsFile] | None = None
    number: int = 0
    texts: list[str] = []
    """What they were rendered to; empty for an entry without lines."""


Item = tuple[Batch, int, int] | str
"""Entries of a batch (from, up to), or the JSON of one entry."""


class Sink(Protocol):
    """Where a walk gives what it found, in order."""

    def batch(self, batch: Batch) -> None:
        """Take a batch; :meth:`give` says when its entries have their turn."""

    def give(self, items: Sequence[Item]) -> None:
        """Give the lines of items."""

    def done(self, batch: Batch) -> None:
        """All entries of a batch had their turn."""


class Printer:
    """Renders here and now. ``emit`` gets lines; those of one entry may come as one text."""

    def __init__(self, rendering: Rendering, entries: JsonLines, emit: Callable[[Sequence[str]], None]) -> None:
        self._rendering = rendering
        self._entries = entries
        self._emit = emit

    def batch(self, batch: Batch) -> None:
        metas = list(META.iter_unpack(batch.loaded))
        rendering, names, addresses, kinds, files = (
            self._rendering, batch.names, batch.addresses, batch.kinds, batch.files
        )  # fmt: skip
        rendering.enter(batch.path)
        if files is None:
            made = rendering.plain(names, addresses, kinds, metas)
        else:
            made = rendering.streams(names, addresses, kinds, metas, files)
        if None in made:
            self._entries.enter(batch.path)
            for index, text in enumerate(made):
                if text is None:
                    one = slice(index, index + 1)
                    if files is None:
                        (entry,) = self._entries.plain(names[one], addresses[one], kinds[one], metas[one])
                    else:
                        (entry,) = self._entries.streams(names[one], addresses[one], kinds[one], metas[one], files[one])
                    lines = [line for each in (entry or "").split("\n") for line in rendering.converted(each)]
                    made[index] = "\n".join(lines)
        batch.texts = [text or "" for text in made]

    def give(self, items: Sequence[Item]) -> None:
        lines: list[str] = []
        for item in items:
            if isinstance(item, str):
                lines += self._rendering.converted(item)
            else:
                batch, low, high = item
                lines += batch.texts[low:high]
        if "" in lines:
            lines = [line for line in lines if line]
        if lines:
            self._emit(lines)

    def done(self, batch: Batch) -> None:
        batch.texts = []
