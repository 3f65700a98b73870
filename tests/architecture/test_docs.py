from __future__ import annotations

import pytest

from docs.generate import HERE, MEANING, PAGES
from fixtures.build import differences
from forensiq.errors import ExitCode
from tests.architecture.source_tree import REPOSITORY


@pytest.mark.parametrize("page", PAGES)
def test_the_reference_is_what_the_program_says(page: str) -> None:
    assert (HERE / page).read_text(encoding="utf-8") == PAGES[page](), "run: python -m docs.generate (make docs)"


def test_every_exit_code_has_a_meaning() -> None:
    assert list(MEANING) == list(ExitCode)


def test_the_fixtures_are_as_they_are_built() -> None:
    assert differences() == []


def test_the_readme_starts_with_the_two_commands() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert text.index("make demo") < text.index("make test") < 900
    assert "docs/concepts.md" in text
