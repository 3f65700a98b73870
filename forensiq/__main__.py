"""The start of the program: what a signal means until the rest is loaded.

Nothing has been begun then, so it ends at once, with the words and the exit code of every other interruption.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    # Loading it takes half a second: that is what this module is for.
    from forensiq.cli.main import main as run

    run()


def _end(_number: int, _frame: FrameType | None) -> None:
    if "--json" in sys.argv:
        error = '"schema": "forensiq/error/1", "error": "Interrupted", "message": "interrupted", "exit_code": 130'
        os.write(1, f"{{{error}}}\n".encode())
    else:
        os.write(2, b"forensiq: interrupted\n")
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
