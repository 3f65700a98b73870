"""Checks one seal against the case as it is now.

Steps, as in the code: (1) the manifest is canonical; (2) its signature holds, and the key beside it is the key in it;
(3) every listed file is there, with its size and both digests; (4) nothing else is there, but what the ledger binds
since; (5) the ledger still begins with what was sealed; (6) the ledger speaks of this seal; (7) the seal code and its
picture are those of the manifest; (8) time stamp; (9) countersignatures.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from forensiq.custody.audit import ledger_finding
from forensiq.custody.case_folder import CaseFolder, open_plain
from forensiq.custody.countersign import check_countersignature
from forensiq.custody.package import PackageState, image_or_custody
from forensiq.custody.seal import MANIFEST, Manifest, check_statement, parse_manifest, read_small, seal_code
from forensiq.custody.timestamp import Certificate, check_response
from forensiq.errors import CustodyError
from forensiq.model.finding import Finding, Severity
from forensiq.model.ledger import CountersignatureFacts, SealFacts, TimestampFacts

__all__ = ["SealContext", "check_seal", "seal_numbers"]

_BLOCK = 1024 * 1024


class SealContext(Struct, frozen=True):
    """What a seal is checked against. ``bindings``: path → digest and ledger entry; ``strict``: it is the newest seal.

    Files that the ledger bound anew behind an older seal are no fault of that seal.
    """

    folder: CaseFolder
    state: PackageState
    bindings: Mapping[str, tuple[str, int]]
    trusted: dict[str, str]
    strict: bool
    roots: list[Certificate] | None = None


def seal_numbers(folder: CaseFolder) -> list[str]:
    """Return the numbers of the seals, oldest first: folders with a manifest, which comes into them last."""
    try:
        found = [each for each in folder.seals.iterdir() if each.is_dir() and not each.is_symlink()]
    except OSError:
        return []
    names = [each.name for each in found if os.path.lexists(each / MANIFEST)]
    return sorted(names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))


def check_seal(number: str, context: SealContext) -> tuple[SealFacts | None, list[Finding]]:
    """Return the seal ``number`` as found (``None`` if its manifest cannot be read) and what is wrong with it."""
    return _SealCheck(number, context).run()


class _SealCheck:
    def __init__(self, number: str, context: SealContext) -> None:
        self._number = number
        self._context = context
        self._place = context.folder.seals / number
        self._prefix = f"seals/{number}/"
        self._findings: list[Finding] = []

    def run(self) -> tuple[SealFacts | None, list[Finding]]:
        # 1. The manifest.
        try:
            data = read_small(self._place / MANIFEST)
            manifest = parse_manifest(data)
        except CustodyError as error:
            self._add("seal.manifest_edited", f"the manifest is not as it was sealed: {error.message}", MANIFEST)
            return None, self._findings
        valid = self._signature(manifest, data)
        self._files(manifest)
        self._additions(manifest)
        self._ledger(manifest)
        self._code(data)
        facts = SealFacts(
            number=self._number,
            case_number=manifest.case_number,
            created=manifest.created,
            signer=manifest.signer.name,
            fingerprint=manifest.signer.fingerprint,
            code=seal_code(data),
            manifest_sha256=hashlib.sha256(data).hexdigest(),
            files=len(manifest.files),
            bytes=sum(each.size for each in manifest.files),
            ledger_head=manifest.head,
            valid=valid,
            trusted_as=self._context.trusted.get(manifest.signer.fingerprint),
            timestamp=self._timestamp(),
            countersignatures=self._countersignatures(),
        )
        return facts, self._findings

    def _add(
        self,
        code: str,
        message: str,
        name: str,
        *,
        severity: Severity = Severity.ERROR,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        where = name if name.startswith("ledger") else self._prefix + name
        self._findings.append(ledger_finding(code, message, where, severity=severity, expected=expected, found=found))

    def _signature(self, manifest: Manifest, data: bytes) -> bool:
        # 2. The signature.
        try:
            holds = check_statement(self._place / "manifest", manifest.signer, data, key_name="signer.pem")
        except CustodyError as error:
            self._add("seal.signature", f"the signature cannot be checked: {error.message}", "manifest.sig")
            return False
        if not holds:
            text = "the signature does not fit the manifest and its key: one of the three was changed"
            self._add("seal.signature", text, "manifest.sig")
        if manifest.number != self._number:
            self._add("seal.moved", f"the manifest is that of seal {manifest.number}", MANIFEST)
            return False
        return holds

    def _files(self, manifest: Manifest) -> None:
        # 3. Every file.
        for listed in manifest.files:
            found = self._context.state.files.get(listed.path)
            if found == listed:
                continue
            bound, seq = self._context.bindings.get(listed.path, ("", 0))
            later = found is not None and bound == found.sha256 and seq > manifest.head.seq
            if later and not listed.path.startswith("evidence/"):
                text = f"changed behind seal {self._number}, as ledger entry {seq} says"
                severity = Severity.WARNING if self._context.strict else Severity.INFO
                self._findings.append(ledger_finding("seal.changed_since", text, listed.path, severity=severity))
            elif found is None:
                why = self._context.state.unreadable.get(listed.path, "the file is missing")
                text = f"seal {self._number} lists this file: {why}"
                self._findings.append(image_or_custody(listed.path, "seal.file_missing", text, listed.sha256, None))
            else:
                text = f"the file is not the one under seal {self._number}"
                self._findings.append(
                    image_or_custody(
                        listed.path, "seal.file_changed", text,
                        f"{listed.size} bytes {listed.sha256}", f"{found.size} bytes {found.sha256}",
                    )
                )  # fmt: skip

    def _additions(self, manifest: Manifest) -> None:
        # 4. Nothing else.
        if not self._context.strict:
            return
        listed = {each.path for each in manifest.files}
        for path in sorted(self._context.state.files.keys() | self._context.state.unreadable.keys()):
            if path not in listed and path not in self._context.bindings:
                text = f"the file is not under seal {self._number}, and the ledger does not know it"
                self._findings.append(ledger_finding("seal.file_added", text, path))

    def _ledger(self, manifest: Manifest) -> None:
        # 5. The ledger begins as it was sealed. (That its head is still in it, the audit of the ledger checks.)
        digest, left = hashlib.sha256(), manifest.ledger_bytes
        try:
            with open_plain(self._context.folder.ledger.path) as file, open(file.number, "rb", closefd=False) as data:
                while left and (piece := data.read(min(_BLOCK, left))):
                    digest.update(piece)
                    left -= len(piece)
        except CustodyError as error:
            self._add("seal.ledger_changed", error.message, "ledger.jsonl")
            return
        if left or digest.hexdigest() != manifest.ledger_sha256:
            text = f"the ledger does not begin with what is under seal {self._number}"
            self._add("seal.ledger_changed", text, "ledger.jsonl", expected=manifest.ledger_sha256)
        # 6. The ledger speaks of the seal.
        if self._prefix + MANIFEST not in self._context.bindings:
            text = "the ledger does not speak of this seal: it was cut short behind it, or sealing was interrupted"
            self._add("seal.unrecorded", text, MANIFEST)

    def _code(self, data: bytes) -> None:
        # 7. The seal code.
        try:
            written = read_small(self._place / "seal-code.txt", 4096)
        except CustodyError as error:
            self._add("seal.code", error.message, "seal-code.txt")
            return
        if written.decode("ascii", "replace").strip() != seal_code(data):
            self._add(
                "seal.code", "the seal code is that of another manifest", "seal-code.txt", expected=seal_code(data)
            )

    def _timestamp(self) -> TimestampFacts | None:
        # 8. The time stamp.
        if not (self._place / "manifest.sig.tsr").exists():
            return None
        try:
            signature = read_small(self._place / "manifest.sig")
            response = read_small(self._place / "manifest.sig.tsr")
            return check_response(signature, response, self._context.roots)
        except CustodyError as error:
            self._add("seal.timestamp", error.message, "manifest.sig.tsr")
            return None

    def _countersignatures(self) -> tuple[CountersignatureFacts, ...]:
        # 9. Countersignatures.
        result: list[CountersignatureFacts] = []
        for place in sorted(self._statements()):
            try:
                facts = check_countersignature(place, self._context.trusted)
            except CustodyError as error:
                self._add("seal.countersignature", error.message, place.name)
                continue
            if not facts.valid:
                self._add("seal.countersignature", "the countersignature does not hold for this seal", place.name)
            result.append(facts)
        return tuple(result)

    def _statements(self) -> list[Path]:
        return [each for each in self._place.glob("countersign-*.json") if not each.is_symlink()]
