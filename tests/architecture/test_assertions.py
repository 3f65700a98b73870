"""The table of docs/limits.md: every assertion is there, and every test that it names exists."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.source_tree import REPOSITORY

TABLE = (REPOSITORY / "docs/limits.md").read_text(encoding="utf-8").partition("## NIST CFTT")[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.splitlines() if line.startswith("| DA-")
]
NAMED = sorted(set(re.findall(r"`([^`]+\.py)::(\w+)`", TABLE)))
WANTED = {f"DA-AM-{number:02}" for number in range(1, 11)} | {f"DA-AO-{number:02}" for number in range(1, 25)}


def test_every_assertion_has_one_row() -> None:
    ids = [f"{first[:6]}{number}" for first, *_ in ROWS for number in re.findall(r"\b(\d\d)\b", first)]
    assert len(ids) == len(set(ids))
    assert set(ids) == WANTED


def test_every_row_names_a_test_or_says_why_there_is_none() -> None:
    silent = [row[0] for row in ROWS if "::" not in row[2] and not row[2].startswith("not offered")]
    assert silent == []


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_what_is_named_exists(file: str, name: str) -> None:
    tree = ast.parse((REPOSITORY / "tests" / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
