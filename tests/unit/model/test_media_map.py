"""The media map against a list with one entry for each byte."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiq.errors import ImageFormatError
from forensiq.model.extent import Extent
from forensiq.model.mapfile import MapfileState, format_mapfile, parse_mapfile
from forensiq.model.media_map import NOT_TRIED, READ, READ_AFTER_RETRY, MediaMap, RangeStatus, ReadStatus

SIZE = 40
states = st.sampled_from(
    [
        NOT_TRIED,
        READ,
        READ_AFTER_RETRY,
        RangeStatus(ReadStatus.UNREADABLE, 5),
        RangeStatus(ReadStatus.UNREADABLE, 61),
        RangeStatus(ReadStatus.SKIPPED, detail="untrimmed"),
        RangeStatus(ReadStatus.SKIPPED, 5, "unscraped"),
        RangeStatus(ReadStatus.SKIPPED, detail="scope"),
    ]
)
marks = st.lists(
    st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).flatmap(
        lambda ends: st.tuples(st.just(Extent.between(min(ends), max(ends))), states)
    ),
    max_size=12,
)


def build(steps: list[tuple[Extent, RangeStatus]]) -> tuple[MediaMap, list[RangeStatus]]:
    media_map, model = MediaMap(SIZE), [NOT_TRIED] * SIZE
    for extent, state in steps:
        media_map.mark(extent, state)
        model[extent.offset : extent.end] = [state] * extent.length
    return media_map, model


@given(marks)
def test_every_byte_has_the_status_last_given(steps: list[tuple[Extent, RangeStatus]]) -> None:
    media_map, model = build(steps)
    assert [media_map.at(b) for b in range(SIZE)] == model
    ranges = list(media_map)
    assert ranges[0][0].offset == 0
    assert ranges[-1][0].end == SIZE
    for (a, before), (b, behind) in itertools.pairwise(ranges):
        assert a.end == b.offset
        assert before != behind
    for status in ReadStatus:
        wanted = [b for b in range(SIZE) if model[b].status is status]
        assert media_map.total(status) == len(wanted)
        assert [b for e in media_map.extents(status) for b in range(e.offset, e.end)] == wanted


@given(marks, st.integers(0, SIZE), st.integers(0, SIZE))
def test_a_window_shows_the_same_bytes(steps: list[tuple[Extent, RangeStatus]], a: int, b: int) -> None:
    media_map, model = build(steps)
    window = Extent.between(min(a, b), max(a, b))
    seen = {p: state for extent, state in media_map.ranges(within=window) for p in range(extent.offset, extent.end)}
    assert seen == {p: model[p] for p in range(window.offset, window.end)}


@given(marks)
def test_a_map_survives_the_mapfile(steps: list[tuple[Extent, RangeStatus]]) -> None:
    media_map, _ = build(steps)
    state = MapfileState(17, "*", 3)
    again, again_state = parse_mapfile(format_mapfile(media_map, state, ("a comment\n0 0 +",)), SIZE)
    assert again == media_map
    assert again_state == state


def test_rows_changed_by_another_program_win_over_our_notes() -> None:
    media_map = MediaMap(1024)
    media_map.mark(Extent(0, 512), READ)
    media_map.mark(Extent(512, 512), RangeStatus(ReadStatus.UNREADABLE, 5))
    text = format_mapfile(media_map, MapfileState()).replace("0x00000200  0x00000200  -", "0x00000200  0x00000200  +")
    again, _ = parse_mapfile(text, 1024)
    assert again.extents(ReadStatus.READ) == (Extent(0, 1024),)


def test_a_map_written_by_ddrescue_is_read() -> None:
    text = """# Mapfile. Created by GNU ddrescue version 1.27
# Command line: ddrescue /dev/sdb out.dd out.map
# Start time:   2026-11-22 10:00:00
# current_pos  current_status  current_pass
0x00120000     /               1
#      pos        size  status
0x00000000  0x00117000  +
0x00117000  0x00000200  -
0x00117200  0x00001000  /
0x00118200  512  ?
"""
    media_map, state = parse_mapfile(text)
    assert state == MapfileState(0x120000, "/", 1)
    assert media_map.size == 0x118400
    assert media_map.total(ReadStatus.UNREADABLE) == 512
    assert media_map.total(ReadStatus.SKIPPED) == 0x1000


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no status line"),
        ("0x0 + 1\n0x0 0x200\n", "a row has"),
        ("0x0 + 1\n0x0 0x200 x\n", "line 2"),
        ("0x0 + 1\n0x0 0x400 +\n0x200 0x200 -\n", "overlap"),
        ("0x0 + 1\n-5 0x400 +\n", "negative"),
        ("0x0 Z 1\n", "phase"),
        ("0x0\n", "line 1"),
    ],
)
def test_a_broken_map_is_refused_with_its_line(text: str, what: str) -> None:
    with pytest.raises(ImageFormatError, match=what):
        parse_mapfile(text)


def test_a_map_larger_than_its_medium_is_refused() -> None:
    with pytest.raises(ImageFormatError, match="1024"):
        parse_mapfile("0x0 + 1\n0x0 0x400 +\n", 512)


def test_a_part_is_counted_from_its_start() -> None:
    media_map = MediaMap(100)
    media_map.mark(Extent(20, 40), READ)
    part = media_map.part(Extent(50, 70))
    assert part.size == 70
    assert list(part) == [(Extent(0, 10), READ), (Extent(10, 60), NOT_TRIED)]
