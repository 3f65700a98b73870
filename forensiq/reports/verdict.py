"""The headline of a record, worked out again from its facts: a stored ``summary`` or verdict is never repeated unseen.

Where a record says one thing and lists another (status ``complete``, yet unreadable sectors; ``verified``, yet a digest
that differs), the headline is that the record contradicts itself.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from forensiq.model.finding import Severity
from forensiq.model.records import AcquisitionRecord, VerificationRecord
from forensiq.reports.phrases import algorithm, count, listed
from forensiq.reports.plain import visible

__all__ = ["Tone", "Verdict", "acquisition_verdict", "unread_bytes", "unreadable_sectors", "verification_verdict"]


class Tone(Enum):
    """How a headline is to be taken: all well, look closer, or wrong."""

    GOOD = "good"
    ATTENTION = "attention"
    BAD = "bad"


class Verdict(Struct, frozen=True):
    """A headline in capitals, the sentence that explains it, and how it is to be taken."""

    headline: str
    sentence: str
    tone: Tone


_READ = frozenset({"read", "read_after_retry"})
_KNOWN = _READ | {"unreadable", "skipped_by_scope"}


def unreadable_sectors(record: AcquisitionRecord) -> int:
    """Return how many sectors could not be read."""
    return sum(each.sectors for each in record.unreadable)


def unread_bytes(record: AcquisitionRecord) -> int:
    """Return how many bytes the map says were skipped or never tried."""
    return sum(number for status, number in record.map.bytes_by_status.items() if status not in _KNOWN)


def acquisition_verdict(record: AcquisitionRecord) -> Verdict:
    """Return what became of an acquisition."""
    sectors = unreadable_sectors(record)
    if record.status == "interrupted":
        done = sum(number for status, number in record.map.bytes_by_status.items() if status in _READ)
        reason = f" ({visible(record.failure, 300)})" if record.failure else ""
        return Verdict(
            "INTERRUPTED, NOT COMPLETE",
            f"The acquisition was stopped{reason}; {count(done, 'byte')} had been read. There is no finished image.",
            Tone.BAD,
        )
    if record.status not in ("complete", "complete_with_unreadable_sectors"):
        reason = visible(record.failure, 600) if record.failure else "the record does not say why"
        return Verdict("FAILED", f"The acquisition did not end with an image: {reason}.", Tone.BAD)
    if record.image is None or (record.status == "complete") != (not sectors):
        return Verdict(
            "THE RECORD CONTRADICTS ITSELF",
            f"It says {visible(record.status, 60)}, but lists {count(sectors, 'unreadable sector')} and "
            f"{'an' if record.image else 'no'} image.",
            Tone.BAD,
        )
    checked = verification_verdict(record.verification) if record.verification is not None else None
    if checked and checked.tone is Tone.BAD:
        return Verdict(f"ACQUIRED, BUT THE IMAGE IS NOT SOUND: {checked.headline}", checked.sentence, Tone.BAD)
    what = "every sector" if record.range.whole else "every sector of the part that was asked for"
    if sectors:
        headline = f"COMPLETE, {count(sectors, 'SECTOR', 'SECTORS')} COULD NOT BE READ"
        sentence = f"Every sector was tried; {count(sectors, 'sector')} gave no data and "
        sentence += f"{'is' if sectors == 1 else 'are'} filled in the image. They are listed below."
    else:
        headline = "COMPLETE"
        sentence = f"{what.capitalize()} was read."
    unread = unread_bytes(record)
    if unread and record.range.whole:
        headline = "NOT COMPLETE: PARTS WERE NOT TRIED"
        sentence = f"{count(unread, 'byte')} of the source were skipped or never tried, though all of it was wanted."
        return Verdict(headline, sentence, Tone.BAD)
    if record.scope is not None:
        headline += f", PARTIAL BY SCOPE ({100 * record.scope.share:.1f} %)"
        sentence += f" {visible(record.scope.statement, 1000)}"
    elif not record.range.whole:
        headline += ", A PART OF THE SOURCE"
    if checked is None:
        headline += ", NOT VERIFIED"
        sentence += " The image was not verified by reading it back."
    elif checked.tone is not Tone.GOOD:
        headline += f", {checked.headline}"
        sentence += f" {checked.sentence}"
    else:
        sentence += f" {checked.sentence}"
    if checked is not None and checked.tone is Tone.GOOD and not sectors:
        headline = headline.replace("COMPLETE", "COMPLETE AND VERIFIED", 1)
    good = not sectors and record.range.whole and checked is not None and checked.tone is Tone.GOOD
    return Verdict(headline, sentence, Tone.GOOD if good else Tone.ATTENTION)


def verification_verdict(record: VerificationRecord) -> Verdict:
    """Return what a verification found."""
    agree = [algorithm(name) for name, each in record.digests.items() if each.match]
    differ = [algorithm(name) for name, each in record.digests.items() if each.match is False]
    errors = sum(each.severity is Severity.ERROR for each in record.structure)
    sectors = sum(each.sectors for each in record.damage)
    if record.verdict == "verified" and (differ or record.damage or (not agree and record.scope == "full")):
        return Verdict(
            "THE RECORD CONTRADICTS ITSELF",
            f"It says verified, but lists {count(len(differ), 'digest')} that differ, "
            f"{count(len(record.damage), 'damaged range')} and {count(len(agree), 'digest')} that agree.",
            Tone.BAD,
        )
    if record.verdict == "verified":
        how = "read back from the closed files" if record.read_back else "the image was read in full"
        if record.details.get("reader_is_independent"):
            how += f" by another program, {visible(str(record.details.get('reader')), 100)}"
        if record.scope != "full":
            how = f"scope: {visible(record.scope, 100)}"
        which = f"{listed(agree)} {'agrees' if len(agree) == 1 else 'agree'}" if agree else "no digest was compared"
        sentence = f"Verified ({how}): {which}."
        if errors:
            sentence += f" The container has {count(errors, 'fault')} outside the data."
        whole = record.scope == "full" and not errors
        return Verdict("VERIFIED", sentence, Tone.GOOD if whole else Tone.ATTENTION)
    if record.verdict == "no_reference":
        return Verdict(
            "NOTHING TO VERIFY AGAINST",
            "There is no digest in the image and no record to compare with; nothing was verified.",
            Tone.ATTENTION,
        )
    if record.verdict == "mismatch":
        return Verdict(
            "DIGEST MISMATCH",
            f"{listed(differ) or 'A digest'} of the image is not what was recorded.",
            Tone.BAD,
        )
    if record.verdict == "damaged":
        where = f"{count(sectors, 'sector')} in {count(len(record.damage), 'place')}" if record.damage else "see below"
        return Verdict("DAMAGED", f"The image is damaged: {where}.", Tone.BAD)
    return Verdict("UNKNOWN VERDICT", f"The record says {visible(record.verdict, 60)}.", Tone.BAD)
