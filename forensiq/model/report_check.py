"""What making a report gave, and what checking one found."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

__all__ = ["CheckState", "ReportCheck", "ReportMade", "ReportVerification"]


class CheckState(Enum):
    """How one check of a report ended. ``NOT_CHECKED`` is no success: the detail says why."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not_checked"


class ReportCheck(Struct, frozen=True):
    """One check: a stable ``code`` (``signature.intact``), how it ended, and a sentence."""

    code: str
    state: CheckState
    detail: str


class ReportMade(Struct, frozen=True):
    """A report that was written. ``signatures`` says in words who signed; ``files`` are all files written."""

    path: str
    format: str
    size: int
    sha256: str
    headline: str
    sentence: str
    signatures: tuple[str, ...]
    files: tuple[str, ...]
    not_drawn: tuple[str, ...]
    redacted: bool
    schema: str = "forensiq/report/1"


class ReportVerification(Struct, frozen=True):
    """What the check of a report found.

    ``verdict``: ``intact``, ``not_signed`` (consistent, but anybody could have written it), ``evidence_differs`` (the
    report holds, an image it speaks of does not), or ``altered``. ``headline`` is worked out again from the records.
    """

    report: str
    format: str
    sha256: str
    verdict: str
    summary: str
    trust: str
    headline: str
    checks: tuple[ReportCheck, ...]
    exit_code: int
    schema: str = "forensiq/report-verification/1"
