"""Countersignatures: a witness or a receiver signs a short statement about one seal."""

from __future__ import annotations

import hashlib
from pathlib import Path

from msgspec import Struct

from forensiq.custody.canonical import decode, encode
from forensiq.custody.seal import MANIFEST, check_statement, read_small
from forensiq.custody.signing import PublicKey
from forensiq.errors import CustodyError
from forensiq.model.ledger import CountersignatureFacts

__all__ = ["SCHEMA", "Countersignature", "check_countersignature", "encode_countersignature"]

SCHEMA = "forensiq/countersignature/1"
_MAX_STATEMENT = 1024 * 1024
_TEXTS = ("seal", "manifest_sha256", "signature_sha256", "role", "statement", "utc", "name", "public_key")


class Countersignature(Struct, frozen=True):
    """What a countersigner says: about which seal, as whom, when."""

    seal: str
    manifest: bytes
    seal_signature: bytes
    role: str
    statement: str
    utc: str
    key: PublicKey


def encode_countersignature(said: Countersignature) -> bytes:
    """Return the bytes that are signed."""
    return encode(
        {
            "schema": SCHEMA,
            "seal": said.seal,
            "manifest_sha256": hashlib.sha256(said.manifest).hexdigest(),
            "signature_sha256": hashlib.sha256(said.seal_signature).hexdigest(),
            "role": said.role,
            "statement": said.statement,
            "utc": said.utc,
            "name": said.key.name,
            "public_key": said.key.raw.hex(),
        }
    )


def check_countersignature(place: Path, trusted: dict[str, str]) -> CountersignatureFacts:
    """Return what ``countersign-NN.json`` says and whether it holds for the seal in its folder.

    :class:`~forensiq.errors.CustodyError` if it is not one.
    """
    data = read_small(place, _MAX_STATEMENT)
    value = decode(data)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise CustodyError(f"{place.name} is no countersignature", path=str(place))
    texts: dict[str, str] = {}
    for name in _TEXTS:
        text = value.get(name)
        if not isinstance(text, str):
            raise CustodyError(f"{place.name} is no countersignature: {name} is missing", path=str(place))
        texts[name] = text
    try:
        key = PublicKey(bytes.fromhex(texts["public_key"]), texts["name"])
    except ValueError as error:
        raise CustodyError(f"{place.name} names no key", path=str(place)) from error
    folder, stem = place.parent, place.with_suffix("")
    same_seal = (
        texts["manifest_sha256"] == hashlib.sha256(read_small(folder / MANIFEST)).hexdigest()
        and texts["signature_sha256"] == hashlib.sha256(read_small(folder / "manifest.sig")).hexdigest()
    )
    holds = same_seal and check_statement(stem, key, data, key_name=f"{stem.name}.pem")
    return CountersignatureFacts(
        texts["name"], texts["role"], texts["statement"], texts["utc"], key.fingerprint, holds,
        trusted.get(key.fingerprint),
    )  # fmt: skip
