"""The verdict of a case report, worked out from its records and its ledger, item by item."""

from __future__ import annotations

from forensiq.model.records import VerificationRecord
from forensiq.model.report import AcquisitionReport, CaseReport, ItemReport
from forensiq.reports.phrases import count
from forensiq.reports.pieces import moment
from forensiq.reports.verdict import (
    Tone,
    Verdict,
    acquisition_verdict,
    unreadable_sectors,
    verification_verdict,
)

__all__ = ["case_verdict", "item_verdict", "last_acquisition", "last_verification"]


def last_acquisition(item: ItemReport) -> AcquisitionReport | None:
    """Return the acquisition that counts: the last one that gave an image, else the last one."""
    if not item.acquisitions:
        return None
    done = [each for each in item.acquisitions if each.record.image is not None]
    return max(done or item.acquisitions, key=lambda each: each.record.started)


def last_verification(item: ItemReport) -> VerificationRecord | None:
    """Return the last verification of the item, be it its own or that after the acquisition."""
    known = [each.record for each in item.verifications]
    acquired = last_acquisition(item)
    if acquired is not None and acquired.record.verification is not None:
        known.append(acquired.record.verification)
    return max(known, key=lambda record: record.started) if known else None


def item_verdict(item: ItemReport) -> Verdict:
    """Return what is to be said of one item."""
    acquired = last_acquisition(item)
    if acquired is None:
        return Verdict("NOT ACQUIRED", "There is no acquisition record for this item.", Tone.ATTENTION)
    verdict = acquisition_verdict(acquired.record)
    checked = last_verification(item)
    if checked is None or checked is acquired.record.verification:
        return verdict
    later = verification_verdict(checked)
    if later.tone is Tone.BAD:
        return Verdict(f"LAST VERIFICATION: {later.headline}", f"{later.sentence} ({checked.started})", Tone.BAD)
    return Verdict(
        verdict.headline,
        f"{verdict.sentence} Last verification ({moment(checked.started).text}): {later.sentence}",
        verdict.tone,
    )


def case_verdict(report: CaseReport) -> Verdict:
    """Return the first words of the report."""
    verdicts = [item_verdict(item) for item in report.items]
    if report.ledger is None:
        return Verdict("NO LEDGER", f"The custody of this case is not recorded: {report.ledger_missing}.", Tone.BAD)
    if not report.ledger.intact:
        faults = count(len(report.ledger.findings), "finding")
        return Verdict("THE LEDGER DOES NOT VERIFY", f"Its audit has {faults}; see the part on custody.", Tone.BAD)
    bad = [each for each in verdicts if each.tone is Tone.BAD]
    if bad:
        headline = bad[0].headline if len(verdicts) == 1 else f"{len(bad)} OF {len(verdicts)} ITEMS ARE NOT SOUND"
        return Verdict(headline, bad[0].sentence, Tone.BAD)
    records = [found.record for item in report.items if (found := last_acquisition(item)) is not None]
    if not records:
        return Verdict("NO EVIDENCE HAS BEEN ACQUIRED", "The case holds no acquisition record.", Tone.ATTENTION)
    sectors = sum(unreadable_sectors(record) for record in records)
    whole = all(each.tone is Tone.GOOD for each in verdicts)
    acquired = count(len(records), "ITEM", "ITEMS")
    missing = len(report.items) - len(records)
    headline = f"{acquired} ACQUIRED" + (" AND VERIFIED" if whole else "")
    if len(verdicts) == 1:
        headline = verdicts[0].headline
    elif sectors:
        headline += f", {count(sectors, 'SECTOR', 'SECTORS')} COULD NOT BE READ"
    if missing:
        headline += f", {missing} NOT ACQUIRED"
    sentence = verdicts[0].sentence if len(verdicts) == 1 else "Each item has its own verdict below."
    sentence += f" The ledger of {count(report.ledger.head.count, 'entry', 'entries')} is intact."
    return Verdict(headline, sentence, Tone.GOOD if whole and not report.findings else Tone.ATTENTION)
