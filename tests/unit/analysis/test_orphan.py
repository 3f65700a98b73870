"""A worker that computes does not outlive a program that was killed."""

from __future__ import annotations

import subprocess
import sys

from forensiq.clock import monotonic, sleep

BUSY = """
import os
from forensiq.analysis.orphan import end_with_parent
end_with_parent(0.1)
print(os.getpid(), flush=True)
while True:
    pass
"""
PARENT = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {BUSY!r}], stdout=subprocess.PIPE)
print(child.stdout.readline().decode().strip(), flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_busy_worker_ends_when_its_program_was_killed() -> None:
    killed = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, check=False, timeout=60)
    worker = int(killed.stdout)
    end = monotonic() + 20
    while _runs(worker) and monotonic() < end:
        sleep(0.05)
    assert not _runs(worker)


def _runs(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
