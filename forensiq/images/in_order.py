"""What a writer of plain media bytes has written, and how much of that is durable."""

from __future__ import annotations

import threading

from forensiq.errors import DestinationError
from forensiq.images.output import OutputFile

__all__ = ["WrittenInOrder"]


class WrittenInOrder:
    """The first ``written`` bytes of the medium are in files; the base of writers that store them as they are.

    Its side of :class:`~forensiq.images.base.RescueTarget`: from :meth:`begin_rescue` on, bytes are at their place
    before their turn comes.
    """

    def __init__(self) -> None:
        self.written = 0
        self._output: OutputFile | None = None
        self._durable = 0
        self._lost = False
        self._rescued_from: int | None = None
        self._lock = threading.Lock()

    def durable(self) -> int:
        """Make what was written durable and return how many bytes of the medium that is. Any thread may call it.

        Where syncing failed once it stays at what was durable before: the kernel reports a lost page only once.
        """
        with self._lock:
            if self._output is not None:
                self._sync(self._output)
            return self._durable

    def _sync(self, output: OutputFile) -> None:
        try:
            output.sync()
        except DestinationError:
            self._lost = True
            raise
        if not self._lost:
            self._durable = self.written

    @property
    def in_order_end(self) -> int:
        """See :attr:`forensiq.images.base.RescueTarget.in_order_end`."""
        return self.written

    def begin_rescue(self, offset: int) -> None:
        """See :meth:`forensiq.images.base.RescueTarget.begin_rescue`: later batches are in place already."""
        self._rescued_from = offset

    def room(self) -> int | None:
        """See :meth:`forensiq.images.base.RescueTarget.room`: what is written to is the room."""
        return None
