"""Times as file systems keep them, to RFC 3339 in UTC, fast: a walk makes two million of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["rfc3339_json", "rfc3339_of", "sortable"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400
_MOST_DAYS = 100_000


class _Days(dict[int, str]):
    """Day since 1970 → ``"YYYY-MM-DDT`` (with the quote); empty outside the years 1 to 9999."""

    def __missing__(self, day: int) -> str:
        try:
            moment = _EPOCH + timedelta(days=day)
        except OverflowError:
            return ""
        if len(self) >= _MOST_DAYS:
            self.clear()
        text = self[day] = f'"{moment.year:04d}-{moment:%m-%d}T'
        return text


_days = _Days()
_MINUTES = [f"{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440)]
_SECONDS = [f"{second:02d}" for second in range(60)]


def rfc3339_json(seconds: int, nanoseconds: int) -> str:
    """Return the JSON text of a time (seconds since 1970): quoted, or ``null`` for 0, which is "not set".

    The fraction is written only where there is one. A time outside the years 1 to 9999 is ``null`` too.
    """
    if not seconds:
        return "null"
    day = _days[seconds // _DAY]
    if not day:
        return "null"
    if 0 < nanoseconds < 1_000_000_000:
        # "%09d" takes two thirds of the time of a format specification.
        return f'{day}{_MINUTES[seconds // 60 % 1440]}{_SECONDS[seconds % 60]}.{"%09d" % nanoseconds}Z"'  # noqa: UP031
    return f'{day}{_MINUTES[seconds // 60 % 1440]}{_SECONDS[seconds % 60]}Z"'


def rfc3339_of(seconds: int, nanoseconds: int) -> str | None:
    """As :func:`rfc3339_json`, but plain text or ``None``."""
    text = rfc3339_json(seconds, nanoseconds)
    return None if text == "null" else text[1:-1]


def sortable(text: str) -> str:
    """Return the 29 characters by which a time (from :func:`rfc3339_json`, not ``null``) is sorted."""
    return f"{text[1:20]}.000000000" if len(text) == 22 else text[1:30]
