"""Items of a case: where their images go, and how ``case.toml`` is changed so that the ledger knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from forensiq.custody.case_file import changed_text
from forensiq.custody.case_folder import CaseFolder, hash_file, inside
from forensiq.custody.signing import Signer
from forensiq.errors import UsageError
from forensiq.model.case import EvidenceItem
from forensiq.model.jsonable import to_json
from forensiq.model.ledger import LedgerEntry
from forensiq.procedures.case_ledger import acting_user, append_event
from forensiq.procedures.keys import KeyChoice, open_signer
from forensiq.streams.durable import write_durably

__all__ = ["add_item", "change_case_file", "evidence_stem"]


def evidence_stem(case_dir: Path, item: str, *, key: KeyChoice | None = None, description: str = "") -> Path:
    """Return where an item's image goes: ``CASE/evidence/ITEM/ITEM``, without ending.

    An item that the case does not know yet is added to ``case.toml``, and the ledger says so.
    """
    folder = CaseFolder.open(case_dir)
    folder.item_folder(item)
    case = folder.read_case()
    known = {each.identifier.casefold(): each.identifier for each in case.items}
    if item.casefold() not in known:
        add_item(folder, EvidenceItem(item, description), open_signer(key), case.examiner.name or acting_user())
    elif known[item.casefold()] != item:
        raise UsageError(f"the case calls this item {known[item.casefold()]!r}, not {item!r}")
    return inside(case_dir, f"evidence/{item}/{item}")


def add_item(folder: CaseFolder, item: EvidenceItem, signer: Signer, actor: str) -> LedgerEntry:
    """Write a new item into ``case.toml`` and the ledger."""
    text = changed_text(folder.case_text().decode(), str(folder.case_file), add={"items": item})
    return change_case_file(folder, text, signer, actor, "item_added", {"item": to_json(item)})


def change_case_file(
    folder: CaseFolder, text: str, signer: Signer, actor: str, action: str, parameters: Mapping[str, object]
) -> LedgerEntry:
    """Write ``case.toml`` and the event that binds its new digest."""
    write_durably(folder.case_file, text.encode(), replace=True)
    digest = hash_file(folder.root, "case.toml").sha256
    return append_event(folder, signer, actor, action, parameters=parameters, digests={"case.toml": digest})
