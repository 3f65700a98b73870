"""The seal of a case: a signed list of every file, with the head of the ledger.

A seal is a folder ``seals/NNNN``:

====================  ==================================================================================
``manifest.json``     canonical JSON: files with size, MD5 and SHA-256; ledger head; tools; signer
``manifest.sig``      Ed25519 signature (64 bytes) over exactly those bytes
``signer.pem``        the public key; it proves nothing about whose it is
``seal-code.txt``     the seal code, for the paper form; ``seal-code.svg`` the same as QR code
``manifest.sig.tsr``  optional RFC 3161 time stamp over ``manifest.sig`` (``.tsq`` is its request)
``countersign-NN.*``  optional countersignatures: statement (``.json``), signature (``.sig``), key (``.pem``)
====================  ==================================================================================

The seal code is the first 160 bits of the SHA-256 of ``manifest.json`` in base32 (RFC 4648), eight groups of four:
whoever has it on paper can tell any other manifest, 2^80 trials being the work to find two with one code.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path

import segno
from msgspec import Struct

from forensiq.custody.canonical import decode, encode
from forensiq.custody.case_folder import open_plain
from forensiq.custody.signing import PublicKey, Signer, public_pem, verify_signature
from forensiq.errors import CustodyError, NotCanonicalError
from forensiq.model.jsonable import Json
from forensiq.model.ledger import FileDigest, LedgerHead

__all__ = [
    "MANIFEST",
    "SCHEMA",
    "Manifest",
    "check_statement",
    "code_picture",
    "encode_manifest",
    "normal_code",
    "parse_manifest",
    "read_small",
    "seal_code",
    "sign_statement",
]

MANIFEST = "manifest.json"
SCHEMA = "forensiq/seal/1"
_MAX_MANIFEST = 256 * 1024 * 1024


class Manifest(Struct, frozen=True):
    """What a seal lists. ``ledger_bytes`` and ``ledger_sha256`` are of the ledger as it was then."""

    number: str
    case_number: str
    created: str
    signer: PublicKey
    head: LedgerHead
    ledger_bytes: int
    ledger_sha256: str
    files: tuple[FileDigest, ...]
    tool: Mapping[str, Json]


def seal_code(manifest: bytes) -> str:
    """Return the seal code of the bytes of a manifest: ``ABCD-EFGH-…``, eight groups."""
    text = base64.b32encode(hashlib.sha256(manifest).digest()[:20]).decode()
    return "-".join(text[at : at + 4] for at in range(0, 32, 4))


def normal_code(text: str) -> str:
    """Return a seal code as a person typed it in its normal form (0, 1 and 8 are not in the alphabet: O, I, B)."""
    plain = "".join(letter for letter in text.upper() if letter.isalnum()).translate(str.maketrans("018", "OIB"))
    return "-".join(plain[at : at + 4] for at in range(0, len(plain), 4))


def code_picture(code: str, manifest: bytes) -> bytes:
    """Return a QR code (SVG) with the seal code and the whole SHA-256 of the manifest."""
    text = f"FORENSIQ SEAL {code} SHA256 {hashlib.sha256(manifest).hexdigest().upper()}"
    picture = io.BytesIO()
    segno.make_qr(text, error="m").save(picture, kind="svg", scale=4, border=4)
    return picture.getvalue()


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of ``manifest.json``."""
    files: list[Json] = [
        {"path": each.path, "size": each.size, "md5": each.md5, "sha256": each.sha256} for each in manifest.files
    ]
    return encode(
        {
            "schema": SCHEMA,
            "seal": manifest.number,
            "case_number": manifest.case_number,
            "created": manifest.created,
            "signer": {"name": manifest.signer.name, "public_key": manifest.signer.raw.hex()},
            "ledger": {
                "path": "ledger.jsonl",
                "bytes": manifest.ledger_bytes,
                "sha256": manifest.ledger_sha256,
                "count": manifest.head.count,
                "seq": manifest.head.seq,
                "last_hash": manifest.head.last_hash,
            },
            "files": files,
            "tool": dict(manifest.tool),
        }
    )


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest in ``data``; :class:`~forensiq.errors.NotCanonicalError` if it is none."""
    value = decode(data)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise NotCanonicalError(f"not a {SCHEMA} manifest")
    try:
        signer, ledger = _object(value["signer"]), _object(value["ledger"])
        files = tuple(_file(each) for each in _list(value["files"]))
        return Manifest(
            _text(value["seal"]),
            _text(value["case_number"]),
            _text(value["created"]),
            PublicKey(bytes.fromhex(_text(signer["public_key"])), _text(signer["name"])),
            LedgerHead(_number(ledger["count"]), _number(ledger["seq"]), _text(ledger["last_hash"])),
            _number(ledger["bytes"]),
            _text(ledger["sha256"]),
            files,
            _object(value["tool"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NotCanonicalError(f"not a {SCHEMA} manifest: {error}") from None


def sign_statement(stem: Path, data: bytes, signer: Signer, *, key_name: str) -> dict[Path, bytes]:
    """Return the files of a signed statement: ``STEM.json``, ``STEM.sig`` and the public key in ``key_name``."""
    return {
        stem.with_name(stem.name + ".json"): data,
        stem.with_name(stem.name + ".sig"): signer.sign(data),
        stem.with_name(key_name): public_pem(signer.public),
    }


def check_statement(stem: Path, key: PublicKey, data: bytes, *, key_name: str) -> bool:
    """Say whether ``STEM.sig`` is the signature of ``data`` by ``key``, and the PEM file beside it is that very key.

    :class:`~forensiq.errors.CustodyError` if a file is missing.
    """
    signature = read_small(stem.with_name(stem.name + ".sig"))
    same_key = read_small(stem.with_name(key_name)) == public_pem(key)
    return same_key and verify_signature(key.raw, signature, data)


def read_small(path: Path, limit: int = _MAX_MANIFEST) -> bytes:
    """Return a file of a seal; ``CustodyError`` if it is missing, no regular file or larger than ``limit``."""
    with open_plain(path) as file:
        if file.size > limit:
            raise CustodyError(f"{path} is larger than {limit} bytes", path=str(path))
        with os.fdopen(os.dup(file.number), "rb") as data:
            return data.read(limit)


def _file(value: Json) -> FileDigest:
    entry = _object(value)
    return FileDigest(_text(entry["path"]), _number(entry["size"]), _text(entry["md5"]), _text(entry["sha256"]))


def _object(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise TypeError("an object is missing")
    return value


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError("a list is missing")
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError("text is missing")
    return value


def _number(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("a number is missing")
    return value
