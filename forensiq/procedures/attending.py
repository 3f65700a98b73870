"""How checks of a case are watched and stopped: counters that a view polls, and an event that a signal sets."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec import Struct

from forensiq.custody.case_folder import CaseFolder
from forensiq.errors import Interrupted
from forensiq.model.ledger import LedgerEntry
from forensiq.streams.progress import Progress

__all__ = ["Attendant"]


class Attendant(Struct, frozen=True):
    """Counters and request to stop of one run; both may be missing.

    What it returns raises :class:`~forensiq.errors.Interrupted` between two pieces of work once ``stop`` is set; by
    then nothing was written that this run has not finished.
    """

    progress: Progress | None = None
    stop: threading.Event | None = None

    def check(self) -> None:
        """Raise ``Interrupted`` if the run is to stop."""
        if self.stop is not None and self.stop.is_set():
            raise Interrupted("stopped; what is in the case is as it was")

    def hashing(self, folder: CaseFolder, prefix: str = "") -> Callable[[int], None]:
        """Begin a phase for hashing the files below ``prefix``; return what counts their bytes."""
        return self.counting(sum(each.size for each in folder.walk() if each.key.startswith(prefix)))

    def counting(self, total: int) -> Callable[[int], None]:
        """Begin a phase for hashing ``total`` bytes of files; return what counts them."""
        if self.progress is not None:
            self.progress.begin("hashing the files of the case", total, ("hashed",))

        def advance(size: int) -> None:
            self.check()
            if self.progress is not None:
                self.progress.add("hashed", size)

        return advance

    def auditing(self, visit: Callable[[LedgerEntry], None]) -> Callable[[LedgerEntry], None]:
        """Return ``visit``, stoppable between two entries of the ledger."""

        def visited(entry: LedgerEntry) -> None:
            self.check()
            visit(entry)

        return visited
