"""What a reader must know before relying on a report: everything that was not acquired, not verified, or not known.

Worked out from the records, so that no limitation is left out by forgetting it.
"""

from __future__ import annotations

from collections.abc import Iterator

from forensiq.model.finding import Severity
from forensiq.model.report import CaseReport, ItemReport
from forensiq.reports.case_verdict import last_acquisition, last_verification
from forensiq.reports.phrases import about, count, size
from forensiq.reports.plain import visible
from forensiq.reports.verdict import Tone, unread_bytes, unreadable_sectors, verification_verdict

__all__ = ["limitations"]


def limitations(report: CaseReport) -> Iterator[tuple[str, str]]:
    """Yield (what it concerns, sentence)."""
    for item in report.items:
        name = visible(item.item.identifier, 100)
        yield from ((name, words) for words in _item(item))
    if report.ledger is None:
        yield "Custody", f"There is no ledger: {visible(report.ledger_missing, 300)}"
    else:
        if not report.ledger.intact:
            yield "Custody", "The ledger does not verify: its entries cannot be relied on from the first finding on."
        unknown = [each for each in report.ledger.signers if each.trusted_as is None]
        if unknown:
            which = f"{count(len(unknown), 'key')} that signed the ledger {'is' if len(unknown) == 1 else 'are'}"
            words = "not on the trust list of the machine that made this report: intact entries, signer not known."
            yield "Custody", f"{which} {words}"
    if not report.case.authority:
        yield "Authority", "No legal authority (warrant, order, consent) is on record."
    for each in report.findings:
        if each.severity is not Severity.INFO:
            yield "Report", visible(each.message, 600)


def _item(item: ItemReport) -> Iterator[str]:
    acquired = last_acquisition(item)
    if acquired is None:
        yield "The item was not acquired."
        return
    record = acquired.record
    sectors = unreadable_sectors(record)
    if sectors:
        yield f"{count(sectors, 'sector')} could not be read and hold fill in the image."
    if record.scope is not None:
        yield visible(record.scope.statement, 1000)
    elif not record.range.whole:
        yield f"Only {size(record.range.length)} of the source were acquired; nothing is said about the rest."
    elif unread_bytes(record):
        yield f"{size(unread_bytes(record))} of the source were skipped or never tried."
    checked = last_verification(item)
    if checked is None:
        yield "The image was not verified after it was written."
    elif verification_verdict(checked).tone is not Tone.GOOD:
        yield f"The last verification is not clean: {verification_verdict(checked).headline.lower()}."
    hidden = about(record.preflight, "hpa", "dco")
    if record.source.kind.value == "block_device" and hidden != "none":
        yield f"Hidden areas of the drive (HPA/DCO): {visible(hidden or 'not determined', 200)}."
    if record.source.kind.value == "image":
        yield "The source was an image, not the drive itself."
    if record.source.trim:
        yield "The drive supports TRIM: a second read of it may differ without anybody having written to it."
    if record.write_block.method == "none" and not record.write_block.external_blocker:
        yield "No write protection is on record."
    if record.write_block.writes_counted:
        yield "The kernel counted writes or discards to the source while it was acquired."
    if record.write_block.flips:
        yield "The kernel's read-only flag changed while the source was acquired."
    if record.interruptions:
        yield f"The acquisition was interrupted {count(len(record.interruptions), 'time')}."
    if record.clock.offset_s is None:
        yield "The offset of the machine's clock is not known; times are those of its clock."
    for copy in record.copies:
        if copy.failure:
            yield f"A second copy failed: {visible(copy.failure, 300)}."
