"""Names of the files of a split raw image: which one comes next (no I/O).

Numbers (``.000``, ``.001``; as dcfldd, dc3dd and FTK Imager write them; after ``.999`` comes ``.1000``) or letters
(``.aa``; as split(1) writes them, ``.zz`` is the last one).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["first_parts", "is_first_part", "is_part", "later_parts"]

_NUMBER = re.compile(r"[0-9]{2,5}")
_LETTERS = re.compile(r"[a-z]{2,4}|[A-Z]{2,4}")
_LETTERS_FIRST = re.compile(r"a{2,4}|A{2,4}")


def _suffix(name: str) -> str:
    return name.rpartition(".")[2] if "." in name.lstrip(".") else ""


def is_first_part(name: str) -> bool:
    """Say whether a file called ``name`` may be the first of a set."""
    suffix = _suffix(name)
    if _NUMBER.fullmatch(suffix):
        return int(suffix) in (0, 1)
    return _LETTERS_FIRST.fullmatch(suffix) is not None


def first_parts(name: str) -> tuple[str, ...]:
    """Return what the first file of the set may be called in which ``name`` is a later, numbered one."""
    suffix = _suffix(name)
    if not _NUMBER.fullmatch(suffix) or is_first_part(name):
        return ()
    stem = name[: len(name) - len(suffix)]
    # Behind .999 comes .1000: the first one has fewer digits then.
    widths = range(len(suffix), 1, -1)
    return tuple(f"{stem}{number:0{width}d}" for width in widths for number in (0, 1))


def is_part(name: str, other: str) -> bool:
    """Say whether ``other`` has a name of the same set as ``name``: the same stem and kind of suffix."""
    mine, theirs = _suffix(name), _suffix(other)
    if name[: len(name) - len(mine)] != other[: len(other) - len(theirs)]:
        return False
    if _NUMBER.fullmatch(mine):
        return _NUMBER.fullmatch(theirs) is not None and (len(theirs) == len(mine) or int(theirs) >= 10 ** len(mine))
    return len(mine) == len(theirs) and bool(_LETTERS.fullmatch(mine)) and bool(_LETTERS.fullmatch(theirs))


def later_parts(first: str) -> Iterator[str]:
    """Yield the names that follow ``first``, in order, without end but for the last name that there is."""
    suffix = _suffix(first)
    stem = first[: len(first) - len(suffix)]
    if _NUMBER.fullmatch(suffix):
        for number in range(int(suffix) + 1, 100_000):
            yield f"{stem}{number:0{len(suffix)}d}"
        return
    base = "a" if suffix.islower() else "A"
    count = 26 ** len(suffix)
    for number in range(1, count):
        letters = ""
        rest = number
        for _ in suffix:
            rest, letter = divmod(rest, 26)
            letters = chr(ord(base) + letter) + letters
        yield stem + letters
