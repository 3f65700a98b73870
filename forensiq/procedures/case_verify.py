"""Checks a whole case: is it what was written down, and who says so?

Steps, as in the code: (1) the ledger, line by line, with every head that was pinned elsewhere; (2) every file against
the digest that the ledger binds it to; (3) ``case.toml``; (4) hand-overs; (5) seals; (6) every image: container,
chunks, media digests; (7) who signed; (8) the verdict.

Findings are collected and the check goes on, so one run tells everything. The exit code is 5 if ledger, seal or a bound
file does not verify, else 4 if only an image is damaged, else 0.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from forensiq import clock
from forensiq.custody.audit import audit_ledger, ledger_finding
from forensiq.custody.case_file import missing_fields
from forensiq.custody.case_folder import CaseFolder
from forensiq.custody.package import Bindings, PackageState, compare_files, read_package
from forensiq.custody.seal_check import SealContext, check_seal, seal_numbers
from forensiq.custody.templates import load_template
from forensiq.custody.timestamp import Certificate, load_roots
from forensiq.custody.transfer_check import TransferContext, check_transfers
from forensiq.custody.trust import trusted_keys
from forensiq.errors import CaseFileError, CustodyError, ExitCode, UsageError
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.ledger import FileDigest, LedgerHead, LedgerReport, SealFacts, TransferFacts
from forensiq.model.records import VerificationRecord
from forensiq.procedures.attending import Attendant
from forensiq.procedures.case_images import verify_images
from forensiq.procedures.case_pins import collect_pins
from forensiq.streams.progress import Progress

__all__ = ["CaseVerification", "CheckedCase", "check_case", "exit_code_of", "read_seals", "verify_case"]

_IMAGE_CAUSES = (Cause.DATA, Cause.MISSING_SEGMENT)


class CaseVerification(Struct, frozen=True):
    """What the check of a case found.

    ``verdict`` is ``intact``, ``evidence_damaged`` or ``custody_broken``; ``trust`` says in a sentence who signed.
    """

    case: str
    verdict: str
    summary: str
    trust: str
    signers_trusted: bool
    findings: tuple[Finding, ...]
    ledger: LedgerReport
    files: int
    bytes: int
    images: tuple[VerificationRecord, ...]
    seals: tuple[SealFacts, ...]
    started: str
    finished: str
    exit_code: int
    transfers: tuple[TransferFacts, ...] = ()
    schema: str = "forensiq/case-verification/1"


class CheckedCase(Struct, frozen=True):
    """The verification, and the digests of every file that it was made from."""

    verification: CaseVerification
    digests: Mapping[str, FileDigest]


def verify_case(
    root: Path,
    *,
    head: LedgerHead | None = None,
    ca: Path | None = None,
    images: bool = True,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> CaseVerification:
    """Check the case in ``root``; see the module for the steps. Raises only if there is no ledger to read.

    ``head`` is one that you have on paper; ``ca`` the roots of the time stamp authority (PEM). Without ``images`` the
    files of images are hashed and not looked into. ``progress`` counts the bytes that were hashed; a set
    ``stop`` ends the check with :class:`~forensiq.errors.Interrupted`.
    """
    return check_case(root, head=head, ca=ca, images=images, progress=progress, stop=stop).verification


def check_case(
    root: Path,
    *,
    head: LedgerHead | None = None,
    ca: Path | None = None,
    images: bool = True,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> CheckedCase:
    """As :func:`verify_case`, with the digests that were computed."""
    started = clock.rfc3339(clock.utc_now())
    folder, attendant = CaseFolder.open(root), Attendant(progress, stop)
    # 1. The ledger.
    bindings = Bindings()
    visit = attendant.auditing(bindings.visit)
    report = audit_ledger(folder.ledger, collect_pins(folder, head), names=trusted_keys(), visit=visit)
    # 2. The files.
    state = read_package(folder, advance=attendant.hashing(folder))
    findings = [*report.findings, *bindings.rebound, *compare_files(state, bindings.last)]
    # 3. case.toml.
    findings += _case_file(folder)
    # 4. Hand-overs.
    transfers, about_transfers = check_transfers(TransferContext(folder, bindings, trusted_keys()))
    findings += about_transfers
    # 5. Seals.
    seals, about_seals = _seals(folder, state, bindings.last, load_roots(ca) if ca is not None else None)
    findings += about_seals
    # 6. Images.
    verified: tuple[VerificationRecord, ...] = ()
    if images:
        verified, findings = verify_images(folder, state, findings, progress, stop)
    # 7. Who signed.
    trusted, trust = _trust(report)
    # 8. The verdict.
    code = exit_code_of(findings)
    verdict = {ExitCode.OK: "intact", ExitCode.VERIFICATION: "evidence_damaged"}.get(code, "custody_broken")
    verification = CaseVerification(
        case=str(root),
        verdict=verdict,
        summary=_summary(verdict, findings, trusted, f"{report.head.count} ledger entries, {len(state.files)} files"),
        trust=trust,
        signers_trusted=trusted,
        findings=tuple(findings),
        ledger=report,
        files=len(state.files),
        bytes=sum(each.size for each in state.files.values()),
        images=verified,
        seals=seals,
        transfers=transfers,
        started=started,
        finished=clock.rfc3339(clock.utc_now()),
        exit_code=int(code),
    )
    return CheckedCase(verification, state.files)


def read_seals(folder: CaseFolder, roots: list[Certificate] | None = None) -> tuple[SealFacts, ...]:
    """Return the seals of a case as they stand, each with whether its own signature holds; files are not hashed."""
    context = SealContext(folder, PackageState({}, (), {}), {}, trusted_keys(), strict=False, roots=roots)
    found = (check_seal(number, context)[0] for number in seal_numbers(folder))
    return tuple(facts for facts in found if facts is not None)


def exit_code_of(findings: list[Finding] | tuple[Finding, ...]) -> ExitCode:
    """Return 5 if custody is broken, 4 if only images are damaged, else 0."""
    errors = [each for each in findings if each.severity is Severity.ERROR]
    if any(each.cause not in _IMAGE_CAUSES for each in errors):
        return ExitCode.CUSTODY
    return ExitCode.VERIFICATION if errors else ExitCode.OK


def _trust(report: LedgerReport) -> tuple[bool, str]:
    unknown = [signer for signer in report.signers if signer.trusted_as is None]
    if not report.signers:
        return False, "nobody signed anything"
    if not unknown:
        names = ", ".join(dict.fromkeys(str(signer.trusted_as) for signer in report.signers))
        return True, f"every entry is signed by a key that you trust: {names}"
    marks = ", ".join(f"{signer.name or 'no name'} ({signer.fingerprint[:16]}…)" for signer in unknown)
    return False, (
        f"signer unknown: {marks}. A key that comes with a case does not say whose it is; compare its fingerprint "
        "with one you got another way, then: forensiq keys trust"
    )


def _seals(
    folder: CaseFolder, state: PackageState, bindings: Mapping[str, tuple[str, int]], roots: list[Certificate] | None
) -> tuple[tuple[SealFacts, ...], list[Finding]]:
    numbers = seal_numbers(folder)
    seals: list[SealFacts] = []
    findings: list[Finding] = []
    trusted = trusted_keys()
    for number in numbers:
        strict = number == numbers[-1]
        facts, found = check_seal(number, SealContext(folder, state, bindings, trusted, strict, roots))
        findings += found
        if facts is not None:
            seals.append(facts)
    return tuple(seals), findings


def _case_file(folder: CaseFolder) -> list[Finding]:
    try:
        case = folder.read_case()
        return list(missing_fields(case, load_template(case.template)))
    except CaseFileError as error:
        return [ledger_finding("case.invalid", error.message, "case.toml")]
    except CustodyError as error:
        return [ledger_finding("case.unreadable", error.message, "case.toml")]
    except UsageError as error:
        return [ledger_finding("case.template_unknown", error.message, "case.toml", severity=Severity.WARNING)]


def _summary(verdict: str, findings: list[Finding], trusted: bool, checked: str) -> str:
    if verdict == "intact":
        who = "signers known" if trusted else "signer unknown"
        return f"intact, {who}: nothing was changed since it was written down ({checked})"
    errors = sum(each.severity is Severity.ERROR for each in findings)
    what = "an image is damaged" if verdict == "evidence_damaged" else "the chain of custody does not verify"
    return f"{what}: {errors} {'finding' if errors == 1 else 'findings'} ({checked})"
