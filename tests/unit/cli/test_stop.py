from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from forensiq.cli.stop import stop_request


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_and_the_second_interrupts(number: signal.Signals) -> None:
    with stop_request() as stop:
        os.kill(os.getpid(), number)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_request() as stop:
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    assert not stop.is_set()


def test_a_third_signal_ends_a_process_that_cannot_be_interrupted() -> None:
    code = """
import os, signal
from forensiq.cli.stop import stop_request
with stop_request():
    os.kill(os.getpid(), signal.SIGINT)
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        os.kill(os.getpid(), signal.SIGINT)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=30)
    assert done.returncode == 130


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    code = """
import os, signal
from forensiq.cli.stop import interrupt_on_signals, stop_request
signal.signal(signal.SIGHUP, signal.SIG_IGN)
interrupt_on_signals()
with stop_request() as stop:
    os.kill(os.getpid(), signal.SIGHUP)
    assert not stop.is_set()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")
