"""Hostile text made visible, once, and its width on a page of fixed-width columns.

Names, labels and notes come from evidence or from strangers. Whatever could move the cursor, end a line, turn the
direction of writing round or hide itself is shown as ``<U+001B>``. The rule is injective: a text that itself holds
``<U+`` has its ``<`` shown as ``<U+003C>``, so two different texts never look the same by our doing. Backslashes stay
as they are. Bytes that are no UTF-8 arrive as lone surrogates (Python's ``surrogateescape``) and are shown the same
way: ``<U+DCFF>`` is the byte 0xFF.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

__all__ = ["display_width", "visible", "wrap"]

_JOINERS = frozenset("\u200c\u200d")
_SPACES = frozenset(" \u3000")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_MARKS_IN_A_ROW = 6


def visible(text: str, limit: int | None = None) -> str:
    """Return ``text`` with everything invisible or harmful shown as ``<U+XXXX>``.

    ``limit`` is in characters as they are shown, so that no text takes more room than it was given by being full of
    what has to be replaced; what is longer is cut, and the cut says how long the whole is.
    """
    shown: list[str] = []
    marks = length = 0
    for index, character in enumerate(text):
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        plain = _harmless(character, category) and marks <= _MARKS_IN_A_ROW and not text.startswith("<U+", index)
        shown.append(character if plain else f"<U+{ord(character):04X}>")
        length += len(shown[-1])
        if limit is not None and length > limit:
            shown[-1] = f"… (cut here; {len(text):,} characters in all)"
            break
    return "".join(shown)


def _harmless(character: str, category: str) -> bool:
    return category not in _HIDDEN or character in _SPACES or character in _JOINERS


def display_width(text: str) -> int:
    """Return how many columns ``text`` takes where wide (East Asian) characters take two and marks none."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def wrap(text: str, width: int) -> list[str]:
    """Return ``text`` (already visible) in lines of at most ``width`` columns; at least one line.

    Lines break at spaces; a word that is longer is cut: hexadecimal into 64 digits where they fit, else where the
    line is full.
    """
    lines: list[str] = []
    current = ""
    for word in text.split(" "):
        joined = f"{current} {word}" if current else word
        if display_width(joined) <= width:
            current = joined
            continue
        if current:
            lines.append(current)
        *full, current = _pieces(word, width)
        lines += full
    return [*lines, current] if current or not lines else lines


def _pieces(word: str, width: int) -> Iterator[str]:
    if 64 <= width < len(word) and not set(word) - set("0123456789abcdef"):
        yield from (word[start : start + 64] for start in range(0, len(word), 64))
        return
    piece, columns = "", 0
    for character in word:
        wide = _columns(character)
        if columns + wide > width:
            yield piece
            piece, columns = "", 0
        piece, columns = piece + character, columns + wide
    yield piece
