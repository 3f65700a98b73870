"""The only place that reads the time.

All times are UTC. Text form is RFC 3339 with microseconds and ``Z``. A linter rule keeps ``time`` and
``datetime.now`` out of every other module, so that a test can set one clock for the whole program.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

__all__ = ["local_offset", "monotonic", "parse_rfc3339", "rfc3339", "sleep", "utc_now"]


def utc_now() -> datetime:
    """Return the present time, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Return seconds of a clock that never goes back; only differences mean anything."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait ``seconds``."""
    time.sleep(seconds)


def rfc3339(moment: datetime) -> str:
    """Return ``moment`` as RFC 3339 text in UTC with microseconds, for example ``2026-11-22T10:46:06.000001Z``."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone is not a time")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_rfc3339(text: str) -> datetime:
    """Return the aware UTC time that ``text`` (RFC 3339) names; ``ValueError`` where it names none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {text!r}")
    return moment.astimezone(UTC)


def local_offset(moment: datetime) -> str:
    """Return the offset of this machine's local time zone at ``moment``, as ``+01:00``."""
    text = moment.astimezone().strftime("%z")
    return f"{text[:3]}:{text[3:5]}"
