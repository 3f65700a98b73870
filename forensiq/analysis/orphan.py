"""Ends a process whose parent is gone: a killed program must leave no worker behind that goes on reading evidence."""

from __future__ import annotations

import os
import signal
from types import FrameType

__all__ = ["end_with_parent"]


def end_with_parent(interval: float = 2.0) -> None:
    """Look every ``interval`` seconds whether the parent is still the same, and end at once where it is not.

    Not ``PR_SET_PDEATHSIG``: that one fires when the *thread* ends that started this process, and threads that start
    workers come and go. A C library that never returns is not interrupted.
    """
    parent = os.getppid()

    def look(_number: int, _frame: FrameType | None) -> None:
        if os.getppid() != parent:
            os._exit(0)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, interval, interval)
