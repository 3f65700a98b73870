"""How a row of a listing looks on a terminal. Names are given as they may be shown: harmless, and with one reading."""

from __future__ import annotations

__all__ = ["SIGNS", "listing_row"]

SIGNS = {
    "directory": "d",
    "symlink": "l",
    "file": "-",
    "virtual_directory": "V",
    "virtual_file": "V",
    "fifo": "p",
    "socket": "s",
    "character_device": "c",
    "block_device": "b",
    "whiteout": "w",
}
"""Type of an entry → the letter that begins its row."""


def listing_row(sign: str, size: str, when: str, name: str, *, gone: bool = False) -> str:
    """Return a row: type (``*`` behind it: deleted), size, time of the last change of the content, name."""
    return f"  {sign}{'*' if gone else ' '} {size:>13}  {when:16}  {name}"
