"""Makes a report on a case: ledger → gather → render → sign → write → ledger.

Steps, as in the code: (1) nothing is overwritten; (2) the keys are opened, so that a passphrase is asked for before the
work; (3) ``report.started`` in the ledger; (4) the case is gathered, the ledger audited; (5) the report is
rendered; (6) signed: a PDF by PAdES with the PKCS#12 key, every format by a detached Ed25519 signature beside it;
(7) written durably; (8) ``report.finished`` binds what was written.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from forensiq import clock
from forensiq.custody.audit import audit_ledger, ledger_finding
from forensiq.custody.case_folder import CaseFolder
from forensiq.custody.package import Bindings
from forensiq.custody.pkcs12 import CertificateFacts, read_pkcs12
from forensiq.custody.signing import Signer, public_pem, read_private_file
from forensiq.custody.templates import load_template
from forensiq.custody.transfer_check import TransferContext, check_transfers
from forensiq.custody.trust import trusted_keys
from forensiq.errors import DestinationExistsError, RecordFormatError, UsageError
from forensiq.model.finding import Finding, Severity
from forensiq.model.ledger import LedgerEntry, LedgerHead, SealFacts
from forensiq.model.records import ToolFacts
from forensiq.model.report import CaseReport, LedgerFacts, ReportPackage
from forensiq.model.report_check import ReportMade
from forensiq.procedures.case_ledger import acting_user
from forensiq.procedures.case_pins import collect_pins
from forensiq.procedures.case_verify import read_seals
from forensiq.procedures.custody_step import CustodyStep, custody_step
from forensiq.procedures.environment import tool_facts
from forensiq.procedures.keys import KeyChoice, choose_key, open_signer
from forensiq.procedures.report_examine import with_examination
from forensiq.procedures.report_gather import gather_files, ledger_until
from forensiq.procedures.report_shown import event_of
from forensiq.reports.case_uco import render_case_uco
from forensiq.reports.case_verdict import case_verdict
from forensiq.reports.dfxml import render_dfxml
from forensiq.reports.embed import package_text
from forensiq.reports.html import render_html
from forensiq.reports.pdf import render_pdf, typesetter
from forensiq.reports.pdf_signature import sign_pdf
from forensiq.reports.reading import read_report
from forensiq.reports.redact import KINDS, redact

__all__ = ["FORMATS", "REDACTABLE", "RedactionRequest", "ReportRequest", "gather_report", "make_report"]

FORMATS = ("pdf", "html", "json", "case-uco", "dfxml")
REDACTABLE = tuple(KINDS)
"""Kinds of values that a redacted copy can leave out."""
_LISTED_EVENTS = 500
_LARGEST_REPORT = 512 << 20


class RedactionRequest(Struct, frozen=True):
    """A copy of ``full`` (a report that was made before) without some ``kinds`` of values."""

    full: Path
    kinds: tuple[str, ...]
    reason: str = ""


class ReportRequest(Struct, frozen=True):
    """What is to be made. ``certificate`` is a PKCS#12 file (default: that beside the key); ``authority`` the address
    of a time stamp authority."""

    case: Path
    output: Path
    format: str
    key: KeyChoice | None = None
    certificate: Path | None = None
    authority: str | None = None
    actor: str | None = None
    redaction: RedactionRequest | None = None


class _Keys(Struct, frozen=True):
    signer: Signer
    pkcs12: bytes | None
    passphrase: str
    facts: CertificateFacts | None


def make_report(request: ReportRequest) -> ReportMade:
    """Make a report; see the module for the steps."""
    if request.format not in FORMATS:
        raise UsageError(f"unknown format {request.format!r}", hint=f"known are {', '.join(FORMATS)}")
    # 1. Nothing is overwritten.
    beside = [request.output.with_name(request.output.name + ending) for ending in ("", ".sig", ".pub")]
    for each in beside:
        if each.exists() or each.is_symlink():
            raise DestinationExistsError(f"{each} exists; nothing was changed", path=str(each))
    # 2. The keys.
    chosen = request.key or choose_key()
    chosen = KeyChoice(chosen.path, cache(chosen.passphrase))
    keys = _open_keys(request, chosen)
    # 3. The ledger.
    parameters = {"format": request.format, "output": request.output, "redacted": request.redaction is not None}
    parameters |= {"certificate": keys.facts.fingerprint} if keys.facts is not None else {}
    with custody_step(request.case, "report", parameters, key=chosen, actor=request.actor) as step:
        # 4. The case.
        package = _redacted(request.redaction) if request.redaction else _gathered(request, keys, step)
        # 5. The report.
        data, not_drawn = _render(package, request.format)
        # 6. Signatures.
        signed_by = [_key_words(keys.signer)]
        if request.format == "pdf" and keys.pkcs12 is not None and keys.facts is not None:
            data = sign_pdf(data, keys.pkcs12, keys.passphrase, reason="case report", authority=request.authority)
            signed_by.insert(0, _certificate_words(keys.facts))
        # 7. The files.
        step.write(dict(zip(beside, (data, keys.signer.sign(data), public_pem(keys.signer.public)), strict=True)))
        # 8. What was written.
        verdict = case_verdict(package.report)
        digest = hashlib.sha256(data).hexdigest()
        step.result(sha256=digest, size=len(data), headline=verdict.headline)
    return ReportMade(
        path=str(request.output),
        format=request.format,
        size=len(data),
        sha256=digest,
        headline=verdict.headline,
        sentence=verdict.sentence,
        signatures=tuple(signed_by),
        files=tuple(str(each) for each in beside),
        not_drawn=not_drawn,
        redacted=request.redaction is not None,
    )


def gather_report(root: Path, head: LedgerHead, *, made_by: str, signer: str) -> ReportPackage:
    """Return the report on the case in ``root``, with its ledger up to ``head``, and the files it is made from."""
    folder = CaseFolder.open(root)
    case = folder.read_case()
    bindings, entries = Bindings(), list[LedgerEntry]()

    def visit(entry: LedgerEntry) -> None:
        bindings.visit(entry)
        if entry.seq <= head.seq:
            entries.append(entry)
            if len(entries) > 2 * _LISTED_EVENTS:
                del entries[_LISTED_EVENTS]

    audited = audit_ledger(folder.ledger, collect_pins(folder), names=trusted_keys(), visit=visit)
    ledger = ledger_until(folder, head)
    gathered = gather_files(folder, case, bindings.last, ledger)
    _, about_transfers = check_transfers(TransferContext(folder, bindings, trusted_keys()))
    seals = read_seals(folder)
    findings: list[Finding] = [*bindings.rebound, *gathered.findings, *about_transfers, *_about_seals(seals)]
    if head.count > len(entries):
        text = f"{head.count - len(entries):,} entries in the middle of the ledger are not listed in this report"
        findings.append(ledger_finding("report.entries_left_out", text, "ledger.jsonl", severity=Severity.INFO))
    try:
        template = load_template(case.template)
        wording, labels = template.report, template.labels
    except UsageError:
        wording, labels = {}, {}
    report = CaseReport(
        identifier=secrets.token_hex(16),
        made=clock.rfc3339(clock.utc_now()),
        made_by=made_by or case.examiner.name or acting_user(),
        case=case,
        items=tuple(with_examination(item, root) for item in gathered.items),
        ledger=LedgerFacts(
            "ledger.jsonl",
            head,
            audited.intact,
            audited.findings,
            tuple(signer for signer in audited.signers if signer.first_seq <= head.seq),
            tuple(event_of(entry) for entry in entries),
        ),
        ledger_missing="",
        files=tuple(gathered.files),
        tool=_tool(),
        signer=signer,
        seal_code=seals[-1].code if seals else None,
        seals=seals,
        findings=tuple(findings),
        wording=wording,
        labels=labels,
    )
    return ReportPackage(report, tuple(gathered.attachments))


def _gathered(request: ReportRequest, keys: _Keys, step: CustodyStep) -> ReportPackage:
    assert step.head is not None  # a report always has a case
    words = _certificate_words(keys.facts) if request.format == "pdf" and keys.facts else _key_words(keys.signer)
    return gather_report(request.case, step.head, made_by=request.actor or "", signer=words)


def _redacted(redaction: RedactionRequest) -> ReportPackage:
    try:
        with redaction.full.open("rb") as file:
            data = file.read(_LARGEST_REPORT)
    except OSError as error:
        raise RecordFormatError(f"{redaction.full} cannot be read: {error.strerror}") from error
    full = read_report(data).package.report
    digest = hashlib.sha256(data).hexdigest()
    return ReportPackage(
        redact(full, redaction.kinds, full_name=redaction.full.name, full_sha256=digest, reason=redaction.reason)
    )


def _open_keys(request: ReportRequest, chosen: KeyChoice) -> _Keys:
    signer = open_signer(chosen)
    place = request.certificate
    if place is None and chosen.path is not None:
        beside = chosen.path.with_name(chosen.path.name + ".p12")
        place = beside if beside.exists() else None
    if request.authority is not None and (place is None or request.format != "pdf"):
        raise UsageError("a time stamp needs a PDF and a PKCS#12 key", hint="--format pdf --key FILE, or --certificate")
    if place is None or request.format != "pdf":
        return _Keys(signer, None, "", None)
    passphrase = chosen.passphrase(str(chosen.path if request.certificate is None else place))
    return _Keys(signer, read_private_file(place), passphrase, read_pkcs12(place, passphrase))


def _render(package: ReportPackage, kind: str) -> tuple[bytes, tuple[str, ...]]:
    match kind:
        case "pdf":
            result = render_pdf(package)
            return result.data, result.not_drawn
        case "html":
            text = render_html(package)
        case "json":
            text = package_text(package)
        case "case-uco":
            text = render_case_uco(package.report)
        case _:
            text = render_dfxml(package.report)
    return text.encode("utf-8"), ()


def _about_seals(seals: tuple[SealFacts, ...]) -> Iterator[Finding]:
    for each in seals:
        if not each.valid:
            text = f"the signature of seal {each.number} does not hold"
            yield ledger_finding("seal.signature", text, f"seals/{each.number}")
        if not all(signed.valid for signed in each.countersignatures):
            text = f"a countersignature of seal {each.number} does not hold"
            yield ledger_finding("seal.countersignature", text, f"seals/{each.number}")


def _tool() -> ToolFacts:
    facts = tool_facts()
    return replace(facts, libraries={**facts.libraries, "typst": typesetter()})


def _certificate_words(facts: CertificateFacts) -> str:
    kind = "self-signed: shows integrity, not identity" if facts.self_signed else f"issued by {facts.issuer}"
    return f"{facts.subject}, certificate {facts.fingerprint}, {kind}"


def _key_words(signer: Signer) -> str:
    return f"{signer.public.name or 'no name'}, Ed25519 key {signer.public.fingerprint}, signature beside this file"
