from __future__ import annotations

import json
from pathlib import Path

import pytest

from forensiq.model.report import ReportPackage
from forensiq.reports.embed import report_text
from forensiq.reports.pdf import REPORT_NAME, render_pdf, render_receipt
from forensiq.reports.pdf_attachments import attachments_of
from tests.unit.reports import hostile, samples
from tests.unit.reports.pdf_reading import text_of


def test_the_report_and_its_files_are_attached() -> None:
    package = samples.package()
    found = attachments_of(render_pdf(package).data)
    assert found == {REPORT_NAME: report_text(package.report).encode(), "ledger.jsonl": b'{"seq":1}\n'}


def test_the_same_report_gives_the_same_bytes() -> None:
    assert render_pdf(samples.package()).data == render_pdf(samples.package()).data


@pytest.mark.parametrize("name", ["\u202e" * 5000, "x" * 5000, "a\u0301\u0301\u0301\u0301\u0301\u0301\u0301" * 200])
def test_the_verdict_is_on_the_first_page_whatever_is_called_how(name: str, tmp_path: Path) -> None:
    pages = text_of(render_pdf(hostile.package_with(name)).data, tmp_path).split("\f")
    assert "COMPLETE, 16 SECTORS COULD NOT BE READ" in pages[0]
    assert samples.SHA256[:20] in pages[0]
    assert "page 1 of" in pages[0]


def test_a_receipt_names_where_characters_are_that_no_font_can_draw(tmp_path: Path) -> None:
    made = render_receipt(samples.transfer(released_by="\U00013000"))
    words = " ".join(text_of(made.data, tmp_path).split())
    if made.not_drawn:
        assert "the signed statement (.json) beside it has them" in words
    assert "attached" not in words


def test_what_decides_is_on_the_first_page_and_digests_can_be_copied(tmp_path: Path) -> None:
    pages = text_of(render_pdf(samples.package()).data, tmp_path).split("\f")
    assert "COMPLETE, 16 SECTORS COULD NOT BE READ" in pages[0]
    assert "Hidden areas of the drive" in pages[0]
    assert any(samples.SHA256 in page for page in pages)


def test_a_character_that_no_font_has_is_named(tmp_path: Path) -> None:
    case = samples.case_report().case
    name = "tablet \U00012000\U0001f9ff\U00016a40"
    package = samples.package(case=type(case)(number="1", title=name))
    result = render_pdf(package)
    words = text_of(result.data, tmp_path)
    for character in result.not_drawn:
        assert f"<U+{ord(character):04X}>" in words.replace("\n", "")
    if result.not_drawn:
        assert "No font on the machine" in words
    assert case.number == "2026-014"
    assert json.dumps(name).encode() in attachments_of(result.data)[REPORT_NAME]


@pytest.mark.parametrize("name", [hostile.NAMES[0], hostile.NAMES[8], " ".join(hostile.SHORT)])
def test_hostile_names_stay_text(name: str, tmp_path: Path) -> None:
    package = hostile.package_with(name)
    result = render_pdf(package)
    assert attachments_of(result.data)[REPORT_NAME] == report_text(package.report).encode()
    words = text_of(result.data, tmp_path)
    assert "root:" not in words
    if name.startswith("#panic"):
        assert '#panic("x") #read("/etc/passwd") $x$ *b* `c` @ref <label>' in words


def test_a_long_table_repeats_its_heading(tmp_path: Path) -> None:
    event = samples.case_report().ledger
    assert event is not None
    many = tuple(
        type(event.events[0])(n, "2026-11-22T10:46:06Z", "A", "note", {}, {}, "", f"{n:064x}") for n in range(1500)
    )
    report = samples.case_report()
    ledger = type(event)(event.path, event.head, True, (), (), many)
    words = text_of(render_pdf(ReportPackage(samples.case_report(ledger=ledger))).data, tmp_path)
    assert words.count("Hash (first 16)") > 10
    assert "500 more rows are not printed here" in words
    assert report.ledger is not ledger


def test_a_receipt_says_whether_the_digests_agree(tmp_path: Path) -> None:
    assert "HANDED OVER, DIGESTS AGREE" in text_of(render_receipt(samples.transfer()).data, tmp_path)
    differ = samples.transfer(match=False)
    assert "THE DIGESTS DIFFER" in text_of(render_receipt(differ).data, tmp_path)
    open_ = samples.transfer(received=None, after=(), match=None)
    words = text_of(render_receipt(open_).data, tmp_path)
    assert "RELEASED, NOT YET RECEIVED" in words
    assert "not yet hashed" in words
