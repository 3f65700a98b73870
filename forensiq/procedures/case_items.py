"""Items of a case: where their images go, and how ``case.toml`` is changed so that the ledger knows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from forensiq.custody.case_file import changed_text
from forensiq.custody.case_folder import CaseFolder, inside
from forensiq.custody.signing import Signer
from forensiq.errors import CustodyError, UsageError
from forensiq.model.case import EvidenceItem
from forensiq.model.jsonable import to_json
from forensiq.model.ledger import LedgerEntry
from forensiq.procedures.case_commit import commit, finish_interrupted
from forensiq.procedures.case_ledger import acting_user
from forensiq.procedures.keys import KeyChoice, open_signer

__all__ = ["add_item", "bound_case_text", "change_case_file", "evidence_stem"]


def evidence_stem(case_dir: Path, item: str, *, key: KeyChoice | None = None, description: str = "") -> Path:
    """Return where an item's image goes: ``CASE/evidence/ITEM/ITEM``, without ending.

    An item that the case does not know yet is added to ``case.toml``, and the ledger says so.
    """
    folder = CaseFolder.open(case_dir)
    folder.item_folder(item)
    finish_interrupted(case_dir, key)
    case = folder.read_case()
    known = {each.identifier.casefold(): each.identifier for each in case.items}
    if item.casefold() not in known:
        add_item(folder, EvidenceItem(item, description), open_signer(key), case.examiner.name or acting_user())
    elif known[item.casefold()] != item:
        raise UsageError(f"the case calls this item {known[item.casefold()]!r}, not {item!r}")
    return inside(case_dir, f"evidence/{item}/{item}")


def add_item(folder: CaseFolder, item: EvidenceItem, signer: Signer, actor: str) -> LedgerEntry:
    """Write a new item into ``case.toml`` and the ledger."""

    def change(text: str) -> str:
        return changed_text(text, str(folder.case_file), add={"items": item})

    return change_case_file(folder, change, signer, actor, "item_added", {"item": to_json(item)})


def change_case_file(
    folder: CaseFolder,
    change: Callable[[str], str],
    signer: Signer,
    actor: str,
    action: str,
    parameters: Mapping[str, object],
) -> LedgerEntry:
    """Change the text of ``case.toml`` and write the event that binds its new digest.

    :class:`~forensiq.errors.CustodyError` if ``case.toml`` is not what the ledger binds: what somebody else wrote into
    it must not get a signature in passing.
    """
    with commit(folder, signer, actor) as step:
        text = change(bound_case_text(folder))
        return step.write({folder.case_file: text.encode()}, action, parameters=parameters, replace=True)


def bound_case_text(folder: CaseFolder) -> str:
    """Return the text of ``case.toml``, which must be as the ledger binds it."""
    data = folder.case_text()
    bound = folder.ledger.bindings("case.toml")
    if not bound or bound[0][0] != hashlib.sha256(data).hexdigest():
        raise CustodyError(
            "case.toml is not as the ledger says: it was edited by hand, and nobody has signed that",
            hint=f"look at it, then: forensiq case amend {folder.root} --reason TEXT",
            path=str(folder.case_file),
        )
    return data.decode()
