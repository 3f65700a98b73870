"""Segment names run E01…E99, EAA…EZZ, FAA…ZZZ, and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from forensiq.errors import UsageError
from forensiq.images.ewf import segment

KNOWN = {1: "E01", 99: "E99", 100: "EAA", 125: "EAZ", 126: "EBA", 775: "EZZ", 776: "FAA", 14971: "ZZZ"}


@pytest.mark.parametrize(("number", "extension"), KNOWN.items())
def test_known_names(number: int, extension: str) -> None:
    assert segment.segment_extension(number) == extension
    assert segment.segment_extension(number, lowercase=True) == extension.lower()


def test_every_name_is_used_once_and_leads_back() -> None:
    names = [segment.segment_extension(number) for number in range(1, segment.MAX_SEGMENTS + 1)]
    assert len(set(names)) == segment.MAX_SEGMENTS == 14971
    assert [segment.segment_number(name.lower()) for name in names] == list(range(1, segment.MAX_SEGMENTS + 1))


@pytest.mark.parametrize("number", [0, -1, 14972])
def test_no_name_beyond_the_ends(number: int) -> None:
    with pytest.raises(ValueError, match="no name"):
        segment.segment_extension(number)


@pytest.mark.parametrize("text", ["E00", "E1", "E001", "DAA", "E0A", "EA1", "F01", "ÉAA", "", "dd", "part", "E٠١"])
def test_other_extensions_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the extension"):
        segment.segment_number(text)


def test_dots_of_the_stem_stay() -> None:
    path = segment.segment_path(Path("case/item.1.b"), 100)
    assert path == Path("case/item.1.b.EAA")
    assert segment.parse_segment_path(path) == (Path("case/item.1.b"), 100, False)
    assert segment.parse_segment_path(Path("x.e01")) == (Path("x"), 1, True)


@pytest.mark.parametrize("name", [".E01", "E01"])
def test_a_name_without_stem_is_no_segment(name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        segment.parse_segment_path(Path(name))


def test_too_many_segments_are_refused() -> None:
    segment.check_segment_count(14971, 1)
    with pytest.raises(UsageError) as caught:
        segment.check_segment_count(14972, 1)
    assert caught.value.facts["limit"] == 14971
