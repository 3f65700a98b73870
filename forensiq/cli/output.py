"""What goes to stdout and stderr, and in which form.

In JSON mode stdout carries JSON and nothing else: one object, or one object for each line. Messages, warnings and
progress go to stderr in every mode.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from forensiq.cli.streams import writing_results
from forensiq.cli.text import printable
from forensiq.model.jsonable import to_json

__all__ = ["Column", "emit_json", "emit_lines", "make_console", "make_table"]

Column = str | tuple[str, str]
"""A heading, or a heading and ``"right"`` for numbers."""


class _Console(Console):
    """A console that leaves it to the caller what a reader that went away means."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def make_console(*, stderr: bool = False) -> Console:
    """Return a console that prints what it is given: no markup, no emoji codes, no guessed highlighting."""
    return _Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)


def emit_json(value: object) -> None:
    """Write ``value`` as the one JSON object of this run: indented on a terminal, one line else.

    Pure ASCII, so that no name from evidence can reach a terminal, and lone surrogates survive.
    """
    indent = 2 if sys.stdout.isatty() else None
    text = json.dumps(to_json(value), indent=indent, ensure_ascii=True, allow_nan=False)
    with writing_results():
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def emit_lines(values: Iterable[object]) -> int:
    """Write each value as one line of JSON as soon as it is there; return how many there were."""
    written = 0
    for value in values:
        text = json.dumps(to_json(value), ensure_ascii=True, allow_nan=False)
        with writing_results():
            sys.stdout.write(text + "\n")
        written += 1
    with writing_results():
        sys.stdout.flush()
    return written


def make_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table that reads well without colour; cells are shown as they are, so pass names through ``visible``."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", expand=False)
    for column in columns:
        heading, side = (column, "left") if isinstance(column, str) else column
        table.add_column(heading, justify="right" if side == "right" else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table
