from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiq.model.extent import Extent
from forensiq.model.records import RateSample
from forensiq.model.report import CustodyEvent, MediumRange
from forensiq.reports.pictures import custody_line, medium_map, read_rate, shares
from forensiq.reports.svg import DARK


def _boxes(svg: str, fill: str) -> int:
    root = ET.fromstring(svg)
    return sum(each.get("fill") == fill for each in root.iter("{http://www.w3.org/2000/svg}rect"))


@given(st.integers(0, 10**9 - 1))
def test_one_bad_byte_darkens_one_cell(place: int) -> None:
    size = 10**9
    parts = [
        MediumRange(Extent(0, place), "read"),
        MediumRange(Extent(place, 1), "unreadable"),
        MediumRange(Extent.between(place + 1, size), "read"),
    ]
    assert _boxes(medium_map(parts, size, 1).svg, DARK) == 2  # the cell, and the legend's


def test_what_no_range_covers_is_drawn_as_not_read() -> None:
    picture = medium_map([MediumRange(Extent(0, 512), "read")], 4096, 0)
    assert picture.svg.count("<polyline") == 8  # seven of eight cells, and the legend's


@pytest.mark.parametrize("status", ["unreadable", "read", "skipped", "not_tried", "something else"])
def test_every_status_has_a_shape(status: str) -> None:
    ET.fromstring(medium_map([MediumRange(Extent(0, 4096), status)], 4096, 0).svg)


def test_a_tiny_share_is_seen_and_said() -> None:
    picture = shares(10**12, None, 512, 0)
    assert picture is not None
    assert "less than 0.001 %" in picture.caption
    assert "Zeros were not counted" in picture.caption


def test_rates_that_were_not_recorded_are_not_drawn() -> None:
    assert read_rate((), 100) is None
    assert read_rate((RateSample(10, 0.0),), 100) is None
    picture = read_rate((RateSample(50, 1048576.0), RateSample(100, 2097152.0)), 100)
    assert picture is not None
    assert "between 1.0 MiB/s and 2.0 MiB/s in 2 samples" in picture.caption


def test_the_time_line_leaves_out_what_is_no_time() -> None:
    def event(seq: int, utc: str) -> CustodyEvent:
        return CustodyEvent(seq, utc, "", "note", {}, {}, "", "")

    assert custody_line([event(1, "2026-01-01T00:00:00Z"), event(2, "yesterday")]) is None
    picture = custody_line([event(1, "2026-01-01T00:00:00Z"), event(2, "x"), event(3, "2026-01-02T00:00:00Z")])
    assert picture is not None
    assert "2 entries of the ledger" in picture.alternative
    ET.fromstring(picture.svg)
