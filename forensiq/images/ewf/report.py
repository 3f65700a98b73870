"""Collects findings on the structure of an image, with a bound: a hostile file must not fill the memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Finding, Severity

__all__ = ["FindingList"]

_LIMIT_PER_CODE = 1000


class FindingList:
    """A list of findings about the segments of one image; not shared between threads."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._findings: list[Finding] = []
        self._counts: Counter[str] = Counter()

    def add(
        self,
        severity: Severity,
        cause: Cause,
        code: str,
        message: str,
        *,
        segment: int | None = None,
        at: int | None = None,
        expected: object = None,
        found: object = None,
        media: Extent | None = None,
    ) -> None:
        """Add a finding; ``segment`` is the index of the file, ``at`` a byte in it."""
        self._counts[code] += 1
        if self._counts[code] > _LIMIT_PER_CODE:
            return
        name = None if segment is None else self._names[segment]
        finding = Finding(
            severity,
            cause,
            code,
            message,
            where=None if name is None else name if at is None else f"{name}, byte {at:,}",
            expected=None if expected is None else str(expected),
            found=None if found is None else str(found),
            segment=name,
            file_offset=at,
            media=media,
        )
        if finding not in self._findings[-8:]:
            self._findings.append(finding)

    def error(
        self,
        code: str,
        message: str,
        *,
        segment: int | None = None,
        at: int | None = None,
        expected: object = None,
        found: object = None,
        cause: Cause = Cause.METADATA,
        media: Extent | None = None,
    ) -> None:
        """Add an error, of the metadata unless said otherwise."""
        self.add(
            Severity.ERROR, cause, code, message, segment=segment, at=at, expected=expected, found=found, media=media
        )

    def note(self, code: str, message: str, *, segment: int | None = None, at: int | None = None) -> None:
        """Add something remarkable that is not wrong."""
        self.add(Severity.INFO, Cause.NOTE, code, message, segment=segment, at=at)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found; where one kind was found too often, its number stands at the end."""
        more = [
            Finding(
                Severity.ERROR,
                Cause.METADATA,
                "ewf.findings.more",
                f"{count - _LIMIT_PER_CODE:,} more findings of {code}",
            )
            for code, count in self._counts.items()
            if count > _LIMIT_PER_CODE
        ]
        return (*self._findings, *more)
