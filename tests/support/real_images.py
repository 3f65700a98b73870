"""Real images made by others: where they are, and the skip that says so when they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["real_images"]


def real_images() -> Path:
    """Return the folder of real images; skips the test where there is none."""
    named = os.environ.get("FORENSIQ_REAL_IMAGES")
    choices = [Path(named)] if named else [parent / "shared" / "images" for parent in Path(__file__).resolve().parents]
    for choice in choices:
        if (choice / "manifest.json").is_file():
            return choice
    pytest.skip("no real images: set FORENSIQ_REAL_IMAGES to their folder")
