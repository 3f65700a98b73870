"""Reads what a test needs to know of a PDF."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def text_of(data: bytes, folder: Path) -> str:
    """The words on the pages, by poppler."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    path = folder / "text.pdf"
    path.write_bytes(data)
    done = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, check=True)
    return done.stdout.decode()
