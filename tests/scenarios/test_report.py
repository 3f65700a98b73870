"""A case from its opening to a checked report, through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.program import Done, forensiq


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "FORENSIQ_PASSPHRASE": "correct horse battery",
        "FORENSIQ_KEY": str(tmp_path / "lee.pem"),
    }


def test_from_a_drive_to_a_signed_report(tmp_path: Path, home: dict[str, str]) -> None:
    def run(*arguments: str | Path) -> Done:
        return forensiq(*arguments, folder=tmp_path, environment=home)

    (tmp_path / "drive.dd").write_bytes(bytes(range(256)) * 4096)
    run("keys", "new", "lee.pem", "--name", "A. Lee").expect(0)
    run("case", "new", "case", "--number", "2026-014", "--examiner", "A. Lee").expect(0)
    run("acquire", "drive.dd", "--case", "case", "--item", "ITEM-1", "--quiet").expect(0)
    report = Path("case/reports/report.pdf")
    made = run("report", "case", "--format", "pdf", "--output", report, "--json").expect(0).json
    assert (made["schema"], made["format"]) == ("forensiq/report/1", "pdf")
    assert made["headline"] == "COMPLETE AND VERIFIED"
    assert "self-signed: shows integrity, not identity" in made["signatures"][0]

    found = run("report-verify", report, "--json").expect(0).json
    assert (found["schema"], found["verdict"]) == ("forensiq/report-verification/1", "intact")
    assert [check for check in found["checks"] if check["state"] != "passed"] == []
    assert "INTACT" in run("report-verify", report).expect(0).out
    run("case", "verify", "case").expect(0)

    again = run("report", "case", "--output", report, "--json").expect(6).json
    assert again["error"] == "DestinationExistsError"
    run("report", "case", "--output", "x.pdf", "--redact", "people").expect(2)
    run("report", "case", "--output", "x.pdf", "--format", "doc").expect(2)

    image = tmp_path / "case" / "evidence" / "ITEM-1" / "ITEM-1.E01"
    image.write_bytes(image.read_bytes()[:-1] + b"\xff")
    assert run("report-verify", report, "--json").expect(4).json["verdict"] == "evidence_differs"
    run("report-verify", report, "--no-images").expect(0)
    place = tmp_path / report
    place.write_bytes(place.read_bytes() + b" ")
    assert run("report-verify", report, "--no-images", "--json").expect(5).json["verdict"] == "altered"
    assert run("report-verify", "drive.dd", "--json").expect(9).json["error"] == "RecordFormatError"
