"""Extent arithmetic against a model that cannot be wrong: sets of integers."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiq.model.extent import Extent, merge, subtract

extents = st.builds(Extent, st.integers(0, 60), st.integers(0, 30))
lists = st.lists(extents, max_size=8)


def bytes_of(*several: Extent) -> set[int]:
    return {b for extent in several for b in range(extent.offset, extent.end)}


@given(extents, extents)
def test_intersection_and_difference_are_those_of_the_sets(a: Extent, b: Extent) -> None:
    assert bytes_of(a.intersect(b)) == bytes_of(a) & bytes_of(b)
    assert bytes_of(*a.minus(b)) == bytes_of(a) - bytes_of(b)
    assert a.overlaps(b) == bool(bytes_of(a) & bytes_of(b))
    assert a.covers(b) == (bytes_of(b) <= bytes_of(a))


@given(lists)
def test_merging_keeps_every_byte_and_leaves_gaps_between(several: list[Extent]) -> None:
    merged = merge(several)
    assert bytes_of(*merged) == bytes_of(*several)
    assert all(a.end < b.offset for a, b in itertools.pairwise(merged))
    assert all(merged)


def test_merging_a_nested_range_does_not_shorten_the_outer_one() -> None:
    assert merge([Extent(0, 100), Extent(10, 10)]) == (Extent(0, 100),)


@given(lists, lists)
def test_subtraction_is_that_of_the_sets(several: list[Extent], without: list[Extent]) -> None:
    rest = subtract(several, without)
    assert bytes_of(*rest) == bytes_of(*several) - bytes_of(*without)
    assert rest == merge(rest)


@given(extents, st.integers(1, 17))
def test_pieces_and_alignment(extent: Extent, size: int) -> None:
    pieces = list(extent.pieces(size))
    assert [b for piece in pieces for b in range(piece.offset, piece.end)] == list(range(extent.offset, extent.end))
    assert all(piece.length == size for piece in pieces[:-1])
    outer, inner = extent.aligned_out(size), extent.aligned_in(size)
    assert outer.covers(extent)
    assert extent.covers(inner)
    assert outer.offset % size == 0
    if extent:
        assert outer.end % size == 0
        assert outer.end - extent.end < size
    if inner:
        assert inner.offset % size == inner.end % size == 0


@given(extents, st.integers(0, 100))
def test_splitting_loses_nothing(extent: Extent, position: int) -> None:
    before, behind = extent.split_at(position)
    assert bytes_of(before) | bytes_of(behind) == bytes_of(extent)
    assert all(b < position for b in bytes_of(before))
    assert all(b >= position for b in bytes_of(behind))


def test_a_negative_extent_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Extent(-1, 4)
    with pytest.raises(ValueError, match="negative"):
        Extent(1, -4)
