"""A case folder is made from the templates that come with the program, also where only the wheel is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.program import forensiq

ENVIRONMENT = {"FORENSIQ_PASSPHRASE": "correct horse battery"}


@pytest.mark.parametrize("template", ["default", "criminal", "corporate", "incident"])
def test_a_case_is_opened_from_a_template(template: str, tmp_path: Path) -> None:
    forensiq("keys", "new", "lee.pem", "--name", "A. Lee", folder=tmp_path, environment=ENVIRONMENT).expect(0)
    opened = forensiq(
        *("case", "new", "case", "--number", "2026-014", "--examiner", "A. Lee"),
        *("--template", template, "--key", "lee.pem", "--json"),
        folder=tmp_path,
        environment=ENVIRONMENT,
    ).expect(0)
    assert opened.json["schema"].startswith("forensiq/")
    assert 'number = "2026-014"' in (tmp_path / "case" / "case.toml").read_text(encoding="utf-8")


def test_a_template_that_does_not_exist_is_wrong_usage(tmp_path: Path) -> None:
    done = forensiq(
        *("case", "new", "case", "--number", "1", "--examiner", "A", "--template", "nowhere", "--json"), folder=tmp_path
    ).expect(2)
    assert "nowhere" in done.json["message"]
    assert not (tmp_path / "case").exists()
