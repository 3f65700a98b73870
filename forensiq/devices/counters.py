"""The kernel's counts of requests to a drive: ``/sys/block/*/stat``.

Source: the kernel's ``Documentation/block/stat.rst``. Fields count from 1: 5 writes completed, 7 sectors of 512 bytes
written, 12 discards completed, 14 sectors discarded (12 and 14 since Linux 4.18). They begin when the device was
attached, and stand still where ``queue/iostats`` is 0.
"""

from __future__ import annotations

from forensiq.clock import rfc3339, utc_now
from forensiq.devices.system import System
from forensiq.model.source import CounterSample

__all__ = ["counting", "sample"]

_WRITES, _WRITTEN, _DISCARDS, _DISCARDED = 4, 6, 11, 13


def counting(whole: str, system: System) -> bool | None:
    """Say whether the kernel counts requests to the device at all; ``None``: it does not say."""
    value = system.number(system.block(whole) / "queue" / "iostats")
    return None if value is None else bool(value)


def sample(whole: str, system: System) -> CounterSample | None:
    """Return the counters of a whole device now; ``None`` where they cannot be read or are switched off."""
    words = (system.read(system.block(whole) / "stat") or "").split()
    if len(words) <= _WRITTEN or not all(word.isdecimal() for word in words) or counting(whole, system) is False:
        return None
    values = [int(word) for word in words]
    discards = len(values) > _DISCARDED
    return CounterSample(
        at=rfc3339(utc_now()),
        writes=values[_WRITES],
        sectors_written=values[_WRITTEN],
        discards=values[_DISCARDS] if discards else None,
        sectors_discarded=values[_DISCARDED] if discards else None,
    )
