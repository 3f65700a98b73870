"""A case with one item whose record, map and image are of the real kinds; and how an adversary changes its reports."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from msgspec.structs import replace

from forensiq.custody.signing import Signer, SoftwareKey, create_key, public_pem
from forensiq.model.image import Segment
from forensiq.model.jsonable import to_json
from forensiq.model.records import MapFacts
from forensiq.procedures.case import new_case
from forensiq.procedures.custody_step import custody_step, evidence_stem
from forensiq.procedures.keys import KeyChoice
from forensiq.procedures.report import ReportRequest, make_report
from tests.unit.procedures.cases import key_file
from tests.unit.reports import samples

IMAGE = b"the bytes of an image, as far as this test goes" * 100


PASSPHRASE = "correct horse"


def report_key(keys: Path) -> KeyChoice:
    """The examiner's key, not encrypted; the passphrase is that of a PKCS#12 file beside it."""
    return KeyChoice(key_file(keys, "ada").path, lambda _: PASSPHRASE)


def make_report_case(root: Path, keys: Path) -> KeyChoice:
    """Make the case in ``root``; return the key that signed it."""
    key = report_key(keys)
    new_case(root, "2026-014", "Ada Lovelace", template="default", key=key)
    stem = evidence_stem(root, "ITEM-1", key=key)
    with custody_step(root, "acquire", {"item": "ITEM-1"}, key=key) as step:
        stem.parent.mkdir(parents=True)
        segment = stem.with_name("ITEM-1.E01")
        segment.write_bytes(IMAGE)
        media_map = stem.with_name("ITEM-1.map")
        first, second = samples.acquisition().unreadable
        media_map.write_text(
            f"0x0 + 1\n0x0 {first.offset:#x} +\n{first.offset:#x} {first.length:#x} -\n"
            f"{first.offset + first.length:#x} {second.offset - first.offset - first.length:#x} +\n"
            f"{second.offset:#x} {second.length:#x} -\n"
            f"{second.offset + second.length:#x} {samples.SIZE - second.offset - second.length:#x} +\n"
        )
        digest = hashlib.sha256(IMAGE).hexdigest()
        record = samples.acquisition()
        assert record.image is not None
        record = replace(
            record,
            image=replace(record.image, path="ITEM-1", segments=(Segment(1, "ITEM-1.E01", len(IMAGE), digest),)),
            map=MapFacts("ITEM-1.map", hashlib.sha256(media_map.read_bytes()).hexdigest(), record.map.bytes_by_status),
            ledger_head=step.head,
        )
        place = stem.with_name("ITEM-1.record.json")
        place.write_text(json.dumps(to_json(record)))
        step.file(segment, media_map, place)
    return key


def report_of(case: Path, key: KeyChoice, kind: str, **more: object) -> Path:
    """Make a report of ``kind`` in the case; return its path."""
    output = case / "reports" / f"report.{kind}"
    make_report(ReportRequest(case, output, kind, key, **more))  # type: ignore[arg-type]
    return output


def forger(folder: Path) -> SoftwareKey:
    """A key of somebody else."""
    path = folder / "forger.pem"
    return create_key(path, "Ada Lovelace", None)


def sign_again(report: Path, data: bytes, key: Signer) -> None:
    """Write ``data`` as the report, with a signature by ``key`` beside it."""
    report.write_bytes(data)
    report.with_name(report.name + ".sig").write_bytes(key.sign(data))
    report.with_name(report.name + ".pub").write_bytes(public_pem(key.public))
