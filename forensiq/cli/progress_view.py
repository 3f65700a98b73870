"""Shows how far long work is: polls its counters and never makes it wait.

On a terminal a live view, four times a second; else one line every few seconds; with ``--progress jsonl`` one JSON
object each second. Everything goes to stderr. A stderr that cannot be written ends the view, not the work.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from forensiq.cli import text
from forensiq.cli.rate_meter import RateMeter
from forensiq.cli.stop import STOPPING
from forensiq.clock import monotonic, rfc3339, utc_now

__all__ = ["Counters", "Snapshot", "progress_json", "progress_line", "watch"]

LIVE_INTERVAL, LINE_INTERVAL, JSON_INTERVAL = 0.25, 5.0, 1.0
"""Seconds between two things shown in each mode; the counters are looked at every ``LIVE_INTERVAL``."""

_SWITCH_INTERVAL = 1e-4
"""Seconds. With the interpreter's 5 ms, workers that come back from compression wait for a thread that draws."""


class Snapshot(Protocol):
    """The counters at one moment, in bytes; :class:`forensiq.streams.progress.ProgressSnapshot` is one."""

    @property
    def phase(self) -> str: ...
    @property
    def total(self) -> int: ...
    @property
    def done(self) -> int: ...
    @property
    def position(self) -> int: ...
    @property
    def stages(self) -> Mapping[str, int]: ...
    @property
    def unreadable(self) -> int: ...
    @property
    def unreadable_places(self) -> int: ...
    @property
    def first_unreadable(self) -> int | None: ...
    @property
    def elapsed_s(self) -> float: ...


class Counters(Protocol):
    """What is polled; :class:`forensiq.streams.progress.Progress` is one."""

    def snapshot(self) -> Snapshot: ...


class _View(Protocol):
    """One way to show snapshots; called from one thread only."""

    interval: float

    def show(self, now: Snapshot, meter: RateMeter) -> None:
        """Show counters in the middle of a phase."""

    def phase_ended(self, last: Snapshot) -> None:
        """Show the last counters of a phase."""

    def say(self, words: str) -> None:
        """Tell a person something in passing; a view for programs does not."""

    def close(self) -> None:
        """Release the terminal."""


class _JsonView:
    interval = JSON_INTERVAL

    def show(self, now: Snapshot, meter: RateMeter) -> None:
        sys.stderr.write(json.dumps(progress_json(now, meter)) + "\n")
        sys.stderr.flush()

    def phase_ended(self, last: Snapshot) -> None:
        self.show(last, RateMeter())

    def say(self, words: str) -> None:
        """Nothing: its reader wants counters."""

    def close(self) -> None:
        """Nothing is held."""


class _LineView:
    interval = LINE_INTERVAL

    def __init__(self, sector_size: int | None) -> None:
        self._sector_size = sector_size

    def show(self, now: Snapshot, meter: RateMeter) -> None:
        self.say(progress_line(now, meter, self._sector_size))

    def phase_ended(self, last: Snapshot) -> None:
        self.say(_closing_line(last, self._sector_size))

    def say(self, words: str) -> None:
        sys.stderr.write(words + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Nothing is held."""


class _LiveView:
    interval = LIVE_INTERVAL

    def __init__(self, console: Console, sector_size: int | None) -> None:
        self._console, self._sector_size = console, sector_size
        self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._live.start()

    def show(self, now: Snapshot, meter: RateMeter) -> None:
        self._live.update(_drawing(now, meter, self._sector_size), refresh=True)

    def phase_ended(self, last: Snapshot) -> None:
        self.say(_closing_line(last, self._sector_size))

    def say(self, words: str) -> None:
        self._live.update(Text(""), refresh=True)
        self._console.print(f"  {words}", soft_wrap=True)

    def close(self) -> None:
        self._live.stop()


@contextmanager
def watch(
    counters: Counters,
    mode: str,
    console: Console,
    sector_size: int | None = None,
    stop: threading.Event | None = None,
) -> Iterator[None]:
    """Show ``counters`` while the body runs. ``mode`` is ``auto``, ``jsonl`` or ``none``; ``console`` is on stderr.

    ``sector_size`` in bytes lets unreadable areas be counted in sectors. When ``stop`` is set, the view says that the
    work is being stopped.
    """
    if mode == "none":
        yield
        return
    view: _View
    if mode == "jsonl":
        view = _JsonView()
    elif console.is_terminal:
        view = _LiveView(console, sector_size)
    else:
        view = _LineView(sector_size)
    ended = threading.Event()
    stopping = stop.is_set if stop is not None else lambda: False
    thread = threading.Thread(
        target=_poll, args=(counters, view, ended.wait, stopping), name="progress-view", daemon=True
    )
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _SWITCH_INTERVAL))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        # A terminal that is held (Ctrl-S) must not hold the end of the work.
        thread.join(timeout=2)
        sys.setswitchinterval(before)


def _poll(counters: Counters, view: _View, wait: Callable[[float], bool], stopping: Callable[[], bool]) -> None:
    meter, told = RateMeter(), False
    last: Snapshot | None = None
    due = monotonic() + view.interval
    try:
        over = False
        while not over:
            over = wait(LIVE_INTERVAL)
            if stopping() and not told:
                told = True
                view.say(STOPPING)
            now = counters.snapshot()
            moment = monotonic()
            if last is not None and (now.phase != last.phase or now.done < last.done):
                if last.done:
                    view.phase_ended(last)
                meter = RateMeter()
            meter.add(moment, now.done, now.stages)
            if over and now.done:
                view.phase_ended(now)
            elif not over and moment >= due:
                view.show(now, meter)
                due = moment + view.interval
            last = now
    except OSError:
        return
    finally:
        view.close()


def progress_json(now: Snapshot, meter: RateMeter) -> dict[str, object]:
    """Return one line of ``--progress jsonl``: sizes and offsets in bytes, rates in bytes per second."""
    return {
        "schema": "forensiq/progress/1",
        "time": rfc3339(utc_now()),
        "phase": now.phase,
        "done": now.done,
        "total": now.total,
        "position": now.position,
        "stages": dict(now.stages),
        "elapsed_s": round(now.elapsed_s, 3),
        "bytes_per_second": _whole(meter.rate),
        "average_bytes_per_second": _whole(_average(now)),
        "seconds_left": _whole(meter.seconds_left(now.total)),
        "unreadable_bytes": now.unreadable,
        "unreadable_ranges": now.unreadable_places,
        "first_unreadable": now.first_unreadable,
    }


def progress_line(now: Snapshot, meter: RateMeter, sector_size: int | None) -> str:
    """Return one line of the plain view."""
    parts = [_label(now), _percent(now), _amount(now), _rate(meter.rate), _left(meter.seconds_left(now.total))]
    if now.unreadable:
        parts.append(_unreadable(now, sector_size))
    return "  ".join(part.strip() for part in parts if part.strip())


def _closing_line(last: Snapshot, sector_size: int | None) -> str:
    average = _average(last)
    took = f"in {text.duration(last.elapsed_s)}" + (f" ({text.rate(average)})" if average and last.total else "")
    parts = [f"{_label(last):<10}", took]
    if last.total:
        parts.insert(1, text.size(last.done) if last.done >= last.total else _amount(last))
    if last.unreadable:
        parts.append(_unreadable(last, sector_size))
    return "  ".join(parts)


def _drawing(now: Snapshot, meter: RateMeter, sector_size: int | None) -> RenderableType:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(no_wrap=True, min_width=10)
    grid.add_column(ratio=1, min_width=8)
    for _ in range(4):
        grid.add_column(justify="right", no_wrap=True)
    grid.add_row(
        f"  {_label(now)}",
        ProgressBar(
            total=max(now.total, 1),
            completed=min(now.done, max(now.total, 1)),
            complete_style="cyan",
            finished_style="green",
        ),
        _percent(now),
        _amount(now),
        _rate(meter.rate),
        _left(meter.seconds_left(now.total)),
    )
    lines: list[RenderableType] = [grid, Text(f"             {_speeds(now, meter)}", style="dim")]
    if now.unreadable:
        lines.append(Text(f"             {_unreadable(now, sector_size)}", style="bold red"))
    return Group(*lines)


def _speeds(now: Snapshot, meter: RateMeter) -> str:
    """Return the rate of each stage and the average; the unit stands once where it is the same: 80 columns suffice."""
    speeds = {text.visible(stage): text.rate(speed) for stage, speed in meter.stage_rates().items()}
    if now.total and (average := _average(now)):
        speeds["average"] = text.rate(average)
    units = {speed.rpartition(" ")[2] for speed in speeds.values()}
    if len(units) != 1:
        return " · ".join(f"{name} {speed}" for name, speed in speeds.items())
    (unit,) = units
    return " · ".join(f"{name} {speed.rpartition(' ')[0]}" for name, speed in speeds.items()) + f" {unit}"


def _label(now: Snapshot) -> str:
    phase = text.visible(now.phase or "working")
    return phase[:1].upper() + phase[1:]


def _percent(now: Snapshot) -> str:
    # Never 100 before the end: rounded down.
    return f"{100 * min(now.done, now.total) // now.total} %" if now.total else ""


def _amount(now: Snapshot) -> str:
    return text.of_total(now.done, now.total) if now.total else ""


def _rate(speed: float | None) -> str:
    return "" if speed is None else text.rate(speed)


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f"{text.rough_duration(seconds)} left"


def _average(now: Snapshot) -> float | None:
    return now.done / now.elapsed_s if now.elapsed_s > 0 and now.done else None


def _unreadable(now: Snapshot, sector_size: int | None) -> str:
    if sector_size:
        amount = text.count(now.unreadable // sector_size, "sector")
    else:
        amount = text.count(now.unreadable, "byte")
    first = ""
    if now.first_unreadable is not None:
        at = f"LBA {now.first_unreadable // sector_size:,}" if sector_size else f"byte {now.first_unreadable:,}"
        first = f" (first at {at})"
    return f"unreadable: {amount} in {text.count(now.unreadable_places, 'place')}{first}"


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
