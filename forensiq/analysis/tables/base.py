"""What every parser of a partition table returns."""

from __future__ import annotations

from msgspec import Struct

from forensiq.model.finding import Cause, Finding, Severity

__all__ = ["ParsedTable", "Slot", "TableArea", "note", "warn"]


class Slot(Struct, frozen=True):
    """One entry of a table; ``start`` and ``count`` in sectors of the table's unit, from the start of the medium."""

    number: int
    start: int
    count: int
    type: str
    type_code: str
    name: str | None = None
    uuid: str | None = None
    flags: tuple[str, ...] = ()
    is_frame: bool = False
    """An extended partition: only holds others."""


class TableArea(Struct, frozen=True):
    """Sectors that a table itself occupies."""

    start: int
    count: int
    what: str


class ParsedTable(Struct, frozen=True):
    """A table: its scheme, the unit of its numbers in bytes, entries, the sectors it occupies, and what is wrong."""

    scheme: str
    sector_size: int
    slots: tuple[Slot, ...]
    areas: tuple[TableArea, ...]
    findings: tuple[Finding, ...] = ()


def warn(code: str, message: str, **facts: str | None) -> Finding:
    """Return a warning about the structure of a table."""
    return Finding(Severity.WARNING, Cause.METADATA, code, message, **facts)  # type: ignore[arg-type]


def note(code: str, message: str, where: str | None = None) -> Finding:
    """Return a remark about a table."""
    return Finding(Severity.INFO, Cause.NOTE, code, message, where=where)
