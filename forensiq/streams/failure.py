"""First failure stops all."""

from __future__ import annotations

import threading

__all__ = ["FirstFailure"]


class FirstFailure:
    """A flag that several threads share: the first error that any of them reports, and only that one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._error: BaseException | None = None

    def report(self, error: BaseException) -> None:
        """Keep ``error`` unless another one came first, and make :attr:`stopped` true."""
        with self._lock:
            if self._error is None:
                self._error = error
        self._event.set()

    @property
    def stopped(self) -> bool:
        """Whether something failed."""
        return self._event.is_set()

    @property
    def error(self) -> BaseException | None:
        """The first error, if there was one."""
        return self._error

    def raise_if_any(self) -> None:
        """Raise the first error, if there was one."""
        if self._error is not None:
            raise self._error
