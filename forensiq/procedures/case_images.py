"""Verifies every image of a case, and tells a damaged image from one that was put in its place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from forensiq.custody.audit import ledger_finding
from forensiq.custody.case_folder import CaseFolder, inside
from forensiq.custody.package import PackageState, is_image_file
from forensiq.errors import ForensiqError, Interrupted
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.records import VerificationRecord
from forensiq.procedures.verify import verify_image
from forensiq.streams.progress import Progress

__all__ = ["verify_images"]

_FIRST = (".e01", ".ex01", ".s01", ".dd", ".raw", ".img", ".001")


def verify_images(
    folder: CaseFolder,
    state: PackageState,
    findings: list[Finding],
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> tuple[tuple[VerificationRecord, ...], list[Finding]]:
    """Return what the verification of each image found, and ``findings`` with what follows from it.

    An image whose files are not those of the ledger, and which is yet whole in itself, with digests of its own that
    agree, did not decay: ``image.changed`` becomes ``image.replaced``. A set ``stop`` ends with ``Interrupted``.
    """
    records: list[VerificationRecord] = []
    result = list(findings)
    for key in _images(state):
        try:
            record = verify_image(inside(folder.root, key), progress=progress, stop=stop)
        except Interrupted:
            raise
        except ForensiqError as error:
            result.append(
                Finding(Severity.ERROR, Cause.DATA, "image.not_verifiable", error.message, key, segment=Path(key).name)
            )
            continue
        records.append(record)
        if _whole_but_other(record):
            result = [_replaced(each, key) for each in result]
        elif record.verdict == "no_reference":
            text = "the image holds no digest and has no record: only the ledger's digest of its files speaks for it"
            result.append(ledger_finding("image.no_reference", text, key, severity=Severity.WARNING))
        elif record.verdict != "verified":
            first = record.damage[0] if record.damage else None
            where = key if first is None else f"{key}, LBA {first.first_lba}, {first.sectors} sectors"
            code = f"image.{record.verdict}"
            result.append(Finding(Severity.ERROR, Cause.DATA, code, record.summary, where, segment=Path(key).name))
    return tuple(records), result


def _images(state: PackageState) -> Iterator[str]:
    for key in sorted(state.files):
        if is_image_file(key) and key.lower().endswith(_FIRST):
            yield key


def _whole_but_other(record: VerificationRecord) -> bool:
    """Say whether the image agrees with its own digests and not with those of its record.

    What was found only by comparing with the record (block digests, ``record.*``) is no damage of the image itself.
    """
    stored = [each for each in record.digests.values() if each.stored is not None and each.computed is not None]
    damaged = any(each.code != "block.digest" for each in record.damage)
    broken = any(each.severity is Severity.ERROR and not each.code.startswith("record.") for each in record.structure)
    other = any(each.record not in (None, each.computed) for each in record.digests.values())
    return (
        not damaged and not broken and bool(stored) and all(each.stored == each.computed for each in stored) and other
    )


def _replaced(finding: Finding, key: str) -> Finding:
    same_image = str(finding.where).rpartition(".")[0] == key.rpartition(".")[0]
    if finding.code not in ("image.changed", "seal.file_changed") or not same_image:
        return finding
    text = "the image is whole in itself and is not the one that was acquired: it was replaced with its stored digests"
    return replace(finding, code="image.replaced", cause=Cause.METADATA, message=text)
