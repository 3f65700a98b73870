"""The section of a report on what was found inside an item."""

from __future__ import annotations

from collections.abc import Iterator

from forensiq.model.report import Examination, ExaminedFile
from forensiq.reports.document import Block, Paragraph, Section
from forensiq.reports.phrases import NOT_RECORDED, size
from forensiq.reports.pieces import code, digest, finding_blocks, given, missing, table, text
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
        rows = [
            (
                text("—" if each.index is None else each.index),
                text(f"{each.offset:,}"),
                text(size(each.length)),
                given(each.type, each.unavailable.get("type", NOT_RECORDED)),
                given(each.file_system, each.unavailable.get("file_system", NOT_RECORDED)),
                given(each.label, each.unavailable.get("label", "none")),
                given(each.encryption, each.unavailable.get("encryption", NOT_RECORDED)),
                text("—" if each.files is None else f"{each.files:,} / {each.deleted or 0:,}"),
            )
            for each in examination.volumes
        ]
        columns = ("No.", "Offset", "Size", "Type", "File system", "Label", "Encryption", "Files / deleted")
        yield table(columns, (1, 4, 5, 4, 3, 3, 3, 3), rows)
    else:
        yield Paragraph("No partitions or volumes are on record.")
    if examination.affected is None:
        reason = visible(examination.affected_missing, 300)
        yield Paragraph(f"Files affected by unreadable or damaged sectors: {reason}.")
    elif examination.affected:
        yield Paragraph("Files that unreadable or damaged sectors fall in:", strong=True)
        yield _files(examination.affected)
    else:
        yield Paragraph("No file is known to be affected by unreadable or damaged sectors.")
    if examination.files:
        yield Paragraph("Files that findings are about:")
        yield _files(examination.files)
    yield from finding_blocks(examination.findings, "The examination left no findings.")


def _files(files: tuple[ExaminedFile, ...]) -> Block:
    rows = [
        (
            code(each.path),
            given(each.inode, NOT_RECORDED),
            text("—" if each.offset is None else f"{each.offset:,}"),
            digest(each.sha256),
            given(each.confidence, "not rated") if each.confidence or not each.note else missing("not rated"),
            text(each.note or "—", 400),
        )
        for each in files
    ]
    return table(("File", "Inode", "Offset", "SHA-256", "Confidence", "Note"), (7, 2, 3, 9, 3, 3), rows)
