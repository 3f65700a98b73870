"""Fields and sentences for people: on a terminal they fit its width, in a pipe they are one line."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from forensiq.cli.run import Run

LONG = "signer unknown: A. Lee, Digital Forensics Unit (4ff52cc6df5b8983…). 名前 " * 3 + "a" * 64


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, width: int = 80) -> list[str]:
    out = io.StringIO()
    run = Run(json=False, quiet=False, progress="none")
    monkeypatch.setattr(run, "_out", Console(file=out, force_terminal=terminal, width=width, color_system=None))
    run.field("Signers", LONG)
    run.paragraph("one\x1b[31m sentence " * 8)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 132])
def test_on_a_terminal_nothing_is_wider_than_it_and_what_follows_stands_below_its_beginning(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    lines = shown(monkeypatch, terminal=True, width=width)
    assert max(map(cell_len, lines)) <= width
    assert lines[0].startswith("  Signers      signer unknown")
    assert lines[1].startswith(" " * 15)
    text = "".join(lines).replace(" ", "")
    assert LONG.replace(" ", "") in text
    assert "\x1b" not in text


def test_in_a_pipe_a_field_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, terminal=False)
    assert len(lines) == 2
    assert lines[0] == f"  Signers      {LONG}"
