"""The form of a report that people read, before it is HTML or PDF: sections of paragraphs, fields, tables, pictures.

Both renderers walk the same tree, so a PDF and a web page of one report say the same. Every text in it is visible
already (:func:`forensiq.reports.plain.visible`); a renderer escapes it for its own markup and changes nothing else.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from forensiq.reports.verdict import Tone

__all__ = ["Block", "Cell", "Document", "Field", "Fields", "Kind", "Paragraph", "Picture", "Section", "Table"]


class Kind(Enum):
    """How a text is set: running text, typewriter face (digests, paths), or the reason of a missing value."""

    TEXT = "text"
    CODE = "code"
    MISSING = "missing"


class Cell(Struct, frozen=True):
    """A text and how it is set."""

    text: str
    kind: Kind = Kind.TEXT


class Field(Struct, frozen=True):
    """A label and its values, one below the other."""

    label: str
    values: tuple[Cell, ...]


class Fields(Struct, frozen=True):
    """Labels and values in two columns."""

    rows: tuple[Field, ...]


class Table(Struct, frozen=True):
    """Rows under headings, which are repeated on every page. ``widths`` are shares of the line."""

    columns: tuple[str, ...]
    widths: tuple[int, ...]
    rows: tuple[tuple[Cell, ...], ...]
    remark: str = ""


class Paragraph(Struct, frozen=True):
    """Running text; ``strong`` for what must not be overlooked."""

    text: str
    strong: bool = False


class Picture(Struct, frozen=True):
    """A drawing (SVG, made here, with no text from evidence in it), what it says in words, and a caption."""

    svg: str
    alternative: str
    caption: str


Block = Fields | Table | Paragraph | Picture


class Section(Struct, frozen=True):
    """A numbered part; ``level`` 1 or 2."""

    title: str
    blocks: tuple[Block, ...]
    level: int = 1


class Document(Struct, frozen=True):
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
