"""A rescue at work in a thread of its own, so that what it has settled can be digested and stored meanwhile.

The last pass over the bad areas goes forward and may take hours; everything before the place where it is will not
change any more. Whoever reads waits in :meth:`BackgroundRescue.wait` until its bytes are settled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from forensiq.errors import Interrupted

__all__ = ["BackgroundRescue"]

_POLL_S = 0.5


class BackgroundRescue:
    """Runs ``work(settled)`` in a thread; ``settled(position)`` says that the medium before ``position`` is final.

    ``stop`` is the caller's request to stop, which ``work`` has to look at through :meth:`is_stopped`. The end of the
    medium (``end``) is settled only when ``work`` has returned: then nobody else touches the target any more.
    """

    def __init__(self, work: Callable[[Callable[[int], None]], None], end: int, stop: threading.Event) -> None:
        self._work = work
        self._end = end
        self._stop = stop
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._settled = 0
        self._pool = ThreadPoolExecutor(1, "forensiq-rescue")
        self._future: Future[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._future = self._pool.submit(self._work, self._settle)
        self._future.add_done_callback(self._ended)

    def is_stopped(self) -> bool:
        """Say whether the rescue has to end: on request, or because nobody waits for it any more."""
        return self._stop.is_set() or self._closing.is_set()

    def wait(self, position: int) -> None:
        """Return when the medium before ``position`` is settled; raise what ended the rescue before that."""
        with self._changed:
            while self._future is not None and not self._future.done() and self._settled < position:
                if self._closing.is_set():
                    raise Interrupted("stopped during the rescue")
                self._changed.wait(_POLL_S)
            if self._settled < position and self._future is not None:
                self._future.result()

    def close(self) -> None:
        """Let the rescue end after the read that is under way, and wait for it; may be called twice."""
        self._closing.set()
        self._pool.shutdown(wait=True)

    def request_end(self) -> None:
        """Let the rescue, and whoever waits for it, end soon; does not wait."""
        self._closing.set()

    def _settle(self, position: int) -> None:
        with self._changed:
            self._settled = min(position, self._end - 1)
            self._changed.notify_all()

    def _ended(self, future: Future[None]) -> None:
        del future  # whoever waits looks at it
        with self._changed:
            self._changed.notify_all()
