"""One way into a case's ledger: who acts, what may stand in an event, and the head that this machine remembers."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from forensiq.custody.case_folder import CaseFolder
from forensiq.custody.ledger import Event, head_after
from forensiq.custody.signing import Signer
from forensiq.custody.trust import remember_head
from forensiq.errors import CustodyError
from forensiq.model.jsonable import Json, to_json
from forensiq.model.ledger import LedgerEntry
from forensiq.procedures.environment import clock_facts

__all__ = ["acting_user", "append_event", "case_identity", "ledger_value"]

_MAX_INTEGER = 2**53 - 1


def append_event(
    folder: CaseFolder,
    signer: Signer,
    actor: str,
    action: str,
    *,
    parameters: Mapping[str, object] | None = None,
    result: Mapping[str, object] | None = None,
    digests: Mapping[str, str] | None = None,
) -> LedgerEntry:
    """Append one event, with the clock's offset where it is known, and remember the new head on this machine."""
    offset = clock_facts().offset_s
    event = Event(
        str(ledger_value(actor)), action, _object(parameters), _object(result),
        {str(ledger_value(path)): digest for path, digest in (digests or {}).items()},
        None if offset is None else round(offset * 1_000_000),
    )  # fmt: skip
    entry = folder.ledger.append(event, signer)
    remember_head(case_identity(folder), head_after(entry))
    return entry


def case_identity(folder: CaseFolder) -> str:
    """Return what names this ledger for ever: the SHA-256 of its first line."""
    for _, line in folder.ledger.lines():
        return hashlib.sha256(line.removesuffix(b"\n")).hexdigest()
    raise CustodyError(f"{folder.ledger.path} is empty", path=str(folder.ledger.path))


def ledger_value(value: object) -> Json:
    """Return ``value`` as the ledger can hold it.

    Like :func:`~forensiq.model.jsonable.to_json`, and: paths become text; fractions, and integers beyond 2^53, become
    their decimal text; bytes of names that are no UTF-8 (lone surrogates) become backslash escapes.
    """
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, float) or (isinstance(value, int) and abs(value) > _MAX_INTEGER):
        return repr(value)
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {str(ledger_value(str(name))): ledger_value(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [ledger_value(each) for each in value]
    plain = to_json(value)
    return ledger_value(plain) if isinstance(plain, (dict, list, str, float)) else plain


def acting_user() -> str:
    """Return who runs the program: login name, the one behind sudo, host."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    behind = os.environ.get("SUDO_USER")
    return f"{name}{f' (sudo by {behind})' if behind else ''}@{platform.node() or 'unknown'}"


def _object(value: Mapping[str, object] | None) -> dict[str, Json]:
    plain = ledger_value(dict(value or {}))
    return plain if isinstance(plain, dict) else {}
