from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from forensiq.errors import UsageError
from forensiq.model.case import Case, Examiner
from forensiq.model.jsonable import to_json
from forensiq.model.report import CaseReport
from forensiq.reports.redact import KINDS, MARK, redact
from tests.unit.reports import samples


def copy_of(report: CaseReport, *kinds: str) -> CaseReport:
    return redact(report, kinds, full_name="full.pdf", full_sha256="ab" * 32, reason="disclosure")


@pytest.mark.parametrize(
    ("kind", "gone", "kept"),
    [
        ("people", ["A. Lee", "王小明", "B. Ochieng", "D. I. Marsh", "lab-ws-3"], ["S3Z9NB0K123456", samples.SHA256]),
        ("serials", ["S3Z9NB0K123456", "174c:55aa"], ["A. Lee", "Samsung SSD 860 EVO"]),
        ("paths", ["/dev/sdb", "evidence/ITEM-1.E01", "/mnt/evidence"], ["A. Lee", samples.MD5]),
        ("notes", ["Rex v. Doe", "clicking noise", "Laptop drive"], ["A. Lee", "S3Z9NB0K123456"]),
    ],
)
def test_a_kind_goes_out_wherever_it_stands(kind: str, gone: list[str], kept: list[str]) -> None:
    text = json.dumps(to_json(copy_of(samples.case_report(), kind)), ensure_ascii=False)
    assert [word for word in gone if word in text] == []
    assert [word for word in kept if word not in text] == []


def test_the_copy_is_marked_and_bound_and_the_verdict_stays() -> None:
    full = samples.case_report()
    copy = copy_of(full, *KINDS)
    assert copy.redaction is not None
    assert copy.redaction.full_sha256 == "ab" * 32
    assert copy.redaction.replaced > 20
    assert (copy.identifier, copy.signer) == (MARK, "")
    assert [file.attached_as for file in copy.files] == [None, None]
    record = copy.items[0].acquisitions[0].record
    assert record.unreadable == full.items[0].acquisitions[0].record.unreadable
    assert record.status == "complete_with_unreadable_sectors"


@pytest.mark.parametrize("kinds", [(), ("everything",)])
def test_nothing_and_unknown_kinds_are_refused(kinds: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        copy_of(samples.case_report(), *kinds)


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=3, max_size=40).filter(str.strip))
def test_any_name_goes_out(name: str) -> None:
    report = samples.case_report()
    record = replace(samples.acquisition(), command=("forensiq", f"--examiner={name}"), notes=(f"said {name} then",))
    item = replace(report.items[0], acquisitions=(replace(report.items[0].acquisitions[0], record=record),))
    marked = f"Q{name}Q"
    copy = copy_of(
        replace(report, case=Case(marked, examiner=Examiner(marked), title=f"about {marked}"), items=(item,)), "people"
    )
    assert copy.case.examiner.name == MARK
    assert marked not in copy.case.title
