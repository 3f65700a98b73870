"""Times as file systems keep them, to RFC 3339 in UTC, fast: a walk makes two million of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["IN_HOUR", "Hours", "rfc3339_json", "rfc3339_of", "sortable"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = 3600
_MOST_DAYS, _MOST_HOURS = 20_000, 200_000
_BILLION = 1_000_000_000


class _Days(dict[int, str]):
    """Day since 1970 → ``YYYY-MM-DD``; empty outside the years 1 to 9999."""

    def __missing__(self, day: int) -> str:
        try:
            moment = _EPOCH + timedelta(days=day)
        except OverflowError:
            return ""
        if len(self) >= _MOST_DAYS:
            self.clear()
        text = self[day] = f"{moment.year:04d}-{moment:%m-%d}"
        return text


class Hours(dict[int, str]):
    """Hour since 1970 → ``YYYY-MM-DDTHH:``, other texts before it and for the T; empty outside years 1 to 9999."""

    def __init__(self, before: str, between: str) -> None:
        super().__init__()
        self._days = _Days()
        self._before = before
        self._behind = [f"{between}{hour:02d}:" for hour in range(24)]

    def __missing__(self, hour: int) -> str:
        day = self._days[hour // 24]
        if not day:
            return ""
        if len(self) >= _MOST_HOURS:
            self.clear()
        text = self[hour] = f"{self._before}{day}{self._behind[hour % 24]}"
        return text


_hours = Hours('"', "T")
IN_HOUR = [f"{second // 60:02d}:{second % 60:02d}" for second in range(_HOUR)]
"""``MM:SS`` of each second of an hour."""


def rfc3339_json(seconds: int, nanoseconds: int) -> str:
    """Return the JSON text of a time (seconds since 1970): quoted, or ``null`` for 0, which is "not set".

    The fraction is written only where there is one. A time outside the years 1 to 9999 is ``null`` too.
    """
    if not seconds:
        return "null"
    hour = _hours[seconds // _HOUR]
    if not hour:
        return "null"
    if 0 < nanoseconds < _BILLION:
        # "%09d" takes two thirds of the time of a format specification.
        return f'{hour}{IN_HOUR[seconds % _HOUR]}.{"%09d" % nanoseconds}Z"'  # noqa: UP031
    return f'{hour}{IN_HOUR[seconds % _HOUR]}Z"'


def rfc3339_of(seconds: int, nanoseconds: int) -> str | None:
    """As :func:`rfc3339_json`, but plain text or ``None``."""
    text = rfc3339_json(seconds, nanoseconds)
    return None if text == "null" else text[1:-1]


def sortable(text: str) -> str:
    """Return the 29 characters by which a time (from :func:`rfc3339_json`, not ``null``) is sorted."""
    return f"{text[1:20]}.000000000" if len(text) == 22 else text[1:30]
