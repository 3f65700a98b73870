"""Serves a file through nbdkit's Python plugin with faults that depend on place and time.

Runs inside nbdkit, in the system's own Python: it needs nothing but the standard library. The folder of the parameter
``control`` holds ``faults.json``; see ``tests/rig.py``.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import nbdkit

API_VERSION = 2

_control = Path()
_faults: dict[str, Any] = {}
_failed: dict[int, int] = {}
_given = 0


def config(key: str, value: str) -> None:
    global _control, _faults
    if key == "control":
        _control = Path(value)
        _faults = json.loads((_control / "faults.json").read_text())


def open(readonly: bool) -> int:  # noqa: A001
    return os.open(_faults["disk"], os.O_RDONLY)


def close(handle: int) -> None:
    os.close(handle)


def get_size(handle: int) -> int:
    return os.fstat(handle).st_size


def can_write(handle: int) -> bool:
    return False


def pread(handle: int, buffer: bytearray, offset: int, flags: int) -> None:
    global _given
    end = offset + len(buffer)
    _given += len(buffer)
    limit = _faults["vanish_after"]
    if limit is not None and _given > limit and not (_control / "stays").exists():
        (_control / "vanished").touch()

    def touches(kind: str) -> list[int]:
        return [index for index, (first, last) in enumerate(_faults[kind]) if offset < last and first < end]

    if touches("slow"):
        time.sleep(_faults["delay_s"])
    while touches("hanging") and not (_control / "released").exists():
        time.sleep(0.05)
    for index in touches("transient"):
        _failed[index] = _failed.get(index, 0) + 1
        if _failed[index] <= _faults["failures"]:
            nbdkit.set_error(5)
            raise OSError(5, "a fault of the rig")
    data = os.pread(handle, len(buffer), offset)
    buffer[: len(data)] = data
