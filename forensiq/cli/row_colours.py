"""Colours of the rows of listings, on a terminal that has them: what is deleted in red, folders in blue, links in cyan.

Rows are text whose names are harmless already. Nothing is said by colour alone: each row has its letter or its word.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

__all__ = ["heading", "listing_colours", "timeline_colours"]

_PLAIN, _BOLD, _RED, _BLUE, _CYAN, _FAINT = (f"\x1b[{code}m" for code in (0, 1, 31, 34, 36, 2))
_OF_LETTER = {"d": _BLUE, "V": _BLUE, "l": _CYAN}
_LETTER, _MARK = 2, 3
"""Columns of a row of ``ls``: the letter of its type, and an asterisk where it is deleted."""


def _wanted() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _as_it_is(rows: str) -> str:
    return rows


def heading(text: str) -> str:
    """Return a heading (without a line end) as it is shown."""
    return f"{_BOLD}{text}{_PLAIN}" if _wanted() else text


def listing_colours() -> Callable[[str], str]:
    """Return what colours rows of ``ls``, each with its line end; where there is no colour it changes nothing."""
    return _listing if _wanted() else _as_it_is


def timeline_colours() -> Callable[[str], str]:
    """As :func:`listing_colours`, for the rows of a time line."""
    return _timeline if _wanted() else _as_it_is


def _listing(rows: str) -> str:
    shown: list[str] = []
    for row in rows.split("\n")[:-1]:
        colour = _RED if row[_MARK : _MARK + 1] == "*" else _OF_LETTER.get(row[_LETTER : _LETTER + 1])
        shown.append(f"{colour}{row}{_PLAIN}\n" if colour else row + "\n")
    return "".join(shown)


def _timeline(rows: str) -> str:
    shown: list[str] = []
    for row in rows.split("\n")[:-1]:
        colour = _RED if row.endswith("  [deleted]") else _FAINT if row.endswith(" ($FILE_NAME)") else ""
        shown.append(f"{colour}{row}{_PLAIN}\n" if colour else row + "\n")
    return "".join(shown)
