"""The record names every library that the program asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from forensiq.procedures.environment import tool_facts

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_a_record_has_the_version_of_every_library_that_the_project_requires() -> None:
    required = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[<>=!~\[; ]", each, maxsplit=1)[0] for each in required}
    libraries = tool_facts().libraries
    assert names == libraries.keys() - {"openssl"}
    assert "not installed" not in libraries.values()
