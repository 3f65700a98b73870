"""PDF/A by veraPDF, where it is there: ``FORENSIQ_VERAPDF`` names its program (or it is on the path)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from forensiq.custody.pkcs12 import create_pkcs12
from forensiq.reports.pdf import render_pdf, render_receipt
from forensiq.reports.pdf_signature import sign_pdf
from tests.unit.reports import hostile, samples

PROGRAM = os.environ.get("FORENSIQ_VERAPDF") or shutil.which("verapdf")
PASSPHRASE = "correct horse"
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="veraPDF is not here: FORENSIQ_VERAPDF names its program")


def conforms(path: Path) -> bool:
    """Say whether veraPDF finds ``path`` to be PDF/A-3u."""
    assert PROGRAM is not None
    command = [PROGRAM, "--flavour", "3u", "--format", "text", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith(("PASS", "FAIL")), done.stdout + done.stderr
    return done.stdout.startswith("PASS")


def _signed(data: bytes, folder: Path) -> bytes:
    place = folder / "key.p12"
    create_pkcs12(place, "A. Lee", PASSPHRASE)
    return sign_pdf(data, place.read_bytes(), PASSPHRASE, reason="case report")


def test_a_report_is_pdf_a_before_and_after_it_is_signed(tmp_path: Path) -> None:
    data = render_pdf(samples.package()).data
    for name, content in {"plain.pdf": data, "signed.pdf": _signed(data, tmp_path)}.items():
        (tmp_path / name).write_bytes(content)
        assert conforms(tmp_path / name), name


def test_a_receipt_is_pdf_a(tmp_path: Path) -> None:
    (tmp_path / "receipt.pdf").write_bytes(render_receipt(samples.transfer()).data)
    assert conforms(tmp_path / "receipt.pdf")


@pytest.mark.parametrize("name", hostile.SHORT)
def test_a_report_with_hostile_names_is_pdf_a(name: str, tmp_path: Path) -> None:
    (tmp_path / "hostile.pdf").write_bytes(render_pdf(hostile.package_with(name)).data)
    assert conforms(tmp_path / "hostile.pdf")
