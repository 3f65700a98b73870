"""How an image is proven: digests, what they cover, verification after the acquisition and later."""

from __future__ import annotations

from collections.abc import Iterator

from forensiq.model.records import VerificationRecord
from forensiq.model.report import AcquisitionReport, ItemReport
from forensiq.reports.document import Block, Paragraph
from forensiq.reports.phrases import (
    NOT_RECORDED,
    algorithm,
    count,
    duration,
    lba_range,
    size,
)
from forensiq.reports.pieces import (
    code,
    digest,
    field,
    fields,
    finding_blocks,
    given,
    missing,
    moment,
    table,
    text,
)
from forensiq.reports.verdict import verification_verdict

__all__ = ["integrity_blocks", "later_blocks"]


def integrity_blocks(each: AcquisitionReport) -> Iterator[Block]:
    """Yield digests, what they cover, and how the image was verified."""
    record = each.record
    covers = record.digest_coverage or "coverage not recorded"
    rows = [field("The digests cover", text(covers))]
    rows += [
        field(f"{algorithm(name.value)} of the image's data", digest(found)) for name, found in record.digests.items()
    ]
    if not record.digests:
        rows.append(field("Digests", missing("none were computed")))
    if record.source_digests is not None:
        rows += [
            field(f"{algorithm(name.value)} of the source without padding", digest(found))
            for name, found in record.source_digests.items()
        ]
    if record.padding_bytes:
        rows.append(field("Padding", text(count(record.padding_bytes, "zero byte"))))
    blocks = record.block_digests
    rows += [
        field("Acquisition record", code(each.path), digest(each.sha256)),
        field("Map", code(record.map.path) if record.map.path else missing(), digest(record.map.sha256)),
        field(
            "Block digests",
            *(
                (
                    code(blocks.path or "not stored"),
                    text(f"{count(blocks.blocks, 'block')} of {size(blocks.block_size)}"),
                    digest(blocks.root),
                )
                if blocks
                else (missing("none"),)
            ),
        ),
    ]
    yield fields(rows)
    if record.verification is not None:
        yield from _verification(record.verification)
    else:
        yield Paragraph("The image was not verified by reading it back.", strong=True)
    if record.image is not None:
        segments = [
            (text(one.number), code(one.path), text(f"{one.size:,}"), digest(one.sha256))
            for one in record.image.segments
        ]
        yield table(("No.", "Segment file", "Bytes", "SHA-256 of the file"), (1, 5, 4, 11), segments)


def later_blocks(item: ItemReport) -> Iterator[Block]:
    """Yield the verifications after the acquisition, in order of time."""
    for each in sorted(item.verifications, key=lambda one: one.record.started):
        yield from _verification(each.record)
        yield fields((field("Record", code(each.path), digest(each.sha256)),))


def _verification(record: VerificationRecord) -> Iterator[Block]:
    verdict = verification_verdict(record)
    yield Paragraph(f"{verdict.headline}. {verdict.sentence}", strong=True)
    second = record.second_opinion
    used = record.tool
    yield fields(
        (
            field("Verified image", code(record.image)),
            field("When", moment(record.started), text(f"for {duration(record.elapsed_s)}")),
            field("Compared with", given(record.reference, NOT_RECORDED)),
            field("Program", text(f"{used.name} {used.version}") if used else missing()),
            field(
                "Second program",
                *((text(f"{key}: {item}") for key, item in second.items()) if second else (missing("not asked"),)),
            ),
        )
    )
    if record.digests:
        words = {True: "agrees", False: "DIFFERS", None: "no reference"}
        rows = [
            (
                text(algorithm(name)),
                digest(each.computed),
                text("; ".join(_sources(each.stored, each.record)) or "—"),
                text(words[each.match]),
            )
            for name, each in record.digests.items()
        ]
        yield table(("Digest", "Computed now", "Compared with", "Result"), (2, 11, 4, 3), rows)
    if record.damage:
        lost = [
            (
                text(lba_range(each.first_lba, each.sectors)),
                text(count(each.sectors, "sector")),
                code(each.segment) if each.segment else missing("not known"),
                text(each.reason, 600),
            )
            for each in record.damage
        ]
        yield table(("Damaged", "Sectors", "File", "Reason"), (6, 3, 5, 7), lost)
    if record.structure:
        yield from finding_blocks(record.structure, "")


def _sources(stored: str | None, recorded: str | None) -> Iterator[str]:
    if stored:
        yield "the image"
    if recorded:
        yield "the record"
