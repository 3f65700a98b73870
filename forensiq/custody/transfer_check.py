"""Checks the hand-overs of a case: who released, who received, and that both sides speak of the same thing.

Steps for each side, as in the code: (1) its statement is a hand-over, under its own number; (2) its signature holds,
the key beside it is the one that the statement names; (3) the ledger binds it in an entry that the same key signed;
(4) what it says of its digests follows from the digests in it; (5) what the release says of the files is what the
ledger said; (6) the receipt repeats the release.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from forensiq.custody.audit import ledger_finding
from forensiq.custody.case_folder import CaseFolder
from forensiq.custody.package import Bindings
from forensiq.custody.seal import check_statement, read_small
from forensiq.custody.signing import fingerprint_of, load_public_key
from forensiq.custody.transfer_file import MAX_TRANSFER, parse_transfer
from forensiq.errors import CustodyError, SigningKeyError
from forensiq.model.finding import Finding
from forensiq.model.ledger import TransferFacts, TransferRecord

__all__ = ["TransferContext", "check_transfers"]

_SIDES = ("release", "receipt")
_WORDS = {True: "that the files agree", False: "that they differ", None: "nothing of the files afterwards"}


class TransferContext(Struct, frozen=True):
    """What hand-overs are checked against: the case, what its ledger binds, the keys that you trust."""

    folder: CaseFolder
    bindings: Bindings
    trusted: Mapping[str, str]


def check_transfers(context: TransferContext) -> tuple[tuple[TransferFacts, ...], list[Finding]]:
    """Return every hand-over as found, oldest first, and what is wrong with them."""
    facts: list[TransferFacts] = []
    findings: list[Finding] = []
    for number in _numbers(context.folder):
        sides = {side: _Side(context, number, side) for side in _SIDES}
        release, receipt = (sides[side].run() for side in _SIDES)
        findings += sides["release"].findings + sides["receipt"].findings
        if release is None:
            if not sides["release"].findings:
                text = "there is a receipt without a release"
                findings.append(ledger_finding("transfer.unreadable", text, f"transfers/{number}.release.json"))
            continue
        if receipt is not None and _repeated(receipt) != _repeated(release):
            text = "the receipt does not speak of the hand-over that was released"
            findings.append(ledger_finding("transfer.contradicts", text, f"transfers/{number}.receipt.json"))
        last = receipt or release
        facts.append(
            TransferFacts(
                number=number,
                item=last.item,
                released_by=last.released_by,
                released=last.released,
                release_valid=not sides["release"].findings,
                releaser_trusted_as=context.trusted.get(release.released_fingerprint),
                received_by=last.received_by,
                received=last.received,
                receipt_valid=not sides["receipt"].findings if receipt is not None else None,
                receiver_trusted_as=context.trusted.get(last.received_fingerprint),
                match=last.match,
            )
        )
    return tuple(facts), findings


def _numbers(folder: CaseFolder) -> list[str]:
    names = [each.name for each in folder.transfers.glob("*.json")]
    ours = [name.removesuffix(f".{side}.json") for side in _SIDES for name in names if name.endswith(f".{side}.json")]
    return sorted({number for number in ours if number.isdecimal()})


def _repeated(record: TransferRecord) -> TransferRecord:
    """Return what release and receipt must have in common; the receiver adds the rest."""
    return replace(
        record, received=None, received_fingerprint="", after=(), match=None, findings=(), seal_in="", condition="",
        ledger_head=None,
    )  # fmt: skip


class _Side:
    """One statement, ``release`` or ``receipt``, of one hand-over."""

    def __init__(self, context: TransferContext, number: str, side: str) -> None:
        self._context = context
        self._number = number
        self._side = side
        self._stem = context.folder.transfers / f"{number}.{side}"
        self.findings: list[Finding] = []

    def run(self) -> TransferRecord | None:
        """Return what the statement says; ``None`` if there is none, or none that can be read."""
        path = self._stem.with_name(f"{self._stem.name}.json")
        if not path.exists() and not path.is_symlink():
            return None
        # 1. A statement.
        try:
            data = read_small(path, MAX_TRANSFER)
            record = parse_transfer(data)
        except CustodyError as error:
            self._add("transfer.unreadable", f"not a hand-over as it was signed: {error.message}")
            return None
        if record.identifier != self._number:
            self._add("transfer.moved", f"the statement is that of hand-over {record.identifier}")
        released = self._side == "release"
        named = record.released_fingerprint if released else record.received_fingerprint
        # 2. Its signature.
        if not self._signed(data, named):
            self._add("transfer.signature", "the signature does not fit the statement and the key that it names")
        # 3. The same key in the ledger. (A statement that the ledger does not know is file.unrecorded.)
        relative = self._context.folder.relative(path) or ""
        key = self._context.bindings.keys.get(relative)
        if key is not None and fingerprint_of(bytes.fromhex(key)) != named:
            text = "the ledger entry of this statement was signed by another key than the statement"
            self._add("transfer.other_signer", text, named, fingerprint_of(bytes.fromhex(key)))
        # 4. Its own digests.
        same = _same(record)
        if record.match is not same:
            self._add("transfer.contradicts", f"the statement says {_WORDS[record.match]}, its digests {_WORDS[same]}")
        # 5. The digests of the ledger at that time.
        if record.matches_ledger:
            self._as_in_ledger(record, self._context.bindings.last.get(relative, ("", 0))[1])
        return record

    def _signed(self, data: bytes, named: str) -> bool:
        name = f"{self._stem.name}.pem"
        try:
            key = load_public_key(self._stem.with_name(name))
            return key.fingerprint == named and check_statement(self._stem, key, data, key_name=name)
        except (CustodyError, SigningKeyError):
            return False

    def _as_in_ledger(self, record: TransferRecord, entry: int) -> None:
        for each in record.before:
            digest, seq = self._context.bindings.last.get(each.path, ("", 0))
            if 0 < seq < entry and digest != each.sha256:
                text = f"the statement gives {each.path} another digest than ledger entry {seq}"
                self._add("transfer.contradicts", text, digest, each.sha256)

    def _add(self, code: str, message: str, expected: str | None = None, found: str | None = None) -> None:
        where = f"transfers/{self._stem.name}.json"
        self.findings.append(ledger_finding(code, message, where, expected=expected, found=found))


def _same(record: TransferRecord) -> bool | None:
    """Say whether the files were the same before and after; ``None`` where one of the two was not hashed."""
    after = {each.path: each for each in record.after}
    if not record.before or (not after and record.match is None):
        return None
    return all(after.get(each.path) == each for each in record.before)
