"""Each row of the table of manipulations names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = {
    "S": "unit/procedures/test_case_seal.py",
    "A": "unit/custody/test_audit.py",
    "T": "unit/procedures/test_case_transfer.py",
    "R": "unit/procedures/test_report.py",
    "P": "unit/procedures/test_sealed_package.py",
    "I": "unit/procedures/test_interrupted_step.py",
    "Z": "interop/test_timestamp.py",
}
OF = {
    "ledger", "clock", "record", "map, log", "image", "image and stored hash", "attachment", "case.toml", "files",
    "hand-over", "manifest", "key", "seal", "report",
}  # fmt: skip


def _rows() -> list[list[str]]:
    text = (ROOT / "docs/design/custody.md").read_text()
    table = text.split("| of | manipulation |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_every_kind_of_thing_is_manipulated() -> None:
    assert {row[0] for row in _rows()} == OF


def test_every_row_names_a_finding_and_tests_that_are_there() -> None:
    unknown = []
    for _, manipulation, finding, shown_by in _rows():
        assert "`" in finding or "exit code" in finding, manipulation
        for part in shown_by.split("; "):
            named = re.fullmatch(r'([A-Z]) (?:`(\w+)`|"([^"]+)")', part)
            assert named, part
            source = (ROOT / "tests" / FILES[named[1]]).read_text()
            wanted = f"def {named[2]}(" if named[2] else f'"{named[3]}",'
            if wanted not in source:
                unknown.append(part)
    assert unknown == []
