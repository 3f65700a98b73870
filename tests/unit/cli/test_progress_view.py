from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Mapping

import pytest
from msgspec import Struct, field
from msgspec.structs import replace
from rich.console import Console

from forensiq.cli.progress_view import progress_json, progress_line, watch
from forensiq.cli.rate_meter import RateMeter


class Moment(Struct, frozen=True):
    phase: str = "acquire"
    total: int = 1_000_000_000
    done: int = 0
    position: int = 0
    stages: Mapping[str, int] = field(default_factory=dict)
    unreadable: int = 0
    unreadable_places: int = 0
    first_unreadable: int | None = None
    elapsed_s: float = 0.0


class Script:
    """Counters that were written down beforehand; the last one stays."""

    def __init__(self, *moments: Moment) -> None:
        self._moments = list(moments)
        self.told = threading.Event()

    def snapshot(self) -> Moment:
        if len(self._moments) > 1:
            return self._moments.pop(0)
        self.told.set()
        return self._moments[0]


def test_the_rate_is_that_of_late() -> None:
    meter = RateMeter(window=10)
    for second in range(100):
        meter.add(second, second * (100 if second < 50 else 200), {"read": second * 300})
    assert meter.rate == 200
    assert meter.stage_rates() == {"read": 300}
    assert meter.seconds_left(99 * 200 + 400) == 2


def test_nothing_is_told_from_one_look() -> None:
    meter = RateMeter()
    meter.add(1, 500, {})
    assert meter.rate is None
    assert meter.seconds_left(1000) is None


def test_no_end_is_promised_while_nothing_moves() -> None:
    meter = RateMeter()
    meter.add(1, 500, {})
    meter.add(2, 500, {})
    assert meter.rate == 0
    assert meter.seconds_left(1000) is None


def test_counters_that_go_back_start_a_new_measurement() -> None:
    meter = RateMeter()
    meter.add(1, 500, {})
    meter.add(2, 600, {})
    meter.add(3, 0, {})
    assert meter.rate is None


def test_a_plain_line_says_what_matters() -> None:
    meter = RateMeter()
    meter.add(0, 0, {})
    meter.add(10, 610_000_000, {})
    now = Moment(done=610_000_000, unreadable=8192, unreadable_places=2, first_unreadable=512 * 1000)
    assert progress_line(now, meter, 512) == (
        "Acquire  61 %  0.6 of 1.0 GB  58 MiB/s  6 s left  unreadable: 16 sectors in 2 places (first at LBA 1,000)"
    )


def test_a_hundred_percent_only_at_the_end() -> None:
    assert "99 %" in progress_line(Moment(done=999_999_999), RateMeter(), None)
    assert "100 %" in progress_line(Moment(done=1_000_000_000), RateMeter(), None)


def test_a_hostile_phase_is_shown_harmless() -> None:
    assert "\x1b" not in progress_line(Moment(phase="\x1b[2J"), RateMeter(), None)


def test_json_lines_have_bytes_and_no_words() -> None:
    value = progress_json(Moment(done=500, elapsed_s=2), RateMeter())
    assert value["schema"] == "forensiq/progress/1"
    assert value["average_bytes_per_second"] == 250
    assert value["seconds_left"] is None


def _watch(mode: str, console: Console, *moments: Moment) -> None:
    script = Script(*moments)
    with watch(script, mode, console, 512):
        assert mode == "none" or script.told.wait(20)


def test_every_phase_gets_a_closing_line_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    first = Moment(done=1_000_000_000, elapsed_s=2)
    _watch("auto", Console(stderr=True), first, replace(first, phase="verify", done=700_000_000))
    assert capsys.readouterr().err.splitlines() == [
        "Acquire     1.0 GB  in 2.0 s (477 MiB/s)",
        "Verify      0.7 of 1.0 GB  in 2.0 s (334 MiB/s)",
    ]


def test_json_lines_end_with_the_last_state(capsys: pytest.CaptureFixture[str]) -> None:
    _watch("jsonl", Console(stderr=True), Moment(done=3), Moment(done=7))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err.splitlines()[-1])["done"] == 7


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    _watch("none", Console(stderr=True), Moment(done=3))
    assert capsys.readouterr() == ("", "")


def test_the_live_view_fits_80_columns() -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=80, color_system=None)
    now = Moment(done=500_000_000, elapsed_s=1, unreadable=8192, unreadable_places=2, first_unreadable=0)
    _watch("auto", console, now, replace(now, done=600_000_000), replace(now, done=700_000_000))
    shown = terminal.getvalue()
    assert "unreadable: 16 sectors in 2 places (first at LBA 0)" in shown
    assert "0.7 of 1.0 GB" in shown


def test_the_switch_interval_is_put_back() -> None:
    before = sys.getswitchinterval()
    _watch("auto", Console(file=io.StringIO()), Moment())
    assert sys.getswitchinterval() == before


def test_a_stderr_that_is_gone_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    _watch("auto", Console(file=io.StringIO()), Moment(done=3), Moment(phase="verify", done=1))


@pytest.mark.parametrize(("terminal", "mode", "told"), [(True, "auto", 1), (False, "auto", 1), (True, "jsonl", 0)])
def test_a_view_says_once_that_the_work_is_being_stopped(
    terminal: bool, mode: str, told: int, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = threading.Event()
    stop.set()
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=80)
    with watch(Script(Moment(done=500), Moment(done=600)), mode, console, stop=stop):
        pass
    assert (screen.getvalue() + capsys.readouterr().err).count("stopping cleanly") == told
