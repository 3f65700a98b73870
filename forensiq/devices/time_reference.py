"""By how much this machine's clock differs from a reference, asked of the service that keeps it; nothing is set.

chrony says it in ``chronyc tracking`` ("System time : N seconds fast of NTP time"). systemd-timesyncd says in
``timedatectl timesync-status`` what it measured at its last poll: the reference minus the clock (RFC 5905, section 8),
so the sign turns.
"""

from __future__ import annotations

import re

from msgspec import Struct

from forensiq.devices.commands import Runner, run_command

__all__ = ["TimeReference", "ask_time_reference"]

_PATIENCE_S = 3.0
_CHRONY = ("chronyc", "-n", "tracking")
_TIMESYNCD = ("timedatectl", "timesync-status")
_LOCAL_REFERENCE = "7F7F0101"  # chrony's own clock, shown where "local" is configured: no reference at all
_SYSTEM_TIME = re.compile(r"^System time\s*:\s*(\d+(?:\.\d+)?) seconds (fast|slow) of NTP time$", re.MULTILINE)
_OFFSET = re.compile(r"^\s*Offset:\s*([+-]?)(\S.*)$", re.MULTILINE)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)(?![a-z])")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class TimeReference(Struct, frozen=True):
    """What a time service said: clock minus reference in seconds, and in words who measured it how."""

    offset_s: float
    method: str


def ask_time_reference(run: Runner = run_command) -> TimeReference | None:
    """Return what a time service of this machine says, ``None`` where none runs or none is in step with a reference."""
    ended = run(_CHRONY, _PATIENCE_S)
    if ended.exit_status == 0 and (found := _chrony(ended.output)):
        return found
    ended = run(_TIMESYNCD, _PATIENCE_S)
    return _timesyncd(ended.output) if ended.exit_status == 0 else None


def _chrony(output: str) -> TimeReference | None:
    match = _SYSTEM_TIME.search(output)
    if match is None or "Not synchronised" in output or _LOCAL_REFERENCE in output:
        return None
    offset = float(match[1]) if match[2] == "fast" else -float(match[1])
    return TimeReference(offset, "chronyc tracking: the clock against NTP time as chrony estimates it now")


def _timesyncd(output: str) -> TimeReference | None:
    match = _OFFSET.search(output)
    if match is None or _SPAN.sub("", match[2]).strip():
        return None
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _SPAN.findall(match[2]))
    offset = seconds if match[1] == "-" else -seconds
    return TimeReference(offset, "timedatectl: as systemd-timesyncd measured it at its last poll")
