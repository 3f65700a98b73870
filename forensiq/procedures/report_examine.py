"""Looks at the partition tables of the images that a report speaks of; reads nothing else of them.

Files are neither counted nor listed here: that can take hours, and ``ls``, ``hash`` and ``impact`` say more.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from forensiq.errors import ForensiqError
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.records import AcquisitionRecord, AffectedFile
from forensiq.model.report import Examination, ExaminedFile, ExaminedVolume, ItemReport
from forensiq.procedures.partitions import PartitionRow, image_reference, list_partitions
from forensiq.reports.case_verdict import last_acquisition

__all__ = ["with_examination"]


def with_examination(item: ItemReport, root: Path) -> ItemReport:
    """Return ``item`` with what its image's tables tell; as it is where there is no image at hand.

    ``root`` is the case folder. An image that cannot be read is a finding of the examination.
    """
    acquired = last_acquisition(item)
    if acquired is None or acquired.record.image is None or not acquired.record.image.segments:
        return item
    first = Path(acquired.record.image.segments[0].path).name
    place = (root / acquired.path).parent / first
    if not place.is_file() or place.is_symlink():
        return item
    try:
        listing = list_partitions(image_reference(place))
    except ForensiqError as error:
        finding = Finding(Severity.WARNING, Cause.NOTE, "report.not_examined", error.message, where=first)
        return replace(item, examination=Examination(first, findings=(finding,)))
    volumes = tuple(_volume(row) for row in listing.rows if row.listable is not None or row.filesystem)
    findings = [*listing.findings, *(finding for row in listing.rows for finding in row.findings)]
    return replace(
        item,
        examination=Examination(
            first,
            volumes,
            affected=_affected(acquired.record),
            affected_not_listed=acquired.record.impact.files_not_listed if acquired.record.impact is not None else 0,
            affected_missing="not looked for in this report (forensiq impact lists them)",
            findings=tuple(findings),
        ),
    )


def _affected(record: AcquisitionRecord) -> tuple[ExaminedFile, ...] | None:
    if not record.unreadable:
        return ()
    if record.impact is None:
        return None
    return tuple(
        ExaminedFile(each.path, str(each.inode), None, None, None, _loss(each)) for each in record.impact.files
    )


def _loss(file: AffectedFile) -> str:
    what = f"{file.bytes:,} bytes of its content" if file.kind == "content" else f"its {file.kind}"
    part = f" ({100 * file.share:.1f} %)" if file.kind == "content" and file.share is not None else ""
    return f"partition {file.partition}: {what}{part} could not be read"


def _volume(row: PartitionRow) -> ExaminedVolume:
    unavailable = {
        "file_system": row.reason or "none recognised",
        "label": "none",
        "encryption": "none recognised",
    }
    return ExaminedVolume(
        row.index, row.offset, row.length, row.type or None, row.filesystem or row.container, row.label, row.encryption,
        unavailable=unavailable,
    )  # fmt: skip
