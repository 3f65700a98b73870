"""A small case with everything in it, for tests: image, record, map, attachment, note, hand-over of keys."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from forensiq.model.jsonable import to_json
from forensiq.procedures.case import add_attachment, add_note, new_case
from forensiq.procedures.custody_step import custody_step, evidence_stem
from forensiq.procedures.keys import KeyChoice


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
    """A case with one item, acquired by hand: image in two segments, record, map, log."""
    key = key_file(keys, "ada")
    new_case(root, "2026-7", "Ada", template="criminal", key=key)
    stem = evidence_stem(root, "ITEM-1", key=key)
    with custody_step(root, "acquire", {"item": "ITEM-1"}, key=key) as step:
        stem.parent.mkdir(parents=True)
        digests = {}
        for number, content in enumerate((b"first segment" * 30, b"second segment" * 20), start=1):
            segment = stem.with_name(f"ITEM-1.E0{number}")
            segment.write_bytes(content)
            digests[str(segment)] = hashlib.sha256(content).hexdigest()
        record = stem.with_name("ITEM-1.record.json")
        record.write_text(json.dumps({"ledger_head": to_json(step.head), "digests": digests}))
        stem.with_name("ITEM-1.map").write_text("0x0 0x200 +\n")
        stem.with_name("ITEM-1.log.txt").write_text("COMPLETE\n")
        step.digests(digests)
        step.file(record, stem.with_name("ITEM-1.map"), stem.with_name("ITEM-1.log.txt"))
    photo = keys / "label.jpg"
    photo.write_bytes(b"\xff\xd8 not really a photo")
    add_attachment(root, photo, item="ITEM-1", caption="Label", key=key)
    add_note(root, "Seal intact.\nCut at 14:05 — Ünïcode", item="ITEM-1", key=key)
    return root
