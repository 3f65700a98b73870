"""The section of a report on what was found inside an item."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from forensiq.model.report import Examination, ExaminedFile
from forensiq.reports.document import Block, Cell, Paragraph, Section
from forensiq.reports.phrases import NOT_RECORDED, count, size
from forensiq.reports.pieces import code, digest, finding_blocks, given, table, text
from forensiq.reports.plain import visible

__all__ = ["examination_section"]


def examination_section(name: str, examination: Examination | None) -> Section:
    """Return the section; it says so where nothing was examined."""
    title = f"{name}: examination"
    if examination is None:
        return Section(title, (Paragraph("The content was not examined for this report."),), 2)
    return Section(title, tuple(_blocks(examination)), 2)


def _blocks(examination: Examination) -> Iterator[Block]:
    if examination.volumes:
        counted = any(each.files is not None for each in examination.volumes)
        rows = [
            (
                text("—" if each.index is None else each.index),
                text(f"{each.offset:,}"),
                text(size(each.length)),
                given(each.type, each.unavailable.get("type", NOT_RECORDED)),
                given(each.file_system, each.unavailable.get("file_system", NOT_RECORDED)),
                given(each.label, each.unavailable.get("label", "none")),
                given(each.encryption, each.unavailable.get("encryption", NOT_RECORDED)),
                *((text("—" if each.files is None else f"{each.files:,} / {each.deleted or 0:,}"),) if counted else ()),
            )
            for each in examination.volumes
        ]
        columns = ("No.", "Offset", "Size", "Type", "File system", "Label", "Encryption", "Files / deleted")
        widths = (1, 4, 5, 4, 3, 3, 3, 3)
        yield table(columns[: 7 + counted], widths[: 7 + counted], rows)
    else:
        yield Paragraph("No partitions or volumes are on record.")
    if examination.affected is None:
        reason = visible(examination.affected_missing, 300)
        yield Paragraph(f"Files affected by unreadable or damaged sectors: {reason}.")
    elif examination.affected:
        known = len(examination.affected) + examination.affected_not_listed
        words = f"Unreadable or damaged sectors fall in {count(known, 'file')}"
        if examination.affected_not_listed:
            words += f"; the {len(examination.affected):,} that lost most are in the record, forensiq impact lists all"
        yield Paragraph(f"{words}:", strong=True)
        yield _files(examination.affected)
    else:
        yield Paragraph("No file is known to be affected by unreadable or damaged sectors.")
    if examination.files:
        yield Paragraph("Files that findings are about:")
        yield _files(examination.files)
    yield from finding_blocks(examination.findings, "The examination left no findings.")


_COLUMNS: tuple[tuple[str, int, Callable[[ExaminedFile], object]], ...] = (
    ("Inode", 2, lambda each: each.inode),
    ("Offset", 3, lambda each: each.offset),
    ("SHA-256", 9, lambda each: each.sha256),
    ("Confidence", 3, lambda each: each.confidence),
    ("Note", 9, lambda each: each.note),
)


def _files(files: tuple[ExaminedFile, ...]) -> Block:
    """Return a table of files without the columns in which nothing stands."""
    shown = [column for column in _COLUMNS if any(column[2](each) not in (None, "") for each in files)]
    rows = [(code(each.path), *(_cell(title, value(each)) for title, _, value in shown)) for each in files]
    return table(("File", *(title for title, _, _ in shown)), (7, *(width for _, width, _ in shown)), rows)


def _cell(title: str, words: object) -> Cell:
    if title == "SHA-256":
        return digest(str(words) if words else None)
    if title == "Confidence":
        return given(words, "not rated")
    return text("—" if words in (None, "") else f"{words:,}" if isinstance(words, int) else str(words), 400)
