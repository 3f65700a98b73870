"""Hands an item over: hashed before and after, who to whom, why and by what right; the receiver countersigns.

Steps of a release: (1) open the key; (2) "transfer.started"; (3) hash the item's files and compare them with the
ledger; (4) hash them again, where they are then; (5) write and sign the release, with a receipt as PDF;
(6) "transfer.finished". Steps of a receipt: (1) open the receiver's key; (2) "receipt.started", signed by the receiver;
(3) hash and compare with the release; (4) write and sign the receipt; (5) "receipt.finished".
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from forensiq import clock
from forensiq.custody.audit import audit_ledger
from forensiq.custody.case_folder import CaseFolder, hash_file
from forensiq.custody.package import Bindings, PackageState, compare_files, image_or_custody
from forensiq.custody.seal import check_statement, read_small
from forensiq.custody.signing import Signer, load_public_key
from forensiq.custody.transfer_file import MAX_TRANSFER, parse_transfer, transfer_files, transfer_numbers
from forensiq.errors import CustodyError, NoReferenceError, UsageError, VerificationFailed
from forensiq.model.case import EvidenceItem
from forensiq.model.finding import Finding, Severity
from forensiq.model.ledger import FileDigest, TransferRecord
from forensiq.procedures.attending import Attendant
from forensiq.procedures.case_commit import finish_interrupted
from forensiq.procedures.case_pins import collect_pins
from forensiq.procedures.case_verify import exit_code_of
from forensiq.procedures.custody_step import CustodyStep, custody_step
from forensiq.procedures.keys import KeyChoice, open_signer
from forensiq.reports.pdf import render_receipt
from forensiq.streams.progress import Progress

__all__ = ["HandOver", "receive_item", "transfer_item"]


class HandOver(Struct, frozen=True):
    """What is said of a hand-over: to whom, why, by what right, where, under which seals, in which condition."""

    to: str
    purpose: str = ""
    authority: str = ""
    location: str = ""
    seal_out: str = ""
    seal_in: str = ""
    condition: str = ""
    notes: str = ""


def transfer_item(
    root: Path,
    item: str,
    said: HandOver,
    *,
    moved_to: Path | None = None,
    defer: bool = False,
    released_by: str | None = None,
    key: KeyChoice | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> TransferRecord:
    """Release an item.

    ``moved_to`` is the folder where the item's files are after the hand-over (a copy for the receiver), else they are
    hashed again in place. ``defer`` leaves the hash after the hand-over to the receiver. Raises before anything is
    handed over if the files are not what the ledger says: :class:`~forensiq.errors.VerificationFailed` if only an image
    is damaged, else :class:`~forensiq.errors.CustodyError`.
    """
    if not said.to.strip():
        raise UsageError("to whom?", hint="--to NAME")
    folder = CaseFolder.open(root)
    case = folder.read_case()
    exhibit = _item(case.items, item)
    signer, attendant = open_signer(key), Attendant(progress, stop)
    finish_interrupted(root, key)
    who = released_by or case.examiner.name
    number = f"{int(max(transfer_numbers(folder), default='0')) + 1:04d}"
    given = {"transfer": number, "item": item, "to": said.to, "purpose": said.purpose, "authority": said.authority}
    with custody_step(root, "transfer", given, signer=signer, actor=who) as step:
        before, findings = _hash_and_compare(folder, item, attendant)
        _refuse(findings)
        after = () if defer else _hash_again(folder, item, before, moved_to, attendant)
        differing = () if defer else tuple(_differences(before, after))
        record = TransferRecord(
            identifier=number,
            case_number=case.number,
            agency=case.agency,
            item=item,
            description=exhibit.description,
            released_by=who,
            received_by=said.to,
            purpose=said.purpose,
            authority=said.authority,
            location=said.location,
            seal_out=said.seal_out,
            seal_in=said.seal_in,
            condition=said.condition,
            released=clock.rfc3339(clock.utc_now()),
            received=None,
            before=before,
            after=after,
            matches_ledger=True if before and not findings else None,
            match=None if defer or not before else not differing,
            released_fingerprint=signer.public.fingerprint,
            findings=(*findings, *differing),
            notes=said.notes,
            ledger_head=step.head,
        )
        _write(folder, record, "release", signer, step)
    return record


def receive_item(
    root: Path,
    *,
    number: str | None = None,
    place: Path | None = None,
    seal_in: str = "",
    condition: str = "",
    key: KeyChoice | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> TransferRecord:
    """Countersign a hand-over as the receiver, after hashing what was received (in ``place``, else in the case).

    :class:`~forensiq.errors.CustodyError` if the release does not verify; a difference in the files is recorded.
    """
    signer = open_signer(key, personal=True)
    folder = CaseFolder.open(root)
    finish_interrupted(root, key)
    release = _release(folder, number)
    if signer.public.fingerprint == release.released_fingerprint:
        raise UsageError(
            f"hand-over {release.identifier} was released with this very key", hint="--key of the one who receives"
        )
    given = {"transfer": release.identifier, "item": release.item, "from": release.released_by}
    with custody_step(root, "receipt", given, signer=signer, actor=release.received_by) as step:
        after = _hash_again(folder, release.item, release.before, place, Attendant(progress, stop))
        differing = tuple(_differences(release.before, after))
        record = replace(
            release,
            received=clock.rfc3339(clock.utc_now()),
            after=after,
            match=not differing if release.before else None,
            received_fingerprint=signer.public.fingerprint,
            seal_in=seal_in or release.seal_in,
            condition=condition or release.condition,
            findings=differing,
            ledger_head=step.head,
        )
        _write(folder, record, "receipt", signer, step)
    return record


def _item(items: Iterable[EvidenceItem], identifier: str) -> EvidenceItem:
    known = {each.identifier: each for each in items}
    if identifier not in known:
        raise UsageError(f"the case has no item {identifier!r}", hint=f"it has {', '.join(known) or 'none'}")
    return known[identifier]


def _hash_and_compare(
    folder: CaseFolder, item: str, attendant: Attendant
) -> tuple[tuple[FileDigest, ...], tuple[Finding, ...]]:
    prefix = f"evidence/{item}/"
    bindings = Bindings()
    report = audit_ledger(folder.ledger, collect_pins(folder), visit=attendant.auditing(bindings.visit))
    bound = {path: binding for path, binding in bindings.last.items() if path.startswith(prefix)}
    files: dict[str, FileDigest] = {}
    unreadable: dict[str, str] = {}
    advance = attendant.hashing(folder, prefix)
    for found in folder.walk():
        if found.kind == "file" and found.key.startswith(prefix):
            try:
                files[found.key] = hash_file(folder.root, found.key, advance)
            except CustodyError as error:
                unreadable[found.key] = error.message
    findings = compare_files(PackageState(files, (), unreadable), bound)
    return tuple(files[key] for key in sorted(files)), (*report.findings, *findings)


def _hash_again(
    folder: CaseFolder, item: str, before: tuple[FileDigest, ...], place: Path | None, attendant: Attendant
) -> tuple[FileDigest, ...]:
    """Hash the files of ``before`` where they are now; one that is gone or cannot be read is left out."""
    prefix = f"evidence/{item}/"
    result: list[FileDigest] = []
    advance = attendant.counting(sum(each.size for each in before))
    for each in before:
        try:
            if place is None:
                result.append(hash_file(folder.root, each.path, advance))
            else:
                result.append(replace(hash_file(place, each.path.removeprefix(prefix), advance), path=each.path))
        except CustodyError:
            continue
    return tuple(result)


def _differences(before: tuple[FileDigest, ...], after: tuple[FileDigest, ...]) -> Iterable[Finding]:
    found = {each.path: each for each in after}
    for each in before:
        now = found.get(each.path)
        if now is None:
            text = "the file was handed over and is not there afterwards, or cannot be read"
            yield image_or_custody(each.path, "transfer.file_missing", text, each.sha256, None)
        elif now != each:
            text = "the file is not the one that was handed over"
            yield image_or_custody(each.path, "transfer.file_changed", text, each.sha256, now.sha256)


def _refuse(findings: tuple[Finding, ...]) -> None:
    code = int(exit_code_of(findings))
    if code:
        worst = next(each for each in findings if each.severity is Severity.ERROR)
        kind = CustodyError if code == int(CustodyError.exit_code) else VerificationFailed
        raise kind(
            f"nothing was handed over: {worst.code} {worst.where or ''}: {worst.message}",
            hint="forensiq case verify DIR tells everything",
            findings=[each.code for each in findings],
        )


def _release(folder: CaseFolder, number: str | None) -> TransferRecord:
    numbers = transfer_numbers(folder)
    if not numbers:
        raise NoReferenceError("nothing was handed over yet", hint="forensiq case transfer DIR --item ID --to NAME")
    wanted = numbers[-1] if number is None else number.zfill(4)
    if wanted not in numbers:
        raise UsageError(f"there is no hand-over {number!r}", hint=f"there are {', '.join(numbers)}")
    if (folder.transfers / f"{wanted}.receipt.json").exists():
        raise UsageError(f"hand-over {wanted} was received already")
    stem = folder.transfers / f"{wanted}.release"
    data = read_small(stem.with_name(f"{stem.name}.json"), MAX_TRANSFER)
    record = parse_transfer(data)
    bindings = Bindings()
    report = audit_ledger(folder.ledger, collect_pins(folder), visit=bindings.visit)
    relative = f"transfers/{stem.name}.json"
    bound = bindings.last.get(relative, ("", 0))[0]
    key = load_public_key(stem.with_name(f"{stem.name}.pem"))
    holds = check_statement(stem, key, data, key_name=f"{stem.name}.pem")
    holds = holds and key.fingerprint == record.released_fingerprint
    if not report.intact or bound != hash_file(folder.root, relative).sha256 or not holds:
        raise CustodyError(
            f"the release of hand-over {wanted} does not verify; nothing was signed",
            hint="forensiq case verify DIR tells everything",
        )
    return record


def _write(folder: CaseFolder, record: TransferRecord, stage: str, signer: Signer, step: CustodyStep) -> None:
    parts = transfer_files(folder, record, stage, signer)
    parts[folder.transfers / f"{record.identifier}.{stage}.pdf"] = render_receipt(record).data
    step.write(parts)
    outcome = "finished" if record.match is not False else "finished_with_differences"
    step.result(outcome, transfer=record.identifier, match=record.match, files=len(record.before))
