"""The threads of one run: whatever ends one of them early becomes the failure of the run, and nothing gets lost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from forensiq.streams.closing import Closing
from forensiq.streams.failure import FirstFailure

__all__ = ["Crew"]

_POLL_S = 0.25


class Crew(Closing):
    """Starts threads and waits for them.

    An error that leaves a thread's work is reported to the shared :class:`FirstFailure`; no thread dies unnoticed.
    Leaving the ``with`` block waits for all of them.
    """

    def __init__(self, failure: FirstFailure, size: int) -> None:
        """``size`` is the largest number of threads at once: each piece of work gets its own."""
        self._failure = failure
        self._pool = ThreadPoolExecutor(max_workers=size, thread_name_prefix="forensiq")

    def start(self, work: Callable[[], None]) -> Future[None]:
        """Run ``work`` in a thread of its own."""
        future = self._pool.submit(work)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: Future[None]) -> None:
        error = future.exception()
        if error is not None:
            self._failure.report(error)

    @staticmethod
    def wait(futures: list[Future[None]], tick: Callable[[], None]) -> None:
        """Return when all of ``futures`` are done; call ``tick`` about four times a second until then."""
        pending = set(futures)
        while pending:
            _, pending = wait(pending, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            tick()

    def close(self) -> None:
        """Wait until all threads have ended."""
        self._pool.shutdown(wait=True)
