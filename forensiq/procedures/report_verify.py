"""Checks a report that may come from anybody, years later: signature, attachments, ledger, records, pages, images.

Steps, as in the code: (1) the signatures; (2) the report inside is read; (3) each attached file against the digest that
the report gives; (4) what the report shows against the attached records, maps, hand-overs and case file; (5) the
ledger: every line, signature and link, and its head, entries and signers against the report's, its last writer against
who signed; (6) the files that the
ledger binds; (7) the pages are made again from the data and compared; (8) the images and files that the report speaks
of, where they are at hand.

No verdict in the file is believed: the headline is worked out again from the records. What was not checked is listed as
not checked, never as passed.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from forensiq.custody.audit import audit_ledger
from forensiq.custody.ledger import Ledger
from forensiq.custody.package import Bindings
from forensiq.custody.trust import trusted_keys
from forensiq.errors import CustodyError, ExitCode, RecordFormatError
from forensiq.model.finding import Severity
from forensiq.model.ledger import LedgerEntry, LedgerReport
from forensiq.model.report import AttachedFile, CaseReport
from forensiq.model.report_check import CheckState, ReportCheck, ReportVerification
from forensiq.procedures.attending import Attendant
from forensiq.procedures.environment import tool_facts
from forensiq.procedures.report_files import case_around, check_files_at_hand
from forensiq.procedures.report_shown import ShownEvents, check_shown
from forensiq.procedures.report_signatures import check_signatures, same_hand
from forensiq.reports.attaching import attached_files
from forensiq.reports.case_verdict import case_verdict
from forensiq.reports.embed import package_text
from forensiq.reports.html import render_html
from forensiq.reports.pdf import render_pdf, typesetter
from forensiq.reports.reading import ReadReport, read_report
from forensiq.streams.progress import Progress

__all__ = ["verify_report"]

_LARGEST_REPORT = 512 << 20
_PASSED, _FAILED, _NOT_CHECKED = CheckState.PASSED, CheckState.FAILED, CheckState.NOT_CHECKED


def verify_report(
    path: Path,
    *,
    case: Path | None = None,
    images: bool = True,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> ReportVerification:
    """Check the report in ``path``; see the module for the steps.

    ``case`` is the case folder with the files that the report speaks of (default: the folder around the report, if
    there is one). ``images`` says whether image files are hashed; a set ``stop`` ends the check with
    :class:`~forensiq.errors.Interrupted`. :class:`~forensiq.errors.RecordFormatError` where
    the file is no report of ours; everything else is a check that failed.
    """
    data = _read(path)
    checker = _Checker(path, data)
    checks = list(checker.run(case, images, Attendant(progress, stop)))
    code, verdict = _verdict(checks, checker.signatures.signed)
    return ReportVerification(
        report=str(path),
        format=checker.read.format,
        sha256=hashlib.sha256(data).hexdigest(),
        verdict=verdict,
        summary=_summary(verdict, checks),
        trust=checker.signatures.trust,
        headline=case_verdict(checker.read.package.report).headline,
        checks=tuple(checks),
        exit_code=int(code),
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_REPORT + 1)
    except OSError as error:
        raise RecordFormatError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
    if len(data) > _LARGEST_REPORT:
        raise RecordFormatError(f"{path} is too large to be a report", path=str(path))
    return data


def _verdict(checks: list[ReportCheck], signed: bool) -> tuple[ExitCode, str]:
    failed = {check.code for check in checks if check.state is _FAILED}
    if failed - {"image.digest"}:
        return ExitCode.CUSTODY, "altered"
    if failed:
        return ExitCode.VERIFICATION, "evidence_differs"
    return (ExitCode.OK, "intact") if signed else (ExitCode.NO_REFERENCE, "not_signed")


def _summary(verdict: str, checks: list[ReportCheck]) -> str:
    count = {state: sum(check.state is state for check in checks) for state in CheckState}
    words = {
        "intact": "the report is what was signed, and its parts agree",
        "not_signed": "the parts of the report agree, but nobody signed it: anybody could have written it",
        "evidence_differs": "the report holds, but an image is not the one that it speaks of",
        "altered": "the report, or a part of it, is not what was signed",
    }[verdict]
    return f"{words} ({count[_PASSED]} checks passed, {count[_FAILED]} failed, {count[_NOT_CHECKED]} could not be made)"


class _Checker:
    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        self._data = data
        self.read: ReadReport = read_report(data)
        self.signatures = check_signatures(path, data, self.read.format)

    @property
    def _report(self) -> CaseReport:
        return self.read.package.report

    def run(self, case: Path | None, images: bool, attendant: Attendant) -> Iterator[ReportCheck]:
        # 1. Signatures.
        yield from self.signatures.checks
        # 2. The report was read strictly already; 3. its attachments.
        yield ReportCheck("report.readable", _PASSED, f"a {self.read.format} report, every field of the right kind")
        yield from self._attachments()
        # 4. What is shown.
        yield from check_shown(self._report, self._by_path())
        # 5. Ledger, 6. what it binds.
        yield from self._ledger()
        # 7. Pages.
        yield self._pages()
        # 8. Files at hand.
        at_hand = case or case_around(self._path)
        if images and at_hand is not None:
            yield from check_files_at_hand(self._report, at_hand, attendant)
        else:
            why = "the case folder is not at hand" if images else "not asked for"
            yield ReportCheck("image.digest", _NOT_CHECKED, f"images and files of the case: {why}")

    def _attachments(self) -> Iterator[ReportCheck]:
        spoken_of = attached_files(self._report)
        for name in self.read.missing:
            yield ReportCheck("attachment.missing", _FAILED, f"{name} is not there")
        for each in self.read.package.attachments:
            file = spoken_of.get(each.name)
            if file is None:
                yield ReportCheck("attachment.unknown", _FAILED, f"{each.name}: the report does not speak of it")
            elif len(each.data) != file.size or hashlib.sha256(each.data).hexdigest() != file.sha256:
                yield ReportCheck("attachment.digest", _FAILED, f"{each.name} is not the file that was attached")
            else:
                yield ReportCheck("attachment.digest", _PASSED, f"{each.name}: SHA-256 {file.sha256}")
        if not self.read.package.attachments:
            why = "a redacted copy carries none" if self._report.redaction else "the report carries none"
            yield ReportCheck("attachment.digest", _NOT_CHECKED, f"no attachments: {why}")

    def _by_path(self) -> dict[str, AttachedFile]:
        spoken_of = attached_files(self._report)
        there = self.read.package.attachments
        return {spoken_of[each.name].path: each for each in there if each.name in spoken_of}

    def _ledger(self) -> Iterator[ReportCheck]:
        facts = self._report.ledger
        attached = self._by_path().get(facts.path) if facts else None
        if facts is None or attached is None:
            yield ReportCheck("ledger.intact", _NOT_CHECKED, "the ledger is not attached")
            return
        bindings, shown, last = Bindings(), ShownEvents(facts), list[LedgerEntry]()
        with tempfile.TemporaryDirectory(prefix="forensiq-") as folder:
            place = Path(folder) / "ledger.jsonl"
            place.write_bytes(attached.data)

            def visit(entry: LedgerEntry) -> None:
                bindings.visit(entry)
                shown.visit(entry)
                last[:] = [entry]

            try:
                audited: LedgerReport = audit_ledger(Ledger(place), names=trusted_keys(), visit=visit)
            except CustodyError as error:
                yield ReportCheck("ledger.intact", _FAILED, str(error))
                return
        found = [*audited.findings, *bindings.rebound]
        errors = [each for each in found if each.severity is Severity.ERROR]
        for each in errors[:20]:
            yield ReportCheck("ledger.intact", _FAILED, f"{each.message} ({each.where or 'ledger'})")
        if not errors:
            yield ReportCheck("ledger.intact", _PASSED, f"{audited.head.count:,} entries, each signed and linked")
        yield from shown.check(audited)
        if last:
            yield same_hand(self.signatures, last[0])
        for file in self._report.files:
            bound = bindings.last.get(file.path)
            if bound is not None and bound[0] != file.sha256:
                text = f"{file.path}: ledger entry {bound[1]} speaks of another file"
                yield ReportCheck("ledger.binding", _FAILED, text)
            elif bound is not None:
                yield ReportCheck("ledger.binding", _PASSED, f"{file.path}: as in ledger entry {bound[1]}")

    def _pages(self) -> ReportCheck:
        package, exact = self.read.package, True
        match self.read.format:
            case "json":
                same = package_text(package).encode() == self._data
            case "html":
                same = render_html(package).encode() == self._data
            case _:
                made = render_pdf(package)
                same, exact = self._data.startswith(made.data), not made.machine_fonts
        if same:
            return ReportCheck("pages.same", _PASSED, "made again from the data inside, the pages are the same bytes")
        tool = package.report.tool
        here = tool_facts().code_sha256 == tool.code_sha256 and typesetter() == tool.libraries.get("typst")
        text = "made again from the data inside, the pages differ"
        if here and exact:
            return ReportCheck("pages.same", _FAILED, f"{text}: they do not show what the data say")
        why = "the report was made by another version" if not here else "it needs fonts that differ between machines"
        return ReportCheck("pages.same", _NOT_CHECKED, f"{text}, which may be because {why}")
