"""The part of a report on custody: hand-overs, the ledger's entries, who signed."""

from __future__ import annotations

from collections.abc import Iterator

from forensiq.model.ledger import SealFacts, TimestampFacts, TransferRecord
from forensiq.model.report import CaseReport, LedgerFacts
from forensiq.reports.document import Block, Cell, Paragraph, Section
from forensiq.reports.phrases import count
from forensiq.reports.pictures import custody_line
from forensiq.reports.pieces import (
    brief,
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
from forensiq.reports.plain import visible

__all__ = ["custody_section", "transfer_blocks"]

_HOLDS = {True: "the signature holds", False: "THE SIGNATURE DOES NOT HOLD"}
_MATCH = {True: "agree", False: "DIFFER", None: "not compared"}


def custody_section(report: CaseReport) -> Section:
    """Return the section on custody."""
    return Section("Custody", tuple(_blocks(report)))


def _blocks(report: CaseReport) -> Iterator[Block]:
    transfers = [(item.item.identifier, each) for item in report.items for each in item.transfers]
    if transfers:
        rows = [
            (
                text(identifier),
                moment(each.released, ""),
                text(each.released_by),
                text(f"{each.received_by} ({'signed' if each.received else 'has not signed'})"),
                text("; ".join(part for part in (each.purpose, each.authority, each.location) if part) or "not given"),
                text("; ".join(part for part in (each.seal_out, each.seal_in) if part) or "not given"),
                text(_MATCH[each.match] if each.match is not None else _MATCH[each.matches_ledger]),
            )
            for identifier, each in transfers
        ]
        columns = (
            "Item",
            "When (UTC)",
            "Released by",
            "Received by",
            "Purpose, authority, place",
            "Seal out; in",
            "Digests",
        )
        yield table(columns, (3, 4, 4, 5, 6, 3, 3), rows)
    else:
        yield Paragraph("No hand-over is on record.")
    if report.seals:
        yield from _seals(report.seals)
    if report.ledger is None:
        yield Paragraph(f"There is no ledger: {report.ledger_missing}", strong=True)
        return
    yield from _ledger(report.ledger)


def _ledger(ledger: LedgerFacts) -> Iterator[Block]:
    state = "intact" if ledger.intact else "DOES NOT VERIFY"
    yield fields(
        (
            field("Ledger", code(ledger.path), text(f"{count(ledger.head.count, 'entry', 'entries')}, {state}")),
            field("Last entry", text(f"number {ledger.head.seq:,}"), digest(ledger.head.last_hash)),
        )
    )
    yield from finding_blocks(ledger.findings, "The audit of the ledger left no findings.")
    if picture := custody_line(ledger.events[:1000]):
        yield picture
    rows = [
        (
            text(each.seq),
            moment(each.utc, ""),
            text(each.actor, 200),
            text(each.action.replace("_", " "), 100),
            text(brief({**each.parameters, **each.result}) or "—"),
            code(each.hash[:16], 16),
        )
        for each in ledger.events
    ]
    more = "the attached ledger holds all"
    yield table(("No.", "When (UTC)", "Who", "What", "Facts", "Hash (first 16)"), (3, 11, 8, 9, 24, 9), rows, more)
    signers = [
        (
            text(each.name or "no name"),
            given(each.trusted_as, "not on the trust list: nobody vouches for this name"),
            text(f"{each.first_seq:,} to {each.last_seq:,} ({count(each.entries, 'entry', 'entries')})"),
            digest(each.fingerprint),
        )
        for each in ledger.signers
    ]
    if signers:
        yield table(
            ("Signer (own words)", "Trusted as", "Entries", "Key fingerprint (SHA-256)"), (4, 4, 3, 11), signers
        )


def _seals(seals: tuple[SealFacts, ...]) -> Iterator[Block]:
    yield Paragraph("Seals, as they were when this report was made:", strong=True)
    for each in seals:
        stamp = each.timestamp
        yield fields(
            (
                field("Seal", text(each.number), moment(each.created), text(_HOLDS[each.valid])),
                field("Seal code", code(each.code)),
                field("Covers", text(f"{count(each.files, 'file')}, ledger up to entry {each.ledger_head.seq:,}")),
                field("Sealed by", text(each.signer), _trusted(each.trusted_as), digest(each.fingerprint)),
                field("Time stamp", *_stamp(stamp)) if stamp is not None else field("Time stamp", missing("none")),
                *(
                    field(
                        f"Countersigned ({visible(signed.role, 40)})",
                        text(signed.name),
                        moment(signed.at),
                        text(f"{_HOLDS[signed.valid]}: {signed.statement}", 600),
                        _trusted(signed.trusted_as),
                        digest(signed.fingerprint),
                    )
                    for signed in each.countersignatures
                ),
            )
        )


def _stamp(stamp: TimestampFacts) -> tuple[Cell, ...]:
    known = "checked against the authority's root" if stamp.trusted else "intact; its authority was not checked"
    return (moment(stamp.at), text(stamp.authority), text(known))


def _trusted(name: str | None) -> Cell:
    return text(f"trusted as {name}") if name is not None else missing("not on the trust list")


def transfer_blocks(record: TransferRecord) -> Iterator[Block]:
    """Yield what a receipt of a hand-over shows."""
    yield fields(
        (
            field("Receipt", code(record.identifier)),
            field("Case", text(record.case_number), given(record.agency)),
            field("Item", text(record.item), given(record.description)),
            field("Released by", text(record.released_by), moment(record.released)),
            field(
                "Received by",
                text(record.received_by),
                moment(record.received) if record.received else missing("not yet"),
            ),
            field("Purpose", given(record.purpose)),
            field("Authority", given(record.authority)),
            field("Place", given(record.location)),
            field("Seal out", given(record.seal_out)),
            field("Seal in", given(record.seal_in)),
            field("Condition", given(record.condition)),
            field("Notes", given(record.notes, "none")),
            *(field(key.replace("_", " "), given(item)) for key, item in record.details.items()),
            field("Key of the releaser", digest(record.released_fingerprint, "not signed")),
            field("Key of the receiver", digest(record.received_fingerprint, "not countersigned")),
            field(
                "Ledger",
                *(
                    (text(f"entry {record.ledger_head.seq:,}"), digest(record.ledger_head.last_hash))
                    if record.ledger_head
                    else (missing(),)
                ),
            ),
        )
    )
    yield Paragraph(
        f"Digests before the hand-over and those of the ledger {_MATCH[record.matches_ledger]}; "
        f"digests before and after {_MATCH[record.match]}.",
        strong=True,
    )
    after = {each.path: each for each in record.after}
    rows = [
        (
            code(each.path),
            text(f"{each.size:,}"),
            digest(each.sha256),
            text("not yet hashed" if not after else "missing" if each.path not in after else "agrees")
            if each.path not in after or after[each.path].sha256 == each.sha256
            else text("DIFFERS"),
        )
        for each in record.before
    ]
    known = {each.path for each in record.before}
    rows += [
        (code(each.path), text(f"{each.size:,}"), digest(each.sha256), text("NEW"))
        for each in record.after
        if each.path not in known
    ]
    yield table(("File", "Bytes", "SHA-256 before", "After"), (8, 3, 9, 3), rows)
    yield from finding_blocks(record.findings, "Hashing left no findings.")
