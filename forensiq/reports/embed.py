"""A report with its attached files as one JSON document: what a JSON report is, and what a web page carries inside.

``{"schema": "forensiq/report-package/1", "ledger_head": {…}, "report": {…}, "attachments": [{"name", "media_type",
"description", "sha256", "size", "text" or "base64"}]}``. Text is used for what is UTF-8, so that people can read it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

from forensiq.errors import RecordFormatError
from forensiq.model.from_json import from_json
from forensiq.model.jsonable import Json, to_json
from forensiq.model.report import AttachedFile, CaseReport, ReportPackage

__all__ = ["PACKAGE_SCHEMA", "package_from_json", "package_text", "report_text"]

PACKAGE_SCHEMA = "forensiq/report-package/1"
_EXPORTS = (
    "a CASE/UCO or DFXML export is checked by the signature beside it: "
    "openssl pkeyutl -verify -rawin -pubin -inkey FILE.pub -sigfile FILE.sig -in FILE"
)


def report_text(report: CaseReport) -> str:
    """Return the report alone as JSON, the same text for the same report."""
    return _dump(to_json(report))


def package_text(package: ReportPackage) -> str:
    """Return the package as JSON in ASCII; the same text for the same package."""
    attachments: list[Json] = [_attachment(each) for each in package.attachments]
    report = package.report
    # At the top, where the check of a case looks for heads of its ledger that were written down elsewhere.
    head = to_json(report.ledger.head) if report.ledger is not None else None
    return _dump({"schema": PACKAGE_SCHEMA, "ledger_head": head, "report": to_json(report), "attachments": attachments})


def package_from_json(text: str | bytes) -> ReportPackage:
    """Return the package in ``text``; :class:`~forensiq.errors.RecordFormatError` where there is none.

    Each attachment's own digest and size are checked here.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordFormatError(f"no PDF, HTML or JSON report of forensiq: no JSON ({error})", hint=_EXPORTS) from error
    if not isinstance(value, dict) or value.get("schema") != PACKAGE_SCHEMA:
        raise RecordFormatError(
            "no PDF, HTML or JSON report of forensiq: another schema", hint=_EXPORTS, schema=PACKAGE_SCHEMA
        )
    attachments = value.get("attachments")
    if set(value) != {"schema", "ledger_head", "report", "attachments"} or not isinstance(attachments, list):
        raise RecordFormatError("not a report of forensiq: other keys than a report has")
    report = from_json(CaseReport, value["report"], where="report")
    if value["ledger_head"] != (to_json(report.ledger.head) if report.ledger is not None else None):
        raise RecordFormatError("the report names two heads of the ledger")
    return ReportPackage(report, tuple(_read_attachment(each) for each in attachments))


def _dump(value: Json) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def _attachment(file: AttachedFile) -> Json:
    result: dict[str, Json] = {
        "name": file.name,
        "media_type": file.media_type,
        "description": file.description,
        "size": len(file.data),
        "sha256": hashlib.sha256(file.data).hexdigest(),
    }
    try:
        result["text"] = file.data.decode("utf-8")
    except UnicodeDecodeError:
        result["base64"] = base64.b64encode(file.data).decode("ascii")
    return result


def _read_attachment(value: object) -> AttachedFile:
    if not isinstance(value, dict) or not all(
        isinstance(value.get(name), str) for name in ("name", "media_type", "description", "sha256")
    ):
        raise RecordFormatError("an attachment of the report is not complete")
    name = value["name"]
    try:
        if isinstance(value.get("text"), str):
            data = value["text"].encode("utf-8")
        else:
            data = base64.b64decode(value.get("base64", ""), validate=True)
    except (UnicodeEncodeError, TypeError, binascii.Error) as error:
        raise RecordFormatError(f"the attachment {name[:100]!r} cannot be read: {error}") from error
    if len(data) != value.get("size") or hashlib.sha256(data).hexdigest() != value["sha256"]:
        raise RecordFormatError(f"the attachment {name[:100]!r} does not match its own digest", name=name[:200])
    return AttachedFile(name, value["media_type"], value["description"], data)
