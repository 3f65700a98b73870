"""Colours of rows: only on a terminal, and never the only thing that says something."""

from __future__ import annotations

import re
import sys

import pytest

from forensiq.cli.row_colours import heading, listing_colours, timeline_colours
from forensiq.model.listing_text import listing_row

ROWS = "".join(
    row + "\n"
    for row in (
        listing_row("d", "4,096", "2026-01-01 00:00", "/folder"),
        listing_row("-", "12", "2026-01-01 00:00", "/file"),
        listing_row("-", "12", "2026-01-01 00:00", "/gone  [deleted]", gone=True),
        listing_row("l", "3", "2026-01-01 00:00", "/link -> /etc"),
    )
)
EVENTS = (
    "2026-01-01 00:00:00  macb             12  0:/file\n2026-01-01 00:00:00  macb             12  0:/gone  [deleted]\n"
)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def plain(text: str) -> str:
    return re.sub("\x1b\\[[0-9]+m", "", text)


@pytest.mark.usefixtures("terminal")
def test_what_is_deleted_is_red_and_folders_are_blue() -> None:
    shown = listing_colours()(ROWS).splitlines()
    assert [line[:5] for line in shown] == ["\x1b[34m", "  -  ", "\x1b[31m", "\x1b[36m"]
    assert plain(listing_colours()(ROWS)) == ROWS
    file, gone = timeline_colours()(EVENTS).splitlines()
    assert (file[0], gone[:5]) == ("2", "\x1b[31m")
    assert plain(timeline_colours()(EVENTS)) == EVENTS
    assert plain(heading("Partition 1")) == "Partition 1" != heading("Partition 1")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", ""), ("TERM", "dumb")])
def test_who_wants_no_colour_gets_none(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert listing_colours()(ROWS) == ROWS
    assert timeline_colours()(EVENTS) == EVENTS


def test_a_pipe_has_no_colour() -> None:
    assert listing_colours()(ROWS) == ROWS
    assert heading("Partition 1") == "Partition 1"
