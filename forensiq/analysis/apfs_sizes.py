"""Sizes of compressed files of APFS in a listing: The Sleuth Kit tells 0 of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence

from forensiq.analysis.apfs import ApfsVolume
from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.rendering import NtfsFile, Rendering, Texts
from forensiq.analysis.slots import Meta

__all__ = ["SizedLines"]


class SizedLines:
    """Another form, in which compressed files have the size of their content. Every entry goes through its JSON."""

    def __init__(self, volume: ApfsVolume, form: Rendering) -> None:
        self._volume = volume
        self._form = form

    def enter(self, path: str) -> None:
        self._form.enter(path)

    def plain(
        self, names: Sequence[str], addresses: Sequence[int], kinds: Sequence[int], metas: Sequence[Meta]
    ) -> Texts:
        return [None] * len(names)

    def streams(
        self,
        names: Sequence[str],
        addresses: Sequence[int],
        kinds: Sequence[int],
        metas: Sequence[Meta],
        files: Sequence[NtfsFile | None],
    ) -> Texts:
        return [None] * len(names)

    def converted(self, text: str) -> Sequence[str]:
        if '"type":"file","size":0,' in text:
            entry = json.loads(text)
            with contextlib.suppress(FileSystemError):
                size = self._volume.size(entry["inode"]) if entry["allocated"] else 0
                if size:
                    head, _, tail = text.rpartition('"type":"file","size":0,')
                    text = f'{head}"type":"file","size":{size},{tail}'
        return self._form.converted(text)
