"""One run of a command: how it talks, how it is stopped. Every command gets one as its first argument."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from rich.console import Console, RenderableType
from rich.text import Text

from forensiq.cli.output import Column, emit_json, emit_lines, make_console, make_table
from forensiq.cli.progress_view import Counters, watch
from forensiq.cli.stop import stop_request
from forensiq.cli.streams import forget_stderr, forget_stdout, writing_results
from forensiq.cli.text import printable

if TYPE_CHECKING:
    from forensiq.procedures.custody_step import CustodyStep

__all__ = ["OutputMode", "Run"]

_LEAST_ROOM = 20


class OutputMode(Struct):
    """How results and failures are told; known before the options are parsed, corrected after."""

    json: bool = False


class Run:
    """What a command needs besides its own arguments.

    Results go to stdout: :meth:`result` and :meth:`results` in JSON mode, :meth:`print` and :meth:`table` else.
    :meth:`note` and :meth:`warn` go to stderr. ``step`` is the step in the ledger of the
    case that ``--case`` names, ``None`` without one.
    """

    def __init__(self, *, json: bool, quiet: bool, progress: str) -> None:
        self.json = json
        self.quiet = quiet
        self.progress_mode = progress
        self.step: CustodyStep | None = None
        self._stop: threading.Event | None = None
        self._watched = False
        self._out: Console | None = None
        self._err: Console | None = None

    @property
    def console(self) -> Console:
        """The console on stdout."""
        if self._out is None:
            self._out = make_console()
        return self._out

    @property
    def error_console(self) -> Console:
        """The console on stderr."""
        if self._err is None:
            self._err = make_console(stderr=True)
        return self._err

    def result(self, value: object) -> None:
        """Write the one JSON object of this run (records and plain data both)."""
        emit_json(value)

    def results(self, values: Iterable[object]) -> int:
        """Write JSON Lines; return how many."""
        return emit_lines(values)

    def print(self, text: RenderableType = "", *, style: str | None = None) -> None:
        """Print for people on stdout; control characters of ``text`` are escaped, lines are not broken.

        A reader that went away ends a listing, but never work that is under way.
        """
        shown = printable(text) if isinstance(text, str) else text
        try:
            with writing_results():
                self.console.print(shown, style=style, soft_wrap=isinstance(text, str))
        except BrokenPipeError:
            if self._stop is None:
                raise
            forget_stdout()

    def field(self, label: str, text: str, *, indent: int = 2, room: int = 13, style: str | None = None) -> None:
        """Print ``label`` and ``text`` beside it; on a terminal, text that is too long goes on below its beginning.

        ``label`` has ``room`` columns. In a pipe a field is one line, so that scripts find it.
        """
        self._hanging(" " * indent + f"{label:<{room}}", text, style)

    def paragraph(self, text: str, *, style: str | None = None) -> None:
        """Print a sentence; on a terminal it is broken between words."""
        self._hanging("  ", text, style)

    def _hanging(self, head: str, text: str, style: str | None) -> None:
        room = self.console.width - len(head)
        if not self.console.is_terminal or room < _LEAST_ROOM:
            self.print(head + text, style=style)
            return
        lines = Text(printable(text)).wrap(self.console, room)
        for number, line in enumerate(lines):
            self.print((" " * len(head) if number else head) + line.plain.rstrip(), style=style)

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
        """Print a table for people on stdout."""
        self.print(make_table(columns, rows))

    def note(self, text: str) -> None:
        """Say something in passing on stderr; nothing with ``--quiet``."""
        if not self.quiet:
            self._say(printable(text), None)

    def warn(self, text: str) -> None:
        """Say on stderr what a person must know, ``--quiet`` or not."""
        self._say(f"Warning: {printable(text)}", "yellow")

    def _say(self, text: str, style: str | None) -> None:
        try:
            self.error_console.print(text, style=style, soft_wrap=True)
        except OSError:
            forget_stderr()

    def record(self, *files: Path, **facts: object) -> None:
        """Add facts to the end of the step, and bind files that lie in the case; nothing without a case."""
        if self.step is not None:
            self.step.result(**facts)  # type: ignore[arg-type]
            self.step.file(*files)

    @contextmanager
    def watch(self, counters: Counters, *, sector_size: int | None = None) -> Iterator[None]:
        """Inside, show ``counters`` on stderr as the options say; unreadable areas in sectors of ``sector_size``."""
        mode = "none" if self.quiet else self.progress_mode
        self._watched = True
        try:
            with watch(counters, mode, self.error_console, sector_size, self._stop):
                yield
        finally:
            self._watched = False

    @contextmanager
    def stoppable(self) -> Iterator[threading.Event]:
        """Inside, Ctrl-C and SIGTERM set the event that is given instead of interrupting."""
        try:
            with stop_request(lambda: self.quiet or self._watched) as self._stop:
                yield self._stop
        finally:
            self._stop = None
