"""A small case with everything in it, for tests: image, record, map, attachment, note, hand-over of keys."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from forensiq.procedures.acquire import acquire
from forensiq.procedures.acquire_request import AcquireRequest, CaseChoice
from forensiq.procedures.case import add_attachment, add_note, new_case
from forensiq.procedures.keys import KeyChoice

SOURCE_SIZE = 1536 * 1024
SEGMENT_SIZE = 1024 * 1024


def key_file(folder: Path, name: str) -> KeyChoice:
    """A key without passphrase, made from its name: quick."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.pem"
    if not path.exists():
        secret = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        pem = secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(f"Name: {name}\n".encode() + pem)
        path.chmod(0o600)
    return KeyChoice(path, lambda _: "")


def make_case(root: Path, keys: Path) -> Path:
    """A case with one item, acquired into an image of two segments; an attachment, a note."""
    key = key_file(keys, "ada")
    new_case(root, "2026-7", "Ada", template="criminal", key=key)
    source = keys / "source.img"
    source.write_bytes(random.Random(7).randbytes(SOURCE_SIZE))
    request = AcquireRequest(
        source=str(source), output=root, segment_size=SEGMENT_SIZE, case=CaseChoice(root, "ITEM-1", key)
    )
    assert acquire(request).status == "complete"
    photo = keys / "label.jpg"
    photo.write_bytes(b"\xff\xd8 not really a photo")
    add_attachment(root, photo, item="ITEM-1", caption="Label", key=key)
    add_note(root, "Seal intact.\nCut at 14:05 — Ünïcode", item="ITEM-1", key=key)
    return root
