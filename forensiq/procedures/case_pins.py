"""Heads of the ledger that were written down outside it: in records, hand-overs, seals, and on this machine."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from forensiq.custody.audit import Pin
from forensiq.custody.case_folder import CaseFolder, inside, open_plain
from forensiq.custody.trust import remembered_head
from forensiq.errors import CustodyError, UsageError
from forensiq.model.ledger import LedgerHead
from forensiq.procedures.case_ledger import case_identity

__all__ = ["collect_pins", "parse_head", "pins_in"]

_MAX_RECORD = 64 * 1024 * 1024
_HEAD = re.compile(r"([0-9]{1,15}):([0-9a-f]{64})")


def parse_head(text: str) -> LedgerHead:
    """Return the head that a person copied from paper: ``COUNT:SHA256``."""
    found = _HEAD.fullmatch(text.strip().lower())
    if found is None:
        raise UsageError(f"{text[:80]!r} is not the head of a ledger", hint="COUNT:SHA256, as in a report or record")
    return LedgerHead(int(found[1]), int(found[1]), found[2])


def collect_pins(folder: CaseFolder, given: LedgerHead | None = None) -> list[Pin]:
    """Return every head that can be found for this case, and where it stands."""
    result = [Pin(given, "the head you gave")] if given is not None else []
    try:
        remembered = remembered_head(case_identity(folder))
    except CustodyError:
        remembered = None
    if remembered is not None:
        result.append(Pin(remembered, "what this machine remembers"))
    for found in folder.walk():
        record = found.key.startswith("evidence/") and found.key.endswith(".json")
        other = found.key.startswith(("transfers/", "seals/", "reports/")) and found.key.endswith(".json")
        if found.kind == "file" and (record or other) and found.size <= _MAX_RECORD:
            result.extend(Pin(head, found.key) for head in pins_in(inside(folder.root, found.key)))
    return result


def pins_in(path: Path) -> Iterator[LedgerHead]:
    """Yield the heads in a JSON file: ``ledger_head`` or ``ledger`` at its top; nothing for anything else."""
    try:
        with open_plain(path) as file, os.fdopen(os.dup(file.number), "rb") as data:
            value = json.loads(data.read(_MAX_RECORD))
    except (CustodyError, ValueError, RecursionError):
        return
    for name in ("ledger_head", "ledger"):
        head = value.get(name) if isinstance(value, dict) else None
        if not isinstance(head, dict):
            continue
        count, seq, last_hash = head.get("count"), head.get("seq"), head.get("last_hash")
        if isinstance(count, int) and isinstance(seq, int) and isinstance(last_hash, str):
            yield LedgerHead(count, seq, last_hash)
