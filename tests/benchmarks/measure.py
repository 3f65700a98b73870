"""Runs commands and says what they cost: wall seconds, CPU seconds, peak memory."""

from __future__ import annotations

import ctypes
import os
import pty
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

__all__ = ["Contender", "Cost", "alternate", "median_ratio", "run"]

_SET_CHILD_SUBREAPER = 36


class Cost(Struct, frozen=True):
    """Wall and CPU (user and system, children included) in seconds, peak memory in bytes, size of what was written."""

    wall: float
    cpu: float
    peak: int
    stored: int


class Contender(Struct, frozen=True):
    """A command to measure.

    ``prepare`` runs before each round, untimed; ``stored`` gives the bytes that it wrote; ``codes`` are exit codes of
    success.
    """

    name: str
    command: Sequence[str]
    prepare: Callable[[], None]
    stored: Callable[[], int] = lambda: 0
    terminal: bool = False
    codes: tuple[int, ...] = (0,)


def run(contender: Contender, log: Path) -> Cost:
    """Run once; a command that fails ends the benchmark with what it said."""
    # Processes whose parent ends before them become children of this one, and their CPU time counts.
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    contender.prepare()
    _left_over()  # of what was prepared, or served until then
    with log.open("wb") as output:
        primary, secondary = pty.openpty() if contender.terminal else (-1, -1)
        if contender.terminal:
            threading.Thread(target=_drain, args=(primary,), daemon=True).start()
        start = time.perf_counter()
        process = subprocess.Popen(
            contender.command,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=secondary if contender.terminal else output,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if contender.terminal:
            os.close(secondary)
    if process.returncode not in contender.codes:
        raise SystemExit(f"{contender.name} failed ({process.returncode}): {log.read_text(errors='replace')[-2000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime + _left_over(), usage.ru_maxrss * 1024, contender.stored())


def _left_over() -> float:
    """Wait a moment for processes that were left over; return their CPU seconds. Servers are not waited for."""
    total, until = 0.0, time.perf_counter() + 0.3
    while time.perf_counter() < until:
        try:
            process, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            break
        total += usage.ru_utime + usage.ru_stime
        if not process:
            time.sleep(0.01)
    return total


def _environment() -> dict[str, str]:
    # Compiling the program anew for every run is not what users have.
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 65536):
            pass
    except OSError:  # EIO: the other side was closed
        os.close(descriptor)


def alternate(contenders: Sequence[Contender], rounds: int, log: Path) -> dict[str, list[Cost]]:
    """Run all contenders in turn, ``rounds`` times, so that a slow spell of the machine meets all of them."""
    costs: dict[str, list[Cost]] = {each.name: [] for each in contenders}
    for number in range(rounds):
        for each in contenders:
            costs[each.name].append(run(each, log))
            shown = costs[each.name][-1]
            print(f"  round {number + 1}: {each.name:28} {shown.wall:8.2f} s  {shown.cpu:8.2f} CPU s", flush=True)
    return costs


def median_ratio(peer: Sequence[Cost], ours: Sequence[Cost], *, cpu: bool = False) -> float:
    """Return how many times longer the peer took (wall, or CPU), as the median over the rounds."""
    pairs = zip(peer, ours, strict=True)
    return statistics.median(theirs.cpu / mine.cpu if cpu else theirs.wall / mine.wall for theirs, mine in pairs)
