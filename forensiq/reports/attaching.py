"""How a file of a case becomes an attachment of a report: the same for the same file, so that a report can be made
again from what it carries."""

from __future__ import annotations

from forensiq.model.report import AttachedFile, CaseReport, ReportFile

__all__ = ["attached_files", "attachment"]

_MEDIA_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".toml": "application/toml",
    ".map": "text/plain",
    ".txt": "text/plain",
    ".csv": "text/csv",
}


def attachment(file: ReportFile, data: bytes) -> AttachedFile:
    """Return ``data`` as the attachment that ``file`` speaks of; ``ValueError`` where it speaks of none."""
    if file.attached_as is None:
        raise ValueError("the report does not say that this file is attached")
    ending = "." + file.attached_as.rpartition(".")[2].lower()
    return AttachedFile(file.attached_as, _MEDIA_TYPES.get(ending, "application/octet-stream"), file.role, data)


def attached_files(report: CaseReport) -> dict[str, ReportFile]:
    """Return the files that the report says are attached, by the name of the attachment."""
    return {file.attached_as: file for file in report.files if file.attached_as is not None}
