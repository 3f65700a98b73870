"""Small makers for the parts of a document: every text goes through the one escape on its way in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from forensiq.model.finding import Finding
from forensiq.model.jsonable import Json
from forensiq.reports.document import Block, Cell, Field, Fields, Kind, Paragraph, Table
from forensiq.reports.phrases import NOT_RECORDED, humanise, value
from forensiq.reports.plain import visible

__all__ = [
    "LISTED",
    "brief",
    "code",
    "digest",
    "field",
    "fields",
    "finding_blocks",
    "given",
    "mapping_fields",
    "missing",
    "moment",
    "table",
    "text",
]

_DIGEST = re.compile("[0-9a-f]{64,128}")

LISTED = 1000
"""So many rows a table has; what is more is counted, and stands in the attached records."""


def text(words: object, limit: int = 800) -> Cell:
    """Return running text; numbers and yes/no in words."""
    return Cell(visible(words, limit) if isinstance(words, str) else value(words))


def code(words: str, limit: int = 800) -> Cell:
    """Return text in a typewriter face."""
    return Cell(visible(words, limit), Kind.CODE)


def missing(reason: str = NOT_RECORDED) -> Cell:
    """Return the reason why there is no value."""
    return Cell(visible(reason, 600), Kind.MISSING)


def given(words: object, reason: str = "not given", limit: int = 800) -> Cell:
    """Return a value, or why there is none."""
    return missing(reason) if words is None or words == "" else text(words, limit)


def digest(words: str | None, reason: str = NOT_RECORDED) -> Cell:
    """Return a digest, or why there is none."""
    return code(words, 200) if words else missing(reason)


def moment(words: str | None, zone: str = " UTC") -> Cell:
    """Return a time to the second; the records have it exactly. ``zone`` is left out where a heading says it."""
    if not words:
        return missing()
    date, _, clock = words.partition("T")
    plain = len(date) == 10 and clock.endswith("Z") and words.isascii()
    return text(f"{date} {clock[:8]}{zone}" if plain else words, 60)


def field(label: str, *values: Cell) -> Field:
    """Return a label with its values."""
    return Field(visible(label, 200), values or (missing(),))


def fields(rows: Iterable[Field]) -> Fields:
    """Return labels and values."""
    return Fields(tuple(rows))


def table(columns: Sequence[str], widths: Sequence[int], rows: Sequence[tuple[Cell, ...]], more: str = "") -> Table:
    """Return a table of at most :data:`LISTED` rows that says what it leaves out."""
    left = len(rows) - LISTED
    remark = f"{left:,} more rows are not printed here; {more or 'the attached records hold all'}." if left > 0 else ""
    return Table(tuple(columns), tuple(widths), tuple(rows[:LISTED]), remark)


def mapping_fields(mapping: Mapping[str, object]) -> Fields:
    """Return free facts of a record."""
    return fields(Field(humanise(key), (given(item, NOT_RECORDED),)) for key, item in mapping.items())


def brief(mapping: Mapping[str, Json], limit: int = 400) -> str:
    """Return free values in one line: ``item ITEM-1; verdict verified``; of a digest the first 16 digits."""
    return visible(
        "; ".join(
            f"{key.replace('_', ' ')} {_short(item)}" for key, item in mapping.items() if item not in ("", [], {})
        ),
        limit,
    )


def _short(item: Json) -> str:
    if isinstance(item, dict):
        kept = [(key, each) for key, each in item.items() if each not in ("", [], {})]
        return "(" + ", ".join(f"{key} {_short(each)}" for key, each in kept[:8]) + ")"
    if isinstance(item, list):
        return ", ".join(_short(each) for each in item[:8]) + (" …" if len(item) > 8 else "")
    if isinstance(item, str) and _DIGEST.fullmatch(item):
        return f"{item[:16]}…"
    return "none" if item is None else "yes" if item is True else "no" if item is False else str(item)


def finding_blocks(findings: Sequence[Finding], none: str) -> list[Block]:
    """Return findings as a table, or a sentence that there are none."""
    if not findings:
        return [Paragraph(none)]
    rows = [
        (
            text(each.severity.value),
            text(each.message, 1000),
            text("; ".join(part for part in (each.where, each.segment) if part) or "—", 400),
            text(f"{value(each.expected)} / {value(each.found)}")
            if each.expected is not None or each.found is not None
            else text("—"),
        )
        for each in findings
    ]
    return [table(("Weight", "Finding", "Where", "Expected / found"), (2, 8, 5, 5), rows)]
