from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from forensiq.model.image import ImageMetadata
from forensiq.model.records import AcquiredRange, AcquisitionRecord, MapFacts, UnreadableRange, VerificationRecord
from forensiq.reports.log_text import render_log, render_verification
from forensiq.reports.plain import display_width
from forensiq.reports.verdict import Tone, acquisition_verdict, verification_verdict
from tests.unit.reports import samples

CLEAN = {"status": "complete", "unreadable": (), "map": MapFacts("m", None, {"read": samples.SIZE})}


def test_what_decides_stands_before_everything_else() -> None:
    log = render_log(samples.acquisition())
    order = [
        "COMPLETE, 16 SECTORS COULD NOT BE READ",
        "What decides",
        "LBA 12,582,912 to 12,582,919",
        samples.MD5,
        samples.SHA256,
        "Verified       Verified (read back from the closed files): MD5 and SHA-256 agree.",
        "kernel read-only flag: before NOT SET, during set, after set",
        "no kernel writes or discards were counted",
        "the flag stops neither pass-through commands",
        "Case number",
        "Libraries",
    ]
    places = [log.index(words) for words in order]
    assert places == sorted(places)


def test_missing_values_say_why() -> None:
    log = render_log(samples.acquisition())
    assert "not available: the bridge does not pass it on" in log
    record = samples.acquisition(verification=None, block_digests=None, metadata=ImageMetadata())
    log = render_log(record)
    assert "no: the image was not verified by reading it back" in log
    assert "Examiner       not given" in log


@pytest.mark.parametrize(
    ("record", "headline", "tone"),
    [
        (samples.acquisition(**CLEAN), "COMPLETE AND VERIFIED", Tone.GOOD),
        (samples.acquisition(), "COMPLETE, 16 SECTORS COULD NOT BE READ", Tone.ATTENTION),
        (samples.acquisition(**CLEAN, verification=None), "COMPLETE, NOT VERIFIED", Tone.ATTENTION),
        (
            samples.acquisition(**CLEAN, range=AcquiredRange(0, 512, whole=False)),
            "COMPLETE AND VERIFIED, A PART OF THE SOURCE",
            Tone.ATTENTION,
        ),
        (samples.acquisition(status="complete"), "THE RECORD CONTRADICTS ITSELF", Tone.BAD),
        (samples.acquisition(**CLEAN, image=None), "THE RECORD CONTRADICTS ITSELF", Tone.BAD),
        (samples.acquisition(status="interrupted", image=None), "INTERRUPTED, NOT COMPLETE", Tone.BAD),
        (samples.acquisition(status="failed", image=None, failure="disk full"), "FAILED", Tone.BAD),
        (
            samples.acquisition(**CLEAN, verification=samples.damaged()),
            "ACQUIRED, BUT THE IMAGE IS NOT SOUND: DAMAGED",
            Tone.BAD,
        ),
        (
            samples.acquisition(**{**CLEAN, "map": MapFacts("m", None, {"read": 1, "not_tried": 5})}),
            "NOT COMPLETE: PARTS WERE NOT TRIED",
            Tone.BAD,
        ),
    ],
)
def test_the_headline_follows_from_the_facts(record: AcquisitionRecord, headline: str, tone: Tone) -> None:
    verdict = acquisition_verdict(record)
    assert (verdict.headline, verdict.tone) == (headline, tone)


@pytest.mark.parametrize(
    ("record", "headline"),
    [
        (samples.verification(), "VERIFIED"),
        (samples.damaged(), "DAMAGED"),
        (replace(samples.damaged(), verdict="verified"), "THE RECORD CONTRADICTS ITSELF"),
        (samples.verification(digests={}), "THE RECORD CONTRADICTS ITSELF"),
        (samples.verification(verdict="no_reference", digests={}), "NOTHING TO VERIFY AGAINST"),
        (replace(samples.damaged(), verdict="mismatch", damage=()), "DIGEST MISMATCH"),
        (samples.verification(verdict="splendid"), "UNKNOWN VERDICT"),
    ],
)
def test_a_verdict_is_worked_out_again(record: VerificationRecord, headline: str) -> None:
    assert verification_verdict(record).headline == headline


def test_a_verification_names_the_damage() -> None:
    text = render_verification(samples.damaged())
    assert text.index("DAMAGED") < text.index("LBA 128 to 191") < text.index("Started")
    assert "ITEM-1.E01" in text
    assert "DIFFERS" in text


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(), max_size=300))
def test_hostile_text_stays_on_its_line(text: str) -> None:
    record = samples.acquisition(
        metadata=ImageMetadata(text, text, text, text, text),
        notes=(text,),
        source=replace(samples.acquisition().source, path=text, model=text),
        statistics={text: text},
    )
    for page in (render_log(record), render_verification(samples.verification(image=text, reference=text))):
        page.encode()
        assert all(c == "\n" or c.isprintable() or c in "\u3000\u200c\u200d" for c in page)
        assert max(display_width(line) for line in page.split("\n")) <= 100


def test_very_many_places_are_cut_and_counted() -> None:
    many = tuple(UnreadableRange(n * 1024, 512, n * 2, 1, 5) for n in range(100_000))
    log = render_log(samples.acquisition(unreadable=many))
    assert "100,000 sectors in 100,000 places" in log
    assert "… and 99,500 more places; record and map list all" in log
    assert len(log) < 60_000


def test_the_same_record_gives_the_same_text() -> None:
    assert render_log(samples.acquisition()) == render_log(samples.acquisition())
