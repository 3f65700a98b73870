"""From a case report to the document that HTML and PDF show; what decides comes first."""

from __future__ import annotations

from collections.abc import Iterator

from forensiq.model.case import Authority
from forensiq.model.ledger import TransferRecord
from forensiq.model.report import CaseReport, ItemReport
from forensiq.reports.case_verdict import case_verdict, item_verdict, last_acquisition
from forensiq.reports.document import Block, Cell, Document, Paragraph, Section
from forensiq.reports.limitations import limitations
from forensiq.reports.part_custody import custody_section, transfer_blocks
from forensiq.reports.part_item import item_sections
from forensiq.reports.part_reader import files_section, glossary_section, signature_section, verify_section
from forensiq.reports.phrases import algorithm, count
from forensiq.reports.pictures import medium_map
from forensiq.reports.pieces import code, digest, field, fields, given, missing, moment, table, text
from forensiq.reports.plain import visible
from forensiq.reports.verdict import Tone, unreadable_sectors

__all__ = ["case_document", "receipt_document"]

_FIRST_PAGE = 6
_BRIEF = 160
"""So many characters of a name or a sentence stand on the first page: the verdict is on it whatever is called how."""


def case_document(report: CaseReport) -> Document:
    """Return the report as sections."""
    verdict = case_verdict(report)
    number = visible(report.case.number, 80) or "without a number"
    redaction = report.redaction
    notice = ""
    if redaction is not None:
        notice = (
            f"REDACTED COPY. {count(redaction.replaced, 'value')} were replaced ({', '.join(redaction.kinds)}). "
            f"The full report is the file with the SHA-256 {redaction.full_sha256}."
        )
    return Document(
        title=f"{visible(report.wording.get('title') or 'Report', 80)}: case {number}",
        subtitle=visible(report.case.title, _BRIEF),
        notice=notice,
        headline=verdict.headline,
        sentence=verdict.sentence,
        tone=verdict.tone,
        summary=tuple(_summary(report)),
        sections=tuple(_sections(report)),
        running=f"Case {visible(report.case.number, 60)} · report {visible(report.identifier, 60)}"
        + (" · REDACTED COPY" if redaction else ""),
        made=moment(report.made).text,
    )


def receipt_document(record: TransferRecord) -> Document:
    """Return the receipt of a hand-over."""
    bad = record.match is False or record.matches_ledger is False or bool(record.findings)
    done = record.received is not None
    headline = "THE DIGESTS DIFFER" if bad else "HANDED OVER, DIGESTS AGREE" if record.match else "HANDED OVER"
    if not done and not bad:
        headline = "RELEASED, NOT YET RECEIVED"
    return Document(
        title=f"Receipt for item {visible(record.item, 80)}",
        subtitle=f"Case {visible(record.case_number, _BRIEF)}",
        notice="",
        headline=headline,
        sentence=f"{visible(record.released_by, _BRIEF)} to {visible(record.received_by, _BRIEF)}.",
        tone=Tone.BAD if bad else Tone.GOOD if record.match else Tone.ATTENTION,
        summary=(),
        sections=(
            Section("Hand-over", tuple(transfer_blocks(record))),
            Section("Signatures on paper", tuple(_paper(record))),
        ),
        running=f"Case {visible(record.case_number, 60)} · receipt {visible(record.identifier, 60)}",
        made=moment(record.received or record.released).text,
    )


def _paper(record: TransferRecord) -> Iterator[Block]:
    rows = [
        (text("Released by"), text(record.released_by), text(" "), text(" ")),
        (text("Received by"), text(record.received_by), text(" "), text(" ")),
    ]
    yield table(("", "Name", "Date", "Signature"), (3, 5, 4, 8), rows)


def _summary(report: CaseReport) -> Iterator[Block]:
    case = report.case
    yield fields(
        (
            field("Case", given(case.number, limit=_BRIEF), *([text(case.title, _BRIEF)] if case.title else [])),
            field(
                "Examiner",
                given(case.examiner.name, limit=_BRIEF),
                *([text(case.examiner.organisation, _BRIEF)] if case.examiner.organisation else []),
            ),
            field("Laboratory", given(case.agency, limit=_BRIEF)),
            field(
                "Authority",
                *(_authority(each) for each in case.authority[:_FIRST_PAGE]),
                *([] if case.authority else [missing("not given")]),
            ),
            field("Evidence last with", *_holders(report)),
            field("Ledger", _ledger(report)),
            field("Report made", moment(report.made), text(report.signer or "not signed")),
        )
    )
    rows = []
    for item in report.items:
        acquired = last_acquisition(item)
        source = acquired.record.source if acquired else None
        what = " ".join(part for part in (source.vendor, source.model, source.serial) if part) if source else ""
        rows.append(
            (
                text(item.item.identifier, 40),
                text(what or item.item.description or "not described", _BRIEF),
                text(item_verdict(item).headline),
                _strongest(item),
            )
        )
    if rows:
        shown = rows[:_FIRST_PAGE]
        yield table(("Item", "What", "Result", "Digest of the image's data"), (3, 5, 6, 9), shown)
        if len(rows) > len(shown):
            yield Paragraph(f"{len(rows) - len(shown):,} more items: see their parts.")
    yield from _first_pictures(report)
    found = list(limitations(report))
    if not found:
        yield Paragraph("No limitation is known.")
        return
    yield Paragraph("Limitations to know before relying on this report:", strong=True)
    shown_limits = [(text(where, 40), text(words, 2 * _BRIEF)) for where, words in found[: _FIRST_PAGE + 2]]
    yield table(("Concerns", "Limitation"), (3, 18), shown_limits)
    if len(found) > len(shown_limits):
        yield Paragraph(f"{len(found) - len(shown_limits):,} more: see the part on limitations.")


def _holders(report: CaseReport) -> Iterator[Cell]:
    for item in report.items[:_FIRST_PAGE]:
        last = max(item.transfers, key=lambda each: each.released, default=None)
        where = visible(item.item.location or "no hand-over on record", _BRIEF)
        if last is not None:
            receiver = visible(last.received_by, 80)
            where = f"released to {receiver} {moment(last.released).text}, receipt not countersigned"
            if last.received is not None:
                where = f"{receiver}, since {moment(last.received).text}"
        yield Cell(f"{visible(item.item.identifier, 40)}: {where}")


def _authority(each: Authority) -> Cell:
    return given(" ".join(part for part in (each.kind, each.identifier) if part), limit=_BRIEF)


def _ledger(report: CaseReport) -> Cell:
    if report.ledger is None:
        return missing(report.ledger_missing)
    state = "intact" if report.ledger.intact else "DOES NOT VERIFY"
    return text(f"{count(report.ledger.head.count, 'entry', 'entries')}, {state}")


def _first_pictures(report: CaseReport) -> Iterator[Block]:
    if len(report.items) > 1:
        return
    for item in report.items:
        acquired = last_acquisition(item)
        if acquired is not None and acquired.medium and acquired.record.range.length:
            yield medium_map(acquired.medium, acquired.record.range.length, unreadable_sectors(acquired.record))


def _strongest(item: ItemReport) -> Cell:
    acquired = last_acquisition(item)
    if acquired is None or not acquired.record.digests:
        return missing("none")
    found = {name.value: each for name, each in acquired.record.digests.items()}
    name = "sha256" if "sha256" in found else list(found)[-1]
    return code(f"{algorithm(name)} {found[name]}")


def _sections(report: CaseReport) -> Iterator[Section]:
    yield _administrative(report)
    for item in report.items:
        yield from item_sections(item)
    yield custody_section(report)
    found = [(text(where), text(words)) for where, words in limitations(report)]
    blocks: list[Block] = [Paragraph("No limitation or deviation is known.")]
    if found:
        blocks = [table(("Concerns", "Limitation or deviation"), (3, 18), found)]
    if report.wording.get("limitations"):
        blocks.append(Paragraph(visible(report.wording["limitations"], 8000)))
    yield Section("Limitations and deviations", tuple(blocks))
    yield files_section(report)
    yield verify_section(report)
    yield glossary_section()
    yield signature_section(report)


def _administrative(report: CaseReport) -> Section:
    case, tool = report.case, report.tool
    rows = [
        field("Case number", given(case.number)),
        field("Title", given(case.title)),
        field("Agency or laboratory", given(case.agency)),
        field("Requested by", given(case.requester)),
        field("Template", text(case.template)),
        *(
            field(report.labels.get(f"fields.{key}", key.replace("_", " ")), given(item))
            for key, item in case.fields.items()
        ),
        field("Report made with", text(f"{tool.name} {tool.version}"), code(tool.code_sha256)),
        field("On the machine", text(tool.host), text(tool.operating_system)),
    ]
    people = [
        (text(each.name or "not given"), given(each.role, role), given(each.organisation), given(each.qualification))
        for role, each in [("examiner", case.examiner), *(("", person) for person in case.people)]
    ]
    blocks: list[Block] = [
        Paragraph(visible(report.wording[name], 8000)) for name in ("purpose", "statement") if report.wording.get(name)
    ]
    blocks += [fields(rows), table(("Person", "Role", "Organisation", "Qualification"), (5, 4, 5, 6), people)]
    if case.authority:
        grants = [
            (
                text(each.kind),
                given(each.identifier),
                given(each.issued_by),
                text(f"{each.valid_from or 'not given'} to {each.valid_until or 'not given'}"),
            )
            for each in case.authority
        ]
        blocks.append(table(("Authority", "Identifier", "Issued by", "Valid"), (4, 5, 5, 5), grants))
    else:
        blocks.append(fields((field("Legal authority", missing("not given")),)))
    if case.attachments:
        files = [
            (text(each.caption or "—"), code(each.path), text(f"{each.size:,}"), digest(each.sha256))
            for each in case.attachments
        ]
        blocks.append(table(("Document", "File", "Bytes", "SHA-256"), (5, 5, 3, 9), files))
    return Section("Case", tuple(blocks))
