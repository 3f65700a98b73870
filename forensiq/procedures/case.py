"""Case folders: open a case, look at it, add to it. Every change is an event in the ledger."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from forensiq.custody.case_file import changed_text, missing_fields
from forensiq.custody.case_folder import CaseFolder, hash_file, inside
from forensiq.custody.ledger import parse_line
from forensiq.custody.signing import fingerprint_of
from forensiq.custody.templates import load_template, starting_text
from forensiq.custody.transfer_file import transfer_numbers
from forensiq.errors import (
    DestinationExistsError,
    NotCanonicalError,
    UsageError,
)
from forensiq.model.case import Attachment, Case, CaseTemplate, EvidenceItem
from forensiq.model.finding import Finding
from forensiq.model.jsonable import Json, to_json
from forensiq.model.ledger import LedgerEntry, LedgerHead
from forensiq.procedures.case_commit import commit, finish_interrupted
from forensiq.procedures.case_items import add_item, bound_case_text
from forensiq.procedures.case_ledger import acting_user, append_event, case_identity
from forensiq.procedures.keys import KeyChoice, open_signer
from forensiq.streams.durable import destination_error, write_durably

__all__ = [
    "CaseEvent",
    "CaseState",
    "LedgerRow",
    "add_attachment",
    "add_evidence_item",
    "add_note",
    "amend_case",
    "new_case",
    "read_ledger",
    "show_case",
]


class CaseEvent(Struct, frozen=True):
    """What was written into the ledger by one command."""

    case: str
    action: str
    seq: int
    utc: str
    actor: str
    signer: str
    ledger_head: LedgerHead
    details: Mapping[str, Json]
    schema: str = "forensiq/case-event/1"


class CaseState(Struct, frozen=True):
    """What a case looks like now. ``missing`` lists fields that the template asks for; nothing here is verified."""

    path: str
    identity: str
    case: Case
    template: CaseTemplate | None
    ledger_head: LedgerHead
    missing: tuple[Finding, ...]
    files: int
    bytes: int
    seals: tuple[str, ...]
    transfers: int
    schema: str = "forensiq/case/1"


class LedgerRow(Struct, frozen=True):
    """One line of the ledger as it is shown; ``problem`` says why a line is no entry."""

    line: int
    entry: LedgerEntry | None
    fingerprint: str
    problem: str | None = None


def new_case(
    root: Path,
    number: str,
    examiner: str,
    *,
    template: str = "default",
    values: Mapping[str, str] | None = None,
    key: KeyChoice | None = None,
) -> CaseEvent:
    """Make a case folder in ``root`` (which may exist if it is empty) and write its first event.

    ``values`` are further fields of ``case.toml``: ``agency``, ``examiner.role``, ``fields.offence`` …
    """
    kind = load_template(template)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DestinationExistsError(f"{root} exists and is not an empty folder", path=str(root))
    given = {"number": number, "examiner.name": examiner, "template": template, **(values or {})}
    text = changed_text(starting_text(template), str(root / "case.toml"), values=given)
    signer = open_signer(key)
    folder = CaseFolder(root)
    try:
        for each in (root, folder.evidence, folder.attachments, folder.transfers, folder.reports, folder.seals):
            each.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise destination_error(error, root, "making the case folder") from error
    write_durably(folder.case_file, text.encode())
    write_durably(root / "checklist.md", kind.checklist.encode())
    folder.ledger.create()
    digests = {"case.toml": hash_file(root, "case.toml").sha256}
    parameters = {
        "number": number,
        "template": template,
        "signer_name": signer.public.name,
        "by": acting_user(),
    }
    entry = append_event(folder, signer, examiner, "case_opened", parameters=parameters, digests=digests)
    return _event(folder, entry)


def show_case(root: Path) -> CaseState:
    """Return what the case folder holds, without checking it."""
    folder = CaseFolder.open(root)
    case = folder.read_case()
    try:
        template = load_template(case.template)
    except UsageError:
        template = None
    files = [each for each in folder.walk() if each.kind == "file"]
    return CaseState(
        str(root),
        case_identity(folder),
        case,
        template,
        folder.ledger.head(),
        missing_fields(case, template) if template else (),
        len(files),
        sum(each.size for each in files),
        tuple(sorted(each.name for each in folder.seals.glob("*") if each.is_dir())),
        len(transfer_numbers(folder)),
    )


def read_ledger(root: Path) -> Iterator[LedgerRow]:
    """Yield the ledger line by line, as it stands; whether it is intact is for ``case verify`` to say."""
    for number, (_, line) in enumerate(CaseFolder.open(root).ledger.lines(), start=1):
        try:
            entry = parse_line(line.removesuffix(b"\n"))
        except NotCanonicalError as error:
            yield LedgerRow(number, None, "", str(error))
        else:
            yield LedgerRow(number, entry, fingerprint_of(bytes.fromhex(entry.key)))


def add_note(
    root: Path, text: str, *, item: str | None = None, actor: str | None = None, key: KeyChoice | None = None
) -> CaseEvent:
    """Write a signed note."""
    if not text.strip():
        raise UsageError("the note is empty")
    folder, who = _open(root, actor)
    if item is not None:
        _item(folder.read_case(), item)
    parameters = {"text": text, "by": acting_user()} | ({"item": item} if item is not None else {})
    return _event(folder, append_event(folder, open_signer(key), who, "note", parameters=parameters))


def add_evidence_item(
    root: Path, item: EvidenceItem, *, actor: str | None = None, key: KeyChoice | None = None
) -> CaseEvent:
    """Add an exhibit to the case."""
    finish_interrupted(root, key)
    folder, who = _open(root, actor)
    if item.identifier.casefold() in (each.identifier.casefold() for each in folder.read_case().items):
        raise UsageError(f"the case has an item {item.identifier!r} already", hint="edit case.toml, then: case amend")
    return _event(folder, add_item(folder, item, open_signer(key), who))


def add_attachment(
    root: Path,
    file: Path,
    *,
    item: str | None = None,
    caption: str = "",
    actor: str | None = None,
    key: KeyChoice | None = None,
) -> CaseEvent:
    """Copy a photo or document into the case and bind it by its digest, to an item or to the case."""
    folder, who = _open(root, actor)
    if item is not None:
        _item(folder.read_case(), item)
    signer = open_signer(key)
    name = "".join(letter if letter.isprintable() and letter != "/" else "_" for letter in file.name)
    relative = f"attachments/{item}/{name}" if item is not None else f"attachments/{name}"
    with commit(folder, signer, who) as step:
        before = bound_case_text(folder)
        place = step.room_for(inside(root, relative))
        _copy(file, place)
        digest = hash_file(place.parent, place.name)
        attachment = Attachment(relative, digest.sha256, digest.size, caption)
        changes = {"add": {"attachments": attachment}} if item is None else {"attach": {item: attachment}}
        text = changed_text(before, str(folder.case_file), **changes)  # type: ignore[arg-type]
        facts = {"attachment": to_json(attachment), "original_path": file}
        facts |= {"item": item} if item is not None else {}
        step.bind({relative: digest.sha256}, "attached", parameters=facts)
        reason = {"reason": "attachment"}
        return _event(
            folder, step.write({folder.case_file: text.encode()}, "case_amended", parameters=reason, replace=True)
        )


def amend_case(root: Path, reason: str, *, actor: str | None = None, key: KeyChoice | None = None) -> CaseEvent:
    """Check ``case.toml`` after it was edited by hand, and bind it as it is now."""
    folder, who = _open(root, actor)
    digests = {"case.toml": hash_file(folder.root, "case.toml").sha256}
    parameters = {"reason": reason}
    return _event(
        folder, append_event(folder, open_signer(key), who, "case_amended", parameters=parameters, digests=digests)
    )


def _copy(file: Path, place: Path) -> None:
    try:
        with file.open("rb") as source, place.open("xb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        place.unlink(missing_ok=True)
        raise UsageError(f"{file} cannot be attached: {error.strerror}", path=str(file)) from error


def _open(root: Path, actor: str | None) -> tuple[CaseFolder, str]:
    folder = CaseFolder.open(root)
    return folder, actor or folder.read_case().examiner.name or acting_user()


def _item(case: Case, identifier: str) -> EvidenceItem:
    for each in case.items:
        if each.identifier == identifier:
            return each
    known = [each.identifier for each in case.items]
    raise UsageError(f"the case has no item {identifier!r}", hint=f"it has {', '.join(known) or 'none'}", known=known)


def _event(folder: CaseFolder, entry: LedgerEntry) -> CaseEvent:
    head = LedgerHead(entry.seq, entry.seq, entry.hash)
    mark = fingerprint_of(bytes.fromhex(entry.key))
    return CaseEvent(str(folder.root), entry.action, entry.seq, entry.utc, entry.actor, mark, head, entry.parameters)
