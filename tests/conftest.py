"""What the whole suite shares: which tests run where, and an account of what was left out."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter

import pytest

# The program is started some thousand times; compiling all of it each time would be a third of the work.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell starts what runs in the background with SIGINT ignored, nohup with SIGHUP ignored, and both are inherited: the
# programs under test would rightly keep ignoring them.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number is signal.SIGINT else signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests marked 'long'")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    needs_root = pytest.mark.skip(reason="needs root")
    needs_long = pytest.mark.skip(reason="runs only with --long")
    for item in items:
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(needs_root)
        if item.get_closest_marker("long") and not config.getoption("--long"):
            item.add_marker(needs_long)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.getreports("skipped")
        if isinstance(report.longrepr, tuple)
    )
    if reasons:
        terminalreporter.section("What was not tested here")
        for reason, times in reasons.most_common():
            terminalreporter.line(f"{times:5} × {reason}")
