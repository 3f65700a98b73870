"""Compares the images and files that a report speaks of with what is in the case folder now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from forensiq.custody.case_folder import CaseFolder, hash_file, inside
from forensiq.errors import CustodyError
from forensiq.model.report import CaseReport
from forensiq.model.report_check import CheckState, ReportCheck
from forensiq.procedures.attending import Attendant
from forensiq.reports.case_verdict import last_acquisition

__all__ = ["case_around", "check_files_at_hand"]

_LEVELS = 3


def case_around(report: Path) -> Path | None:
    """Return the case folder that a report lies in, if it lies in one."""
    for folder in list(report.absolute().parents)[:_LEVELS]:
        if (folder / "ledger.jsonl").is_file():
            return folder
    return None


def check_files_at_hand(report: CaseReport, case: Path, attendant: Attendant) -> Iterator[ReportCheck]:
    """Yield a check for every image file and every other file of the report.

    A file that is not there, or that has no digest in its record, was not checked; only another content has failed.
    """
    root = CaseFolder(case).root
    wanted = list(_wanted(report))
    advance = attendant.counting(sum(_size(root, path) for _, path, digest in wanted if digest is not None))
    for code, path, digest in wanted:
        if digest is None:
            yield ReportCheck(code, CheckState.NOT_CHECKED, f"{path}: the record holds no digest of this file")
            continue
        try:
            found = hash_file(root, path, advance)
        except (CustodyError, OSError) as error:
            yield ReportCheck(code, CheckState.NOT_CHECKED, f"{path} is not at hand: {error}")
            continue
        same = found.sha256 == digest
        words = "unchanged" if same else f"changed: SHA-256 {found.sha256} instead of {digest}"
        yield ReportCheck(code, CheckState.PASSED if same else CheckState.FAILED, f"{path}: {words}")


def _size(root: Path, path: str) -> int:
    try:
        return inside(root, path).lstat().st_size
    except (CustodyError, OSError, ValueError):
        return 0


def _wanted(report: CaseReport) -> Iterator[tuple[str, str, str | None]]:
    for item in report.items:
        acquired = last_acquisition(item)
        if acquired is not None and acquired.record.image is not None:
            folder = acquired.path.rpartition("/")[0]
            for segment in acquired.record.image.segments:
                name = segment.path.rpartition("/")[2]
                yield "image.digest", f"{folder}/{name}" if folder else name, segment.sha256
    for file in report.files:
        if file.role != "ledger":  # it has grown since, and was checked as attached
            yield "file.digest", file.path, file.sha256
