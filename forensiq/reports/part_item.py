"""The part of a report on one item: what it is, how it was acquired, what could not be read, how it is proven."""

from __future__ import annotations

from collections.abc import Iterator

from forensiq.model.records import AcquisitionRecord
from forensiq.model.report import ItemReport
from forensiq.model.source import SourceKind
from forensiq.reports.case_verdict import item_verdict, last_acquisition
from forensiq.reports.document import Block, Field, Paragraph, Section
from forensiq.reports.part_acquisition import acquisition_blocks, picture_blocks, protection_blocks, unreadable_blocks
from forensiq.reports.part_examination import examination_section
from forensiq.reports.part_integrity import integrity_blocks, later_blocks
from forensiq.reports.phrases import (
    NOT_RECORDED,
    about,
    count,
    size,
)
from forensiq.reports.pieces import (
    code,
    digest,
    field,
    fields,
    given,
    missing,
    table,
    text,
)
from forensiq.reports.plain import visible

__all__ = ["item_sections"]


def item_sections(item: ItemReport) -> Iterator[Section]:
    """Yield the sections of one item; the first has level 1."""
    name = visible(item.item.identifier, 100)
    verdict = item_verdict(item)
    acquired = last_acquisition(item)
    blocks: list[Block] = [Paragraph(f"{verdict.headline}. {verdict.sentence}", strong=True), _item(item)]
    if acquired is not None:
        blocks.append(_source(acquired.record))
    if item.item.attachments:
        rows = [
            (text(each.caption or each.path), code(each.path), text(count(each.size, "byte")), digest(each.sha256))
            for each in item.item.attachments
        ]
        blocks.append(table(("Photo or document", "File", "Size", "SHA-256"), (5, 5, 3, 8), rows))
    yield Section(f"Item {name}", tuple(blocks))
    for number, each in enumerate(sorted(item.acquisitions, key=lambda one: one.record.started), 1):
        of = f" {number} of {len(item.acquisitions)}" if len(item.acquisitions) > 1 else ""
        yield Section(f"{name}: acquisition{of}", (*acquisition_blocks(each.record), *picture_blocks(each)), 2)
        yield Section(f"{name}: write protection{of}", tuple(protection_blocks(each.record)), 2)
        yield Section(f"{name}: what could not be read{of}", tuple(unreadable_blocks(each.record)), 2)
        yield Section(f"{name}: integrity{of}", tuple(integrity_blocks(each)), 2)
    if not item.acquisitions:
        yield Section(f"{name}: acquisition", (Paragraph("No acquisition of this item is on record."),), 2)
    if item.verifications:
        yield Section(f"{name}: later verifications", tuple(later_blocks(item)), 2)
    yield examination_section(name, item.examination)


def _item(item: ItemReport) -> Block:
    it = item.item
    return fields(
        (
            field("Exhibit number", given(it.identifier)),
            field("Root exhibit", given(it.root_exhibit)),
            field("Description", given(it.description)),
            field("Kind", given(it.kind)),
            field("Capacity on the label", given(it.label_capacity)),
            field("Condition on receipt", given(it.condition)),
            field("Seal in", given(it.seal_in)),
            field("Seal out", given(it.seal_out)),
            field("Location", given(it.location)),
        )
    )


def _source(record: AcquisitionRecord) -> Block:
    source = record.source
    reasons = source.unavailable

    def known(label: str, name: str) -> Field:
        item = getattr(source, name)
        return field(label, missing(reasons.get(name, NOT_RECORDED)) if item is None else text(item))

    drive = source.kind is SourceKind.BLOCK_DEVICE
    undetermined = "not determined" if drive else "not applicable: not a drive"
    named = {"Hidden areas (HPA/DCO)": ("hpa", "dco"), "Encryption": ("encrypt",), "SMART": ("smart",)}
    words = [word for each in named.values() for word in each]
    others = {key: item for key, item in record.preflight.items() if not any(word in key.lower() for word in words)}
    return fields(
        (
            field("Read from", code(source.path), text(source.kind.value.replace("_", " "))),
            field("Reported size", text(size(source.size)), text(_sectors(source.size, source.sector_size))),
            known("Physical sector size", "physical_sector_size"),
            known("Make", "vendor"),
            known("Model", "model"),
            known("Serial number", "serial"),
            known("Firmware", "firmware"),
            known("WWN", "wwn"),
            known("Interface", "bus"),
            known("USB bridge (VID:PID)", "usb_id"),
            known("Rotating", "rotational"),
            known("Removable", "removable"),
            known("TRIM", "trim"),
            *(field(label, given(about(record.preflight, *keys), undetermined)) for label, keys in named.items()),
            *(
                field(f"Preflight: {key[:100].replace('_', ' ')}", given(item, "not determined"))
                for key, item in others.items()
            ),
        )
    )


def _sectors(length: int, sector_size: int) -> str:
    return f"{count(-(-length // sector_size) if sector_size > 0 else 0, 'sector')} of {sector_size:,} bytes"
