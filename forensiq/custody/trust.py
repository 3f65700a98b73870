"""Which keys you trust, the heads this machine has seen, and this machine's own key: what is kept outside the case.

A key that comes with a case proves nothing about who signed. So trust is kept in your own configuration
(``$XDG_CONFIG_HOME/forensiq``, else ``~/.config/forensiq``), never in the case:

``trusted_keys.json``  fingerprint → name that you gave it
``machine-key.pem``    signs events where nobody named a key; not encrypted, mode 0600

The last head that this machine wrote or saw of each case is in ``$XDG_STATE_HOME/forensiq/heads`` (else
``~/.local/state``), so that a ledger that was cut short, or exchanged as a whole, shows here even without a seal.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from forensiq.custody.canonical import decode, encode
from forensiq.custody.signing import SoftwareKey, create_key, load_key
from forensiq.errors import CustodyError, DestinationError, DestinationExistsError, NotCanonicalError, SigningKeyError
from forensiq.model.ledger import LedgerHead
from forensiq.streams.durable import write_durably

__all__ = ["machine_key", "remember_head", "remembered_head", "trust_key", "trusted_keys"]

_MAX_FILE = 4 * 1024 * 1024


def trusted_keys() -> dict[str, str]:
    """Return fingerprint → name; :class:`~forensiq.errors.CustodyError` if the list is damaged."""
    try:
        path = _config() / "trusted_keys.json"
    except DestinationError:
        return {}
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(_MAX_FILE))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise CustodyError(f"the list of trusted keys {path} cannot be read: {error}", path=str(path)) from error
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value.values()):
        raise CustodyError(f"the list of trusted keys {path} is damaged", path=str(path))
    return value


def trust_key(fingerprint: str, name: str) -> Path:
    """Trust a key (64 hexadecimal digits) under ``name``; return the list's path."""
    fingerprint = fingerprint.lower().replace(":", "")
    if len(fingerprint) != 64 or set(fingerprint) - set("0123456789abcdef"):
        raise SigningKeyError("a fingerprint is 64 hexadecimal digits", fingerprint=fingerprint[:80])
    if not name.strip() or not name.isprintable():
        raise SigningKeyError("a trusted key needs a name: whose is it?", hint="--name NAME")
    path = _config() / "trusted_keys.json"
    text = json.dumps({**trusted_keys(), fingerprint: name}, indent=1, ensure_ascii=False, sort_keys=True)
    write_durably(path, text.encode() + b"\n", replace=True, mode=0o600)
    return path


def machine_key() -> SoftwareKey:
    """Return the key that signs where nobody named one; made on first use, not encrypted."""
    try:
        path = _config() / "machine-key.pem"
        if not path.exists():
            create_key(path, f"machine {platform.node() or 'unknown'}", None)
    except DestinationExistsError:
        pass  # another process was quicker
    except DestinationError as error:
        raise SigningKeyError(
            f"there is no key to sign the ledger with, and none can be made: {error}",
            hint="name one: --key FILE or FORENSIQ_KEY",
        ) from error
    return load_key(path, lambda _: "")


def remember_head(case: str, head: LedgerHead) -> bool:
    """Keep the head of the ledger whose first line has the hash ``case``; say whether it could be kept."""
    content: Mapping[str, int | str] = {"count": head.count, "seq": head.seq, "last_hash": head.last_hash}
    try:
        write_durably(_head_file(case), encode(dict(content)), replace=True, mode=0o600)
    except DestinationError:
        return False
    return True


def remembered_head(case: str) -> LedgerHead | None:
    """Return the head that was kept for a case; ``None`` if there is none that can be read."""
    try:
        with _head_file(case).open("rb") as file:
            value = decode(file.read(4096))
    except (OSError, NotCanonicalError, DestinationError):
        return None
    if not isinstance(value, dict):
        return None
    count, seq, last_hash = value.get("count"), value.get("seq"), value.get("last_hash")
    if isinstance(count, int) and isinstance(seq, int) and isinstance(last_hash, str):
        return LedgerHead(count, seq, last_hash)
    return None


def _head_file(case: str) -> Path:
    return _folder("XDG_STATE_HOME", ".local/state") / "heads" / f"{case}.json"


def _config() -> Path:
    return _folder("XDG_CONFIG_HOME", ".config")


def _folder(variable: str, default: str) -> Path:
    given = os.environ.get(variable, "")
    if given.startswith("/"):
        return Path(given) / "forensiq"
    try:
        return Path.home() / default / "forensiq"
    except RuntimeError as error:
        raise DestinationError(f"this user has no home folder: set {variable}") from error
