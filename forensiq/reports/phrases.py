"""Numbers and states in plain English: the same words in every report."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Mapping, Sequence

from forensiq.model.digest import algorithm_name
from forensiq.reports.plain import visible

__all__ = [
    "NOT_RECORDED",
    "about",
    "algorithm",
    "command_line",
    "count",
    "duration",
    "error_name",
    "humanise",
    "lba_range",
    "listed",
    "rate",
    "share",
    "size",
    "unknown_or",
    "value",
]

NOT_RECORDED = "not recorded"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Return ``1 sector``, ``1,024 sectors``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def size(number: int) -> str:
    """Return a number of bytes with its decimal short form: ``500.1 GB (500,107,862,016 bytes)``.

    Powers of two below 1 GiB, which are sizes of chunks and blocks, are exact in binary units: ``32 KiB``.
    """
    if number < 1000:
        return count(number, "byte")
    if number < 1 << 30 and not number & (number - 1):
        power = min(2, (number.bit_length() - 1) // 10)
        return f"{number >> 10 * power} {('bytes', 'KiB', 'MiB')[power]}"
    scaled, unit = float(number), "B"
    for name in ("kB", "MB", "GB", "TB", "PB", "EB"):
        scaled, unit = scaled / 1000, name
        if scaled < 999.95:
            break
    return f"{scaled:,.1f} {unit} ({number:,} bytes)"


def share(part: int, whole: int) -> str:
    """Return a percentage; a tiny one as ``less than 0.001 %``."""
    if whole <= 0:
        return "share not known"
    percent = 100 * part / whole
    return "less than 0.001 %" if 0 < percent < 0.001 else f"{percent:.3g} %"


def rate(bytes_per_second: float) -> str:
    """Return a speed in MiB per second."""
    return f"{bytes_per_second / 1048576:,.1f} MiB/s"


def duration(seconds: float) -> str:
    """Return ``0 h 17 min 41 s``; below a minute with tenths."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 3600:,} h {whole // 60 % 60:02} min {whole % 60:02} s"


def error_name(number: int | None) -> str:
    """Return ``errno 5 (EIO)``."""
    if number is None:
        return "errno not known"
    return f"errno {number} ({errno.errorcode.get(number, 'no name on this system')})"


def command_line(words: Sequence[str]) -> str:
    """Return a command as it can be typed again, visible."""
    return visible(shlex.join(words), 8000)


def lba_range(first: int, sectors: int) -> str:
    """Return ``LBA 2,048 to 2,055``; both ends inclusive."""
    if sectors <= 1:
        return f"LBA {first:,}"
    return f"LBA {first:,} to {first + sectors - 1:,}"


def algorithm(name: str) -> str:
    """Return the usual spelling of a hash algorithm's name."""
    return visible(algorithm_name(name), 40)


def listed(words: Sequence[str]) -> str:
    """Return ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))


def unknown_or(state: bool | None, yes: str = "yes", no: str = "no", unknown: str = "could not be determined") -> str:
    """Return one of three answers."""
    return unknown if state is None else yes if state else no


def value(given: object, name: str = "", unavailable: Mapping[str, str] | None = None) -> str:
    """Return ``given`` as visible text; a missing one as its reason in ``unavailable``, or as not recorded."""
    if given is None or given == "":
        return visible((unavailable or {}).get(name, NOT_RECORDED), 300)
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, int):
        return f"{given:,}"
    if isinstance(given, float):
        return f"{given:,.6g}"
    return visible(str(given), 2000)


def about(facts: Mapping[str, object], *words: str) -> str:
    """Return what ``facts`` say under keys that hold one of ``words``; empty where they say nothing."""
    found = {key: item for key, item in facts.items() if any(word in key.lower() for word in words)}
    if len(found) == 1:
        return "; ".join(str(item) for item in found.values() if item is not None)
    return "; ".join(f"{key.rpartition('.')[2]}: {item}" for key, item in found.items() if item is not None)


def humanise(key: str) -> str:
    """Return a field name as words: ``worst_case`` → ``worst case``."""
    return visible(key, 60).replace("_", " ")
