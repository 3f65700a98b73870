"""``--since RECORD``: only what changed since an earlier acquisition of the same drive is stored.

1. Read the earlier record; its image is one raw or QCOW2 file, whole, with block digests, beside the new image.
2. Check that it is the same drive: size, sector size, serial number where there is one, and a sample of blocks. A
   check, not a proof.
3. Hand the block digests and the earlier image to the writer (:mod:`forensiq.images.qcow2.delta`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from msgspec import Struct

from forensiq.errors import SourceReadError, UsageError
from forensiq.images import open_image
from forensiq.images.qcow2.delta import CLUSTER, DeltaBase
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.from_json import from_json
from forensiq.model.records import AcquisitionRecord, SinceFacts
from forensiq.model.reference import parse_reference
from forensiq.procedures.acquire_files import image_path
from forensiq.procedures.evidence_files import parse_json_object
from forensiq.procedures.verify_blocks import load_blocks
from forensiq.sources.base import Source

__all__ = ["Earlier", "earlier_acquisition"]

_SAMPLES = 8


class Earlier(Struct, frozen=True):
    """The earlier acquisition, checked against the source."""

    facts: SinceFacts
    findings: tuple[Finding, ...]
    base: DeltaBase


def earlier_acquisition(record_path: Path, stem: Path, source: Source) -> Earlier:
    """Return the acquisition that ``record_path`` tells of, as the base of an image at ``stem``.

    What cannot be a base, or is of another drive, is a :class:`~forensiq.errors.UsageError` that says why.
    """
    try:
        data = record_path.read_bytes()
    except OSError as error:
        raise UsageError(f"{record_path}: {error.strerror}", path=str(record_path)) from error
    record = from_json(  # 1
        AcquisitionRecord, parse_json_object(record_path), ignore_unknown=True, where=record_path.name
    )
    image = _usable(record, record_path, stem)
    assert record.block_digests is not None
    serial, findings = _same_drive(record, source)  # 2
    with open_image(image) as opened:
        blocks, _ = load_blocks(opened, parse_reference(data), record_path.parent)
    if blocks is None:
        raise UsageError(
            f"the block digests of {record_path.name} are missing or are not those of the record",
            hint="acquire in full: without them nobody knows what changed",
            path=str(record_path),
        )
    agreeing, looked = _sample(source, blocks.block_size, blocks.packed)
    if looked >= _SAMPLES and not agreeing:
        raise UsageError(
            f"none of {looked} blocks that were looked at is as it was: this is hardly the same drive",
            hint="acquire it in full",
            path=str(record_path),
        )
    statement = (
        f"Only what changed since {record.finished} is stored here; the rest is in {image.name}, and both together are "
        f"the whole medium. That it is the same drive was checked, not proven: size and sector size agree, "
        f"{serial}, {agreeing} of {looked} sampled blocks were the same. The whole medium was read, and the digests "
        "are of all of it."
    )
    facts = SinceFacts(
        record=record_path.name,
        record_sha256=hashlib.sha256(data).hexdigest(),
        image=image.name,
        image_format=opened.format,
        image_digests=record.digests,
        block_size=blocks.block_size,
        acquired=record.finished,
        statement=statement,
    )
    base = DeltaBase(image.name, opened.format, blocks.block_size, blocks.packed, lambda: open_image(image))
    return Earlier(facts, findings, base)


def _usable(record: AcquisitionRecord, path: Path, stem: Path) -> Path:
    why = None
    if record.image is None or not record.status.startswith("complete"):
        why = "it tells of no finished image"
    elif record.scope is not None or record.range.offset or record.clone is not None:
        why = "its image is not of a whole medium"
    elif record.image.format not in ("raw", "qcow2") or len(record.image.segments) != 1:
        why = "only one raw or QCOW2 file can be the base of a chain that other programs open"
    elif record.block_digests is None or record.block_digests.block_size % CLUSTER:
        why = f"it has no block digests in blocks of a multiple of {CLUSTER // 1024} KiB"
    if why is not None or record.image is None:
        raise UsageError(
            f"{path.name} cannot be gone on from: {why}",
            hint="an E01 is made a base by: forensiq convert X.E01 X --format raw",
            path=str(path),
        )
    image = path.parent / Path(image_path(record.image).name)
    if not image.is_file() or image.stat().st_size != record.image.segments[0].size:
        raise UsageError(f"{image} is not there, or has another size than it had", path=str(image))
    if image.parent.resolve() != stem.absolute().parent.resolve():
        raise UsageError(
            "the new image has to lie beside the earlier one, so that the chain is moved as one",
            hint=f"choose an OUTPUT in {image.parent}",
            path=str(stem),
        )
    return image


def _same_drive(record: AcquisitionRecord, source: Source) -> tuple[str, tuple[Finding, ...]]:
    before, now = record.source, source.identity
    known = before.serial or record.derived_from.get("source_serial")
    known = None if known == "not recorded" else known
    differing = [
        name
        for name, a, b in (
            ("size", record.range.length, source.size),
            ("sector size", before.sector_size, source.sector_size),
            ("serial number", known or now.serial, now.serial or known),
        )
        if a != b
    ]
    if differing:
        raise UsageError(
            f"this is not the drive that was acquired then: {', '.join(differing)}",
            hint="acquire it in full",
            path=now.path,
            differing=differing,
        )
    if known and now.serial:
        return f"the serial number is {known}", ()
    words = "no serial number could be compared"
    return words, (Finding(Severity.WARNING, Cause.NOTE, "since.serial", f"{words}: it may be another drive"),)


def _sample(source: Source, size: int, packed: bytes) -> tuple[int, int]:
    count = len(packed) // 32
    chosen = sorted({count * index // _SAMPLES for index in range(min(_SAMPLES, count))})
    agreeing = 0
    for index in chosen:
        buffer = memoryview(bytearray(min(size, source.size - index * size)))
        try:
            source.read_into(index * size, buffer)
        except SourceReadError:
            continue
        agreeing += hashlib.sha256(buffer).digest() == packed[32 * index : 32 * index + 32]
    return agreeing, len(chosen)
