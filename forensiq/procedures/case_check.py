"""Checks a sealed case: the case as ``case verify`` does, and that there is a seal, with the code on your paper."""

from __future__ import annotations

import threading
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from forensiq.custody.audit import ledger_finding
from forensiq.custody.case_folder import CaseFolder
from forensiq.custody.seal import normal_code
from forensiq.model.ledger import SealFacts
from forensiq.procedures.case_seal import newest_seal
from forensiq.procedures.case_verify import CaseVerification, exit_code_of, verify_case
from forensiq.streams.progress import Progress

__all__ = ["SealCheck", "check_seal"]


class SealCheck(Struct, frozen=True):
    """The seal that was asked for (``None`` if it cannot be read) and the check of the whole case."""

    seal: SealFacts | None
    code_matches: bool | None
    exit_code: int
    verification: CaseVerification
    schema: str = "forensiq/seal-check/1"


def check_seal(
    root: Path,
    *,
    number: str | None = None,
    code: str | None = None,
    ca: Path | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> SealCheck:
    """Check the case and its seal ``number`` (default: the newest).

    ``code`` is the seal code from paper. :class:`~forensiq.errors.NoReferenceError` if the case has no seal.
    """
    wanted = newest_seal(CaseFolder.open(root), number)
    verification = verify_case(root, ca=ca, progress=progress, stop=stop)
    seal = next((each for each in verification.seals if each.number == wanted), None)
    findings = list(verification.findings)
    matches = None
    if code is not None:
        matches = seal is not None and normal_code(code) == seal.code
        if not matches:
            text = "the seal code that you gave is not that of the manifest: this is not the sealed case"
            found = seal.code if seal is not None else None
            findings.append(
                ledger_finding("seal.other_code", text, f"seals/{wanted}", expected=normal_code(code), found=found)
            )
    exit_code = int(exit_code_of(findings))
    if not matches and code is not None:
        verification = replace(
            verification, findings=tuple(findings), exit_code=exit_code, verdict="custody_broken",
            summary="the seal code that you gave is not that of this case",
        )  # fmt: skip
    return SealCheck(seal, matches, exit_code, verification)
