"""The reading process of an ``ExpendableSource``, of a file that hangs at the place that ``HANGING`` names (bytes)."""

from __future__ import annotations

import os
import time

from forensiq.sources import expendable_process
from forensiq.sources.file import FileSource

START, LENGTH = map(int, os.environ["HANGING"].split())


class Hanging(FileSource):
    """Does not return from a read that touches the place."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        self._hang(offset, len(buffer))
        return super().read_into(offset, buffer)

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        self._hang(offset, len(buffer))
        return super().read_direct(offset, buffer)

    def _hang(self, offset: int, length: int) -> None:
        if offset < START + LENGTH and offset + length > START:
            time.sleep(600)


if __name__ == "__main__":
    expendable_process.open_source = lambda path, *, sector_size=None: Hanging(path, sector_size=sector_size or 512)  # type: ignore[attr-defined]
    expendable_process.main()
