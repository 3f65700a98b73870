"""Checks the signatures of a report: that inside a PDF, and the detached one beside a file of any format."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from forensiq.custody.signing import fingerprint_of, load_public_key, verify_signature
from forensiq.custody.trust import trusted_keys
from forensiq.errors import SigningKeyError
from forensiq.model.ledger import LedgerEntry
from forensiq.model.report_check import CheckState, ReportCheck
from forensiq.reports.pdf_signature import PdfSignature, signatures_of

__all__ = ["SignatureChecks", "check_signatures", "same_hand"]

_NOBODY = "nobody signed this report"
_SIGNATURE_BYTES = 64


class SignatureChecks(Struct, frozen=True):
    """The checks, whether a signature holds over the whole file, and a sentence about who signed.

    ``key`` and ``certificates`` are the fingerprints of what signed, where the signature holds.
    """

    checks: tuple[ReportCheck, ...]
    signed: bool
    trust: str
    key: str | None = None
    certificates: tuple[str, ...] = ()


def check_signatures(path: Path, data: bytes, kind: str) -> SignatureChecks:
    """Check what signs ``data``, the content of the report ``path`` of format ``kind``."""
    checks: list[ReportCheck] = []
    known: list[str] = []
    certificates: list[str] = []
    if kind == "pdf":
        found = signatures_of(data)
        for each in found:
            check, words = _inside(each)
            checks.append(check)
            known += [words] if words else []
            certificates += [each.fingerprint] if words else []
        if not found:
            checks.append(ReportCheck("signature.pdf", CheckState.NOT_CHECKED, "the PDF holds no signature"))
    check, words, key = _beside(path, data)
    checks.append(check)
    known += [words] if words else []
    return SignatureChecks(tuple(checks), bool(known), "; ".join(known) or _NOBODY, key, tuple(certificates))


def same_hand(signatures: SignatureChecks, last: LedgerEntry) -> ReportCheck:
    """Check that who signed the report also wrote the last entry of the ledger in it, which says that it is made.

    Whoever signs a changed report anew with a key of their own has no such entry by that key.
    """
    code = "signature.ledger"
    writer = fingerprint_of(bytes.fromhex(last.key))
    if signatures.key not in (None, writer):
        text = f"the key beside the report is not the one that wrote ledger entry {last.seq} ({last.action}): {writer}"
        return ReportCheck(code, CheckState.FAILED, text)
    named = last.parameters.get("certificate")
    others = [each for each in signatures.certificates if named not in (None, each)]
    if others:
        text = f"ledger entry {last.seq} says that the certificate {named} signs this report; {others[0]} did"
        return ReportCheck(code, CheckState.FAILED, text)
    if signatures.key is None and (named is None or not signatures.certificates):
        return ReportCheck(code, CheckState.NOT_CHECKED, "no signature here is by a key that the ledger names")
    return ReportCheck(code, CheckState.PASSED, f"the report was signed by who wrote ledger entry {last.seq}")


def _inside(each: PdfSignature) -> tuple[ReportCheck, str]:
    who = f"{each.subject}, certificate {each.fingerprint}"
    if not each.intact:
        return ReportCheck("signature.pdf", CheckState.FAILED, f"{who}: {each.problem}"), ""
    if not each.whole_file:
        text = f"{who}: something was added to the file after it was signed"
        return ReportCheck("signature.pdf", CheckState.FAILED, text), ""
    when = f"time stamp {each.stamped} by {each.stamped_by}" if each.stamped else f"claimed time {each.signed}"
    kind = "self-signed: shows integrity, not identity" if each.self_signed else f"issued by {each.issuer}"
    words = f"{who}; {kind}; {when}"
    return ReportCheck("signature.pdf", CheckState.PASSED, f"covers the whole file; {words}"), words


def _beside(path: Path, data: bytes) -> tuple[ReportCheck, str, str | None]:
    code = "signature.detached"
    signature_file, key_file = (path.with_name(path.name + ending) for ending in (".sig", ".pub"))
    if not signature_file.is_file() or not key_file.is_file():
        text = f"{signature_file.name} and {key_file.name} are not both beside the report"
        return ReportCheck(code, CheckState.NOT_CHECKED, text), "", None
    try:
        key = load_public_key(key_file)
        with signature_file.open("rb") as file:
            signature = file.read(_SIGNATURE_BYTES + 1)
    except (SigningKeyError, OSError) as error:
        return ReportCheck(code, CheckState.FAILED, f"it cannot be read: {error}"), "", None
    if not verify_signature(key.raw, signature, data):
        return ReportCheck(code, CheckState.FAILED, "it is not the signature of this file by this key"), "", None
    mark = fingerprint_of(key.raw)
    name = trusted_keys().get(mark)
    known = f"your trusted key of {name}" if name else "not on your trust list: signer unknown"
    words = f"Ed25519 key {mark}, {known}"
    return ReportCheck(code, CheckState.PASSED, words), words, mark
