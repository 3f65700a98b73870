"""Runs a program that asks a drive, for a limited time. It may hang inside the kernel, where nothing can end it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

from msgspec import Struct

from forensiq.clock import monotonic, rfc3339, utc_now

__all__ = ["Ended", "Runner", "run_command", "which"]

_ELSEWHERE = "/usr/sbin:/sbin:/usr/local/sbin"
_GRACE_S = 1.0
_MOST_OUTPUT = 1 << 20
_abandoned: list[subprocess.Popen[bytes]] = []


class Ended(Struct, frozen=True):
    """How a program ended. ``exit_status`` is ``None`` where it was missing or did not end in time (seconds)."""

    at: str
    exit_status: int | None
    output: str
    errors: str
    elapsed_s: float
    timed_out: bool = False
    missing: bool = False


Runner = Callable[[tuple[str, ...], float], Ended]
"""Takes a command and a time limit in seconds."""


def which(name: str) -> str | None:
    """Return the path of a program, looked for also where only root's ``PATH`` leads."""
    return shutil.which(name) or shutil.which(name, path=_ELSEWHERE)


def run_command(command: tuple[str, ...], timeout_s: float) -> Ended:
    """Run a program without a shell, its messages in English; give up on it after ``timeout_s``.

    One that hangs in the kernel cannot be ended: it is left alone, and nobody waits for it.
    """
    at, start = rfc3339(utc_now()), monotonic()
    program = which(command[0])
    if program is None:
        return Ended(at, None, "", "", 0.0, missing=True)
    process = subprocess.Popen(
        [program, *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"LC_ALL": "C"},
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        try:
            process.communicate(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            _abandoned.append(process)
        return Ended(at, None, "", "", monotonic() - start, timed_out=True)
    return Ended(at, process.returncode, _text(output), _text(errors), monotonic() - start)


def _text(raw: bytes) -> str:
    return raw[:_MOST_OUTPUT].decode("utf-8", "replace")
