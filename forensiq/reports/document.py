"""The form of a report that people read, before it is HTML or PDF: sections of paragraphs, fields, tables, pictures.

Both renderers walk the same tree, so a PDF and a web page of one report say the same. Every text in it is visible
already (:func:`forensiq.reports.plain.visible`); a renderer escapes it for its own markup and changes nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from forensiq.reports.verdict import Tone

__all__ = ["Block", "Cell", "Document", "Field", "Fields", "Kind", "Paragraph", "Picture", "Section", "Table"]


class Kind(Enum):
    """How a text is set: running text, typewriter face (digests, paths), or the reason of a missing value."""

    TEXT = "text"
    CODE = "code"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text and how it is set."""

    text: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True)
class Field:
    """A label and its values, one below the other."""

    label: str
    values: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """Labels and values in two columns."""

    rows: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings, which are repeated on every page. ``widths`` are shares of the line."""

    columns: tuple[str, ...]
    widths: tuple[int, ...]
    rows: tuple[tuple[Cell, ...], ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; ``strong`` for what must not be overlooked."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing (SVG, made here, with no text from evidence in it), what it says in words, and a caption."""

    svg: str
    alternative: str
    caption: str


Block = Fields | Table | Paragraph | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """A numbered part; ``level`` 1 or 2."""

    title: str
    blocks: tuple[Block, ...]
    level: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report. ``summary`` fills the first page, behind the verdict; ``running`` stands on every page."""

    title: str
    subtitle: str
    notice: str
    headline: str
    sentence: str
    tone: Tone
    summary: tuple[Block, ...]
    sections: tuple[Section, ...]
    running: str
    made: str
