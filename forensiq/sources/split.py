"""A split raw image as evidence: ``.000``/``.001`` … or ``.aa`` …, read as one medium."""

from __future__ import annotations

from pathlib import Path

from forensiq.model.source import SourceKind
from forensiq.sources.file import FileSource
from forensiq.streams.files import find_parts

__all__ = ["SplitSource"]


class SplitSource(FileSource):
    """A :class:`~forensiq.sources.base.Source` over all files of the set that starts with ``first``.

    A gap in the set is a :class:`~forensiq.errors.MissingSegmentError`.
    """

    kind = SourceKind.SPLIT_RAW

    def __init__(self, first: Path, *, sector_size: int = 512) -> None:
        super().__init__(*find_parts(first), sector_size=sector_size)
