"""When files were made, changed and read: rows sorted by time.

The worker makes the rows and their keys; here they are sorted, and nothing of them is parsed. Millions of rows are
sorted outside of memory: sorted runs in temporary files, merged a block at a time.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack
from typing import BinaryIO

from forensiq.analysis.events import COLUMNS, KEY, EventForm, shown_rows
from forensiq.procedures.listing import Listing

__all__ = ["COLUMNS", "KEY", "EventForm", "shown_rows", "sorted_events"]

_RUN = 40 << 20
"""Bytes of rows that are sorted in memory at once."""
_AT_ONCE = 5000
_BLOCK = 4 << 20
"""Bytes of a run that are in memory while runs are merged."""


def sorted_events(
    listing: Listing, form: EventForm, path: str | None = None, *, run_bytes: int = _RUN
) -> Iterator[list[bytes]]:
    """Yield batches of rows, sorted by time, then by their text: a row for each time of each stream.

    Equal times of one stream are one row (``macb``). A row begins with the :data:`KEY` bytes of its time;
    :func:`shown_rows` makes of it what is shown. At most ``run_bytes`` of rows are in
    memory, besides a block of each run.
    """
    with ExitStack() as stack:
        runs: list[_Run] = []
        rows: list[bytes] = []
        held = 0
        for batch in listing.events(form, path):
            rows += batch.split(b"\n")[:-1]
            held += len(batch)
            if held >= run_bytes:
                rows.sort()
                runs.append(_Run(stack, rows))
                rows, held = [], 0
        rows.sort()
        if not runs:
            yield rows
            return
        runs.append(_Run(stack, rows))
        del rows
        yield from _merged(runs)


class _Run:
    """Sorted rows in a temporary file, of which the next block is in :attr:`rows`."""

    def __init__(self, stack: ExitStack, rows: list[bytes]) -> None:
        self._file: BinaryIO = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        for start in range(0, len(rows), _AT_ONCE):
            self._file.write(b"\n".join(rows[start : start + _AT_ONCE]) + b"\n")
        self._file.seek(0)
        self._rest = b""
        self.rows: list[bytes] = []
        self.more = True
        self.fill()

    def fill(self) -> None:
        """Read the next block, where there is none."""
        if not self.rows and self.more:
            data = self._file.read(_BLOCK)
            self.more = bool(data)
            *self.rows, self._rest = (self._rest + data).split(b"\n")

    def take(self, last: bytes) -> list[bytes]:
        """Give away the rows up to ``last``."""
        count = bisect_right(self.rows, last)
        taken, self.rows = self.rows[:count], self.rows[count:]
        return taken


def _merged(runs: list[_Run]) -> Iterator[list[bytes]]:
    while True:
        for run in runs:
            while not run.rows and run.more:
                run.fill()
        runs = [run for run in runs if run.rows]
        if not runs:
            return
        # Up to the smallest of the last rows nothing can come in between any more.
        last = min(run.rows[-1] for run in runs)
        batch = [row for run in runs for row in run.take(last)]
        batch.sort()
        yield batch
