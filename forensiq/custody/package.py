"""The files of a case as they are now, against what the ledger says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field

from forensiq.custody.audit import ledger_finding
from forensiq.custody.case_folder import CaseFolder, FoundFile, hash_file
from forensiq.custody.staging import LOCK, SET_ASIDE, STAGED
from forensiq.errors import CustodyError
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.ledger import FileDigest, LedgerEntry

__all__ = ["Bindings", "PackageState", "compare_files", "image_or_custody", "is_image_file", "read_package"]

_WORKING_PAPERS = frozenset({"checklist.md"})
_MADE = ("acquire.finished", "clone.finished", "convert.finished")
_REPORTED = "report.finished"
_NEXT = "the next command that writes files into the case finishes it or sets it aside"
_COMPANIONS = (".record.json", ".log.txt", ".map", ".blocks.csv", ".verification.json")


class PackageState(Struct, frozen=True):
    """Every file that could be hashed, by path; what is no file; what could not be read (path → why).

    ``staged`` has the files that wait for their place, by the path that they are to have.
    """

    files: Mapping[str, FileDigest]
    others: tuple[FoundFile, ...]
    unreadable: Mapping[str, str]
    staged: Mapping[str, FileDigest] = field(default_factory=dict)


class Bindings(Struct):
    """Which digest the ledger last gave to which path, and where; filled by visiting its entries in order.

    ``keys`` has the public key (hexadecimal) of the entry that ``last`` speaks of. ``rebound`` names what was written
    once and for all, and yet got another digest later: whoever has any key can append an entry, so an entry alone does
    not make another image the right one.
    """

    last: dict[str, tuple[str, int]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    rebound: list[Finding] = field(default_factory=list)
    _settled: dict[str, tuple[str, int, str]] = field(default_factory=dict)

    def visit(self, entry: LedgerEntry) -> None:
        """Take the digests of one entry."""
        for path, digest in entry.digests.items():
            settled = self._settled.get(path)
            if settled is not None and settled[0] != digest:
                self.rebound.append(_rebound(path, settled, digest, entry))
            if settled is None and _settles(path, entry.action):
                self._settled[path] = (digest, entry.seq, entry.key)
            self.last[path] = (digest, entry.seq)
            self.keys[path] = entry.key


def is_image_file(path: str) -> bool:
    """Say whether a path in a case is part of an image, not a record, log or map beside it."""
    return path.startswith("evidence/") and not path.lower().endswith(_COMPANIONS)


def read_package(
    folder: CaseFolder, *, advance: Callable[[int], None] = lambda _: None, skip: Iterable[str] = ()
) -> PackageState:
    """Hash every file of the case but the ledger itself and ``skip``; ``advance`` gets the bytes of each piece."""
    files: dict[str, FileDigest] = {}
    others: list[FoundFile] = []
    unreadable: dict[str, str] = {}
    staged: dict[str, FileDigest] = {}
    left_out = {"ledger.jsonl", f"{STAGED}/{LOCK}", *skip}
    for found in folder.walk():
        if found.kind != "file":
            others.append(found)
        elif found.key not in left_out:
            try:
                digest = hash_file(folder.root, found.key, advance)
                if found.key.startswith(f"{STAGED}/"):
                    staged[found.key.removeprefix(f"{STAGED}/")] = digest
                else:
                    files[found.key] = digest
            except CustodyError as error:
                unreadable[found.key] = error.message
    return PackageState(files, tuple(others), unreadable, staged)


def compare_files(state: PackageState, bindings: Mapping[str, tuple[str, int]]) -> list[Finding]:
    """Return what differs between the files and the digests that the ledger binds them to.

    Damage of an image has the cause ``DATA``, a missing file of an image ``MISSING_SEGMENT``; all else is custody.
    """
    result = [
        ledger_finding("file.not_regular", f"a {found.kind} where only files belong; it was not followed", found.key)
        for found in state.others
    ]
    waiting = dict(state.staged)
    for path, (digest, seq) in sorted(bindings.items()):
        found = state.files.get(path)
        where = f"ledger entry {seq}"
        if (found is None or found.sha256 != digest) and _waits(state, path, digest):
            text = (
                f"the file that {where} speaks of is whole and waits for its place: the step was interrupted; {_NEXT}"
            )
            result.append(ledger_finding("file.not_in_place", text, path, severity=Severity.WARNING))
            del waiting[path]
        elif path in state.unreadable:
            result.append(
                _about(path, "unreadable", f"the file cannot be read: {state.unreadable[path]}", digest, None)
            )
        elif found is None:
            result.append(_about(path, "missing", f"the file that {where} speaks of is missing", digest, None))
        elif found.sha256 != digest:
            text = f"the file is not the one that {where} speaks of"
            result.append(_about(path, "changed", text, digest, found.sha256))
    for path in sorted((state.files.keys() | state.unreadable.keys()) - bindings.keys() - _WORKING_PAPERS):
        text = "the ledger does not know this file: nothing says what it was, or who put it here"
        result.append(ledger_finding("file.unrecorded", text, path, severity=Severity.WARNING))
    if waiting:
        files = "1 file waits" if len(waiting) == 1 else f"{len(waiting)} files wait"
        text = f"a step is under way, or was interrupted before it was in the ledger: {files} in {STAGED}/; {_NEXT}"
        names = ", ".join(sorted(waiting)[:5])
        result.append(ledger_finding("case.unfinished_step", text, names, severity=Severity.WARNING))
    return _replaced(result)


def _waits(state: PackageState, path: str, digest: str) -> bool:
    """Say whether a file that is not in its place waits for it; those of images never do."""
    found = state.staged.get(path)
    return found is not None and found.sha256 == digest and not is_image_file(path) and path not in state.unreadable


def image_or_custody(path: str, code: str, message: str, expected: str | None, found: str | None) -> Finding:
    """Return an error about a file: with the cause of a damaged image for part of an image, of custody for others."""
    if not is_image_file(path):
        return ledger_finding(code, message, path, expected=expected, found=found)
    cause = Cause.MISSING_SEGMENT if found is None else Cause.DATA
    segment = path.rpartition("/")[2]
    return Finding(Severity.ERROR, cause, code, message, path, expected=expected, found=found, segment=segment)


def _settles(path: str, action: str) -> bool:
    """Say whether ``action`` gives a file its last digest: nothing that this program does changes the file later."""
    if path.startswith("evidence/"):
        return action.startswith(_MADE) and not path.endswith(".verification.json")
    once = path.startswith(("transfers/", "seals/", f"{SET_ASIDE}/")) or action == _REPORTED
    return once or (path.startswith("attachments/") and action == "attached")


def _rebound(path: str, settled: tuple[str, int, str], digest: str, entry: LedgerEntry) -> Finding:
    before, seq, key = settled
    kind = "image" if is_image_file(path) else "file"
    anew = entry.action.startswith(_MADE) if path.startswith("evidence/") else entry.action == _REPORTED
    if anew and entry.key == key:
        text = f"ledger entry {entry.seq} gives the file another digest than entry {seq}: the same key made it anew"
        severity = Severity.WARNING
    else:
        text = (
            f"ledger entry {entry.seq} ({entry.action}) gives the file another digest than entry {seq}, which made it"
        )
        severity = Severity.ERROR
    return ledger_finding(f"{kind}.rebound", text, path, severity=severity, expected=before, found=digest)


def _about(path: str, what: str, message: str, expected: str, found: str | None) -> Finding:
    kind = "image" if is_image_file(path) else "file"
    return image_or_custody(path, f"{kind}.{what}", message, expected, found)


def _replaced(findings: list[Finding]) -> list[Finding]:
    """Name an image that was changed together with its own record: that is no damage, somebody did it."""
    records = {
        str(each.where).rpartition("/")[0]
        for each in findings
        if each.code == "file.changed" and str(each.where).endswith(".record.json")
    }
    return [
        ledger_finding(
            "image.replaced",
            "image and record were both changed: the image was replaced together with the digests stored for it",
            each.where, expected=each.expected, found=each.found,
        )
        if each.code == "image.changed" and str(each.where).rpartition("/")[0] in records
        else each
        for each in findings
    ]  # fmt: skip
