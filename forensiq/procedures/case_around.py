"""Which case folder a path lies in; needs no ledger and no key."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["case_around"]


def case_around(path: Path) -> Path | None:
    """Return the nearest folder above ``path`` that holds ``case.toml`` and ``ledger.jsonl``; ``None``: there is none.

    Links are not followed: what counts is the path as it was typed.
    """
    absolute = Path(os.path.abspath(path))
    for folder in absolute.parents:
        if (folder / "case.toml").is_file() and (folder / "ledger.jsonl").is_file():
            return folder
    return None
