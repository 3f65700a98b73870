from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forensiq.custody.pkcs12 import create_pkcs12
from forensiq.custody.trust import trust_key
from forensiq.errors import DestinationExistsError, RecordFormatError, UsageError
from forensiq.model.report_check import CheckState, ReportVerification
from forensiq.procedures.case import read_ledger
from forensiq.procedures.case_transfer import HandOver, transfer_item
from forensiq.procedures.case_verify import verify_case
from forensiq.procedures.keys import KeyChoice, open_signer
from forensiq.procedures.report import RedactionRequest, ReportRequest, make_report
from forensiq.procedures.report_verify import verify_report
from forensiq.reports.pdf_signature import sign_pdf
from forensiq.reports.reading import read_report
from tests.unit.procedures.report_case import PASSPHRASE, forger, make_report_case, report_key, report_of, sign_again
from tests.unit.reports import samples


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case with a report in every format, made once."""
    folder = tmp_path_factory.mktemp("original")
    with pytest.MonkeyPatch.context() as patch:
        _home(folder, patch)
        key = make_report_case(folder / "case", folder / "keys")
        transfer_item(folder / "case", "ITEM-1", HandOver("B. Okafor", "examination"), key=key)
        create_pkcs12(folder / "keys" / "ada.pem.p12", "Ada Lovelace", PASSPHRASE)
        for kind in ("pdf", "html", "json"):
            report_of(folder / "case", key, kind)
    return folder


def _home(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    patch.setenv("XDG_STATE_HOME", str(folder / "state"))
    patch.delenv("FORENSIQ_KEY", raising=False)


@pytest.fixture
def case(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    _home(tmp_path, monkeypatch)
    shutil.copytree(original / "case", tmp_path / "case")
    shutil.copytree(original / "keys", tmp_path / "keys")
    return tmp_path / "case"


@pytest.fixture
def key(case: Path) -> KeyChoice:
    return report_key(case.parent / "keys")


def failed(found: ReportVerification) -> set[str]:
    return {check.code for check in found.checks if check.state is CheckState.FAILED}


@pytest.mark.parametrize("kind", ["pdf", "html", "json"])
def test_a_report_is_intact_and_everything_was_checked(case: Path, kind: str) -> None:
    found = verify_report(case / "reports" / f"report.{kind}")
    assert (found.verdict, found.exit_code, found.format) == ("intact", 0, kind)
    assert [check for check in found.checks if check.state is not CheckState.PASSED] == []
    assert found.headline == "COMPLETE, 16 SECTORS COULD NOT BE READ"
    assert "image.digest" in {check.code for check in found.checks}
    assert "signer unknown" in found.trust


def test_a_trusted_key_is_named(case: Path, key: KeyChoice) -> None:
    trust_key(open_signer(key).public.fingerprint, "Ada, met in person")
    assert "your trusted key of Ada, met in person" in verify_report(case / "reports" / "report.json").trust


def test_the_ledger_binds_the_reports_and_the_case_stays_intact(case: Path) -> None:
    checked = verify_case(case)
    assert checked.ledger.intact
    assert [finding for finding in checked.findings if str(finding.where).startswith("reports/")] == []
    entries = [row.entry for row in read_ledger(case) if row.entry is not None]
    finished = [entry for entry in entries if entry.action == "report.finished"]
    assert [set(entry.digests) for entry in finished] == [
        {f"reports/report.{kind}{ending}" for ending in ("", ".sig", ".pub")} for kind in ("pdf", "html", "json")
    ]


def test_nothing_is_overwritten(case: Path, key: KeyChoice) -> None:
    before = (case / "reports" / "report.json").read_bytes()
    with pytest.raises(DestinationExistsError):
        report_of(case, key, "json")
    assert (case / "reports" / "report.json").read_bytes() == before


def test_a_report_away_from_its_case_says_what_was_not_checked(case: Path, tmp_path: Path) -> None:
    for name in ("report.pdf", "report.pdf.sig", "report.pdf.pub"):
        shutil.copy(case / "reports" / name, tmp_path / name)
    found = verify_report(tmp_path / "report.pdf")
    assert found.verdict == "intact"
    assert [check.detail for check in found.checks if check.state is CheckState.NOT_CHECKED] == [
        "images and files of the case: the case folder is not at hand"
    ]


def test_without_its_signature_nobody_vouches_for_a_report(case: Path, tmp_path: Path) -> None:
    shutil.copy(case / "reports" / "report.json", tmp_path / "report.json")
    found = verify_report(tmp_path / "report.json")
    assert (found.verdict, found.exit_code) == ("not_signed", 10)


def test_a_changed_image_is_found(case: Path) -> None:
    image = case / "evidence" / "ITEM-1" / "ITEM-1.E01"
    image.write_bytes(image.read_bytes()[:-1] + b"!")
    found = verify_report(case / "reports" / "report.pdf")
    assert (found.verdict, found.exit_code, failed(found)) == ("evidence_differs", 4, {"image.digest"})


@pytest.mark.parametrize("place", [100, 5_000, -5_000])
def test_a_changed_byte_of_a_signed_pdf_is_found(case: Path, place: int) -> None:
    report = case / "reports" / "report.pdf"
    data = bytearray(report.read_bytes())
    data[place] ^= 1
    report.write_bytes(data)
    assert verify_report(report).exit_code == 5


def test_something_added_behind_a_signed_pdf_is_found(case: Path) -> None:
    report = case / "reports" / "report.pdf"
    report.write_bytes(report.read_bytes() + b"\n% added\n")
    assert failed(verify_report(report)) >= {"signature.pdf", "signature.detached"}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _attachment(data: dict[str, Any], role: str) -> tuple[dict[str, Any], dict[str, Any]]:
    file = next(each for each in data["report"]["files"] if each["role"] == role)
    return file, next(each for each in data["attachments"] if each["name"] == file["attached_as"])


def _replace(data: dict[str, Any], role: str, change: Callable[[str], str]) -> None:
    """Change an attachment with all digests that the forger can reach."""
    file, attached = _attachment(data, role)
    text = change(attached["text"])
    assert text != attached["text"]
    size = len(text.encode())
    attached.update(text=text, sha256=_digest(text), size=size)
    file.update(sha256=_digest(text), size=size)


def _shown_record(data: dict[str, Any]) -> None:
    data["report"]["items"][0]["acquisitions"][0]["record"].update(status="complete", unreadable=[])


def _record_and_attachment(data: dict[str, Any]) -> None:
    shown = data["report"]["items"][0]["acquisitions"][0]
    _shown_record(data)
    _replace(data, "acquisition record", lambda _: json.dumps(shown["record"]))
    shown["sha256"] = _attachment(data, "acquisition record")[0]["sha256"]


def _without_attachment(data: dict[str, Any]) -> None:
    data["attachments"] = [each for each in data["attachments"] if each["name"] != "ledger.jsonl"]


def _more_attachments(data: dict[str, Any]) -> None:
    data["attachments"].append({**data["attachments"][0], "name": "more.txt"})


def _dropped_line(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-1])


def _dropped_middle(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(lines[:1] + lines[2:])


TAMPERING: list[tuple[str, Callable[[dict[str, Any]], None], str]] = [
    ("the record that is shown", _shown_record, "record.same"),
    ("record and attachment", _record_and_attachment, "ledger.binding"),
    ("an attachment", lambda data: _replace(data, "map of the medium", lambda text: text + "#"), "ledger.binding"),
    ("an attachment is left out", _without_attachment, "attachment.missing"),
    ("an attachment is added", _more_attachments, "attachment.unknown"),
    ("the ledger is cut short", lambda data: _replace(data, "ledger", _dropped_line), "ledger.head"),
    ("an entry is taken out", lambda data: _replace(data, "ledger", _dropped_middle), "ledger.intact"),
    ("an entry is edited", lambda data: _replace(data, "ledger", lambda t: t.replace("Ada", "Bob")), "ledger.intact"),
    (
        "the events that are shown",
        lambda data: data["report"]["ledger"]["events"][0].update(hash="0" * 64),
        "ledger.events",
    ),
    (
        "who did something",
        lambda data: data["report"]["ledger"]["events"][1].update(actor="B. Okafor"),
        "ledger.events",
    ),
    ("who signed", lambda data: data["report"]["ledger"]["signers"].clear(), "ledger.signers"),
    ("the case number", lambda data: data["report"]["case"].update(number="2026-015"), "case.same"),
    (
        "the hand-over that is shown",
        lambda data: data["report"]["items"][0]["transfers"][0].update(received_by="Nobody"),
        "transfer.same",
    ),
    (
        "the map that is shown",
        lambda data: data["report"]["items"][0]["acquisitions"][0].update(medium=None, medium_missing="no map"),
        "map.same",
    ),
]


@pytest.mark.parametrize(("what", "change", "code"), TAMPERING, ids=[row[0] for row in TAMPERING])
def test_a_forger_who_signs_again_with_a_key_of_his_own_is_found(
    case: Path, what: str, change: Callable[[dict[str, Any]], None], code: str
) -> None:
    report = case / "reports" / "report.json"
    data = json.loads(report.read_bytes())
    change(data)
    sign_again(report, (json.dumps(data, indent=1) + "\n").encode(), forger(case.parent))
    found = verify_report(report, images=False)
    assert code in failed(found), found
    assert (found.verdict, found.exit_code) == ("altered", 5)


def test_without_a_new_signature_every_change_is_found(case: Path) -> None:
    report = case / "reports" / "report.html"
    report.write_bytes(report.read_bytes().replace(b"COULD NOT BE READ", b"COULD ALL BE READ", 1))
    assert failed(verify_report(report)) == {"signature.detached", "pages.same"}


def test_pages_that_say_something_else_than_the_data_are_found(case: Path) -> None:
    report = case / "reports" / "report.html"
    data = report.read_bytes().replace(b"COULD NOT BE READ", b"COULD ALL BE READ", 1)
    sign_again(report, data, forger(case.parent))
    assert failed(verify_report(report)) == {"pages.same", "signature.ledger"}


def test_a_finding_that_a_forger_leaves_out_does_not_go_unseen(case: Path, key: KeyChoice) -> None:
    """Nothing attached says what the report's own findings are: only who signed does."""
    report = case / "reports" / "report.json"
    data = json.loads(report.read_bytes())
    data["report"]["wording"] = {"verdict": "Nothing to see here."}
    content = (json.dumps(data, indent=1) + "\n").encode()
    sign_again(report, content, forger(case.parent))
    assert failed(verify_report(report, images=False)) >= {"signature.ledger"}
    sign_again(report, content, open_signer(key))
    assert "signature.ledger" not in failed(verify_report(report, images=False))


def test_a_pdf_signed_again_with_another_certificate_is_found(case: Path) -> None:
    plain = (case / "reports" / "report.pdf").read_bytes()
    create_pkcs12(case.parent / "other.p12", "Ada Lovelace", PASSPHRASE)
    report = case.parent / "report.pdf"
    unsigned = plain[: plain.rindex(b"%%EOF", 0, plain.rindex(b"%%EOF")) + 6]
    report.write_bytes(sign_pdf(unsigned, (case.parent / "other.p12").read_bytes(), PASSPHRASE, reason="case report"))
    assert failed(verify_report(report, case=case)) == {"signature.ledger"}


def test_a_stored_verdict_is_not_believed(case: Path) -> None:
    report = case / "reports" / "report.json"
    data = json.loads(report.read_bytes())
    data["report"]["items"][0]["acquisitions"][0]["record"].update(summary="ALL IS WELL", status="complete")
    sign_again(report, (json.dumps(data, indent=1) + "\n").encode(), forger(case.parent))
    assert verify_report(report, images=False).headline == "THE RECORD CONTRADICTS ITSELF"


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7\n", b"{}", b"<!DOCTYPE html><html></html>", b"\xff\xfe", b"[1]"])
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(RecordFormatError):
        verify_report(path)


def test_a_redacted_copy_is_marked_bound_and_holds_nothing_of_it(case: Path, key: KeyChoice) -> None:
    full = case / "reports" / "report.pdf"
    request = RedactionRequest(full, ("people", "serials"), "disclosure to the defence")
    output = case / "reports" / "copy.html"
    made = make_report(ReportRequest(case, output, "html", key, redaction=request))
    assert made.redacted
    text = output.read_text()
    for word in ("Ada Lovelace", "A. Lee", "S3Z9NB0K123456", "174c:55aa", "lab-ws-3"):
        assert word not in text
    assert "REDACTED COPY" in text
    assert hashlib.sha256(full.read_bytes()).hexdigest() in text
    copy = read_report(output.read_bytes()).package
    assert copy.attachments == ()
    assert copy.report.identifier == "[redacted]"
    assert samples.SHA256 in text
    found = verify_report(output, images=False)
    assert (found.verdict, failed(found)) == ("intact", set())


def test_a_copy_of_a_copy_is_refused(case: Path, key: KeyChoice) -> None:
    request = RedactionRequest(case / "reports" / "report.json", ("notes",))
    make_report(ReportRequest(case, case / "reports" / "copy.json", "json", key, redaction=request))
    again = RedactionRequest(case / "reports" / "copy.json", ("people",))
    with pytest.raises(UsageError):
        make_report(ReportRequest(case, case / "reports" / "copy2.json", "json", key, redaction=again))


def test_a_broken_file_of_the_case_is_a_finding_of_the_report(case: Path, key: KeyChoice) -> None:
    record = case / "evidence" / "ITEM-1" / "ITEM-1.record.json"
    record.write_text(record.read_text().replace('"errno": 5', '"errno": 6'))
    (case / "evidence" / "ITEM-2").mkdir()
    (case / "evidence" / "ITEM-2" / "x.record.json").write_text("{}")
    made = make_report(ReportRequest(case, case / "reports" / "again.json", "json", key))
    package = read_report(Path(made.path).read_bytes()).package
    codes = {finding.code for finding in package.report.findings}
    assert {"file.changed", "report.record_invalid"} <= codes
