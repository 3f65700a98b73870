"""Times as file systems keep them, to RFC 3339 in UTC, fast: a walk makes two million of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["rfc3339_json", "rfc3339_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST_CACHE = 200_000
_seconds: dict[int, str] = {}


def rfc3339_json(seconds: int, nanoseconds: int) -> str:
    """Return the JSON text of a time (seconds since 1970): quoted, or ``null`` for 0, which is "not set".

    The fraction is written only where there is one. A time outside the years 1 to 9999 is ``null`` too.
    """
    if not seconds:
        return "null"
    text = _seconds.get(seconds)
    if text is None:
        if len(_seconds) >= _LARGEST_CACHE:
            _seconds.clear()
        text = _seconds[seconds] = _quoted(seconds)
    if text == "null":
        return text
    if nanoseconds and 0 < nanoseconds < 1_000_000_000:
        return f'{text}.{nanoseconds:09d}Z"'
    return f'{text}Z"'


def _quoted(seconds: int) -> str:
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return "null"
    return f'"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}'


def rfc3339_of(seconds: int, nanoseconds: int) -> str | None:
    """As :func:`rfc3339_json`, but plain text or ``None``."""
    text = rfc3339_json(seconds, nanoseconds)
    return None if text == "null" else text[1:-1]
