"""A page of plain text: at most 100 columns, a label in front, its values behind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from forensiq.reports.plain import display_width, wrap

__all__ = ["TextPage"]

WIDTH = 100
_LABEL = 15


class TextPage:
    """Collects lines; every text given to it is visible already (:func:`forensiq.reports.plain.visible`)."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def title(self, text: str) -> None:
        """A line with a rule of ``=`` below."""
        self._lines += [text, "=" * min(WIDTH, display_width(text)), ""]

    def heading(self, text: str) -> None:
        """A part of the page."""
        if self._lines and self._lines[-1]:
            self._lines.append("")
        self._lines += [text, "-" * min(WIDTH, display_width(text))]

    def paragraph(self, text: str, indent: int = 0) -> None:
        """Running text."""
        self._lines += [" " * indent + line for line in wrap(text, WIDTH - indent)]

    def blank(self) -> None:
        """An empty line."""
        self._lines.append("")

    def field(self, label: str, *values: str) -> None:
        """A label and its values, one below the other; continued lines stand under the value."""
        lead = f"{label:<{_LABEL}}"
        if len(lead) > _LABEL:
            self._lines.append(label)
            lead = " " * _LABEL
        for text in values:
            for line in wrap(text, WIDTH - _LABEL):
                self._lines.append(f"{lead}{line}".rstrip())
                lead = " " * _LABEL

    def table(self, rows: Iterable[Sequence[str]]) -> None:
        """Rows under the value column; columns are aligned, the last one is wrapped."""
        kept = [tuple(row) for row in rows]
        widths = [max(display_width(row[index]) for row in kept) for index in range(len(kept[0]) - 1)] if kept else []
        before = " " * _LABEL
        for row in kept:
            cells = [cell + " " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=False)]
            lead = before + "".join(f"{cell}  " for cell in cells)
            room = WIDTH - display_width(lead)
            if room < 20:
                self._lines += [before + line for line in wrap("  ".join(row), WIDTH - _LABEL)]
                continue
            first, *rest = wrap(row[-1], room)
            self._lines.append(f"{lead}{first}".rstrip())
            self._lines += [" " * display_width(lead) + line for line in rest]

    def text(self) -> str:
        """Return the page, with a line end at its end."""
        return "\n".join(line.rstrip() for line in self._lines) + "\n"
