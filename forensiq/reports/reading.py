"""Reads a report back, whatever its format, from bytes that may be hostile."""

from __future__ import annotations

import json

from msgspec import Struct

from forensiq.errors import RecordFormatError
from forensiq.model.from_json import from_json
from forensiq.model.report import AttachedFile, CaseReport, ReportPackage
from forensiq.reports.attaching import attached_files, attachment
from forensiq.reports.embed import package_from_json
from forensiq.reports.html import embedded_json
from forensiq.reports.pdf import REPORT_NAME
from forensiq.reports.pdf_attachments import attachments_of

__all__ = ["ReadReport", "read_report"]


class ReadReport(Struct, frozen=True):
    """A report as it was found: its format (``pdf``, ``html``, ``json``) and the package inside.

    ``missing`` are attachments that the report speaks of and that are not there.
    """

    format: str
    package: ReportPackage
    missing: tuple[str, ...]


def read_report(data: bytes) -> ReadReport:
    """Return what is in a report; :class:`~forensiq.errors.RecordFormatError` where it is none of ours."""
    if data[:1024].lstrip().startswith(b"%PDF-"):
        return _from_pdf(data)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordFormatError("not a report of forensiq: neither PDF nor UTF-8 text") from error
    if text.lstrip().lower().startswith("<!doctype html"):
        package, kind = package_from_json(embedded_json(text)), "html"
    else:
        package, kind = package_from_json(text), "json"
    there = {each.name for each in package.attachments}
    return ReadReport(kind, package, tuple(sorted(attached_files(package.report).keys() - there)))


def _from_pdf(data: bytes) -> ReadReport:
    found = attachments_of(data)
    text = found.pop(REPORT_NAME, None)
    if text is None:
        raise RecordFormatError(f"not a report of forensiq: the PDF has no {REPORT_NAME} inside")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordFormatError(f"{REPORT_NAME} is no JSON: {error}") from error
    report = from_json(CaseReport, value, where="report")
    spoken_of = attached_files(report)
    known = [attachment(file, found[name]) for name, file in spoken_of.items() if name in found]
    others = [
        AttachedFile(name, "application/octet-stream", "", content)
        for name, content in found.items()
        if name not in spoken_of
    ]
    return ReadReport("pdf", ReportPackage(report, (*known, *others)), tuple(sorted(spoken_of.keys() - found.keys())))
