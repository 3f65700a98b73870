"""Holds signals back while two things must happen together: an entry of the ledger, and knowing that it is there."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["held_signals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def held_signals() -> Iterator[Callable[[], None]]:
    """Inside, keep Ctrl-C and its like waiting until the function that is given is called, or the block ends.

    Only for moments: one entry, one ``fsync``. In other threads than the main one, which get no signals, nothing is
    held. A signal mask would not do: another thread would take the signal, and the handler run here all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    waiting: list[int] = []
    found = {number: signal.getsignal(number) for number in _SIGNALS}
    # None is a handler that is not Python's, and could not be put back.
    before = {number: handler for number, handler in found.items() if handler not in (None, signal.SIG_IGN)}
    held = True

    def release() -> None:
        nonlocal held
        if held:
            held = False
            for number, handler in before.items():
                signal.signal(number, handler)
            for arrived in waiting:
                signal.raise_signal(arrived)

    def keep(number: int, _frame: FrameType | None) -> None:
        waiting.append(number)

    for number in before:
        signal.signal(number, keep)
    try:
        yield release
    finally:
        release()
