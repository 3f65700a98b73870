"""Ctrl-C and SIGTERM as a request to stop cleanly.

Inside :func:`stop_request` the first signal sets an event, which the procedure looks at between two pieces of work:
what is on disk stays valid and can be resumed. The second one interrupts at once, wherever the work is. Outside, every
signal interrupts at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["SIGNALS", "STOPPING", "interrupt_on_signals", "stop_request"]

STOPPING = "stopping cleanly: waiting for what is under way (once more: stop at once)"

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt_on_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise ``KeyboardInterrupt``; one that our starter had ignored stays ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def stop_request(said_elsewhere: Callable[[], bool] = lambda: False) -> Iterator[threading.Event]:
    """Give an event that the first signal sets; the second raises ``KeyboardInterrupt``, the third ends the process.

    The first one is answered on stderr, but where ``said_elsewhere`` says that a view does that.
    """
    event = threading.Event()
    asked = 0

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            event.set()
            if not said_elsewhere():
                # Straight to the file: a signal may arrive in the middle of any other write.
                os.write(2, f"\n{STOPPING}\n".encode())
        elif asked == 2:
            raise KeyboardInterrupt
        else:
            os._exit(130)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, ask)
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
