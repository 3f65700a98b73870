"""What a random sample is worth: the sentence promises no more than the arithmetic of drawing without replacement."""

from __future__ import annotations

import random
import re
from fractions import Fraction
from math import ceil, comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiq.verification.sampling import choose_sample, confidence_sentence


@given(count=st.integers(1, 5000), percent=st.floats(0.0001, 100, allow_nan=False))
def test_pieces_are_chosen_once_each_and_at_least_one(count: int, percent: float) -> None:
    chosen = choose_sample(count, percent, random.Random(1))
    assert list(chosen) == sorted(set(chosen))
    assert chosen[0] >= 0
    assert chosen[-1] < count
    assert len(chosen) == min(count, max(1, round(count * percent / 100)))


def test_the_choice_is_another_one_each_time() -> None:
    assert len({tuple(choose_sample(10_000, 1)) for _ in range(5)}) == 5


@given(count=st.integers(2, 3000), share=st.floats(0.001, 0.999))
def test_the_promise_is_kept(count: int, share: float) -> None:
    checked = max(1, min(count - 1, round(count * share)))
    said = confidence_sentence(checked, count, "blocks")
    found = re.search(r"if ([0-9.]+) % of all or more were damaged", said)
    assert found is not None, said
    damaged = ceil(Fraction(found[1]) * count / 100)
    missed = Fraction(comb(count - damaged, checked), comb(count, checked)) if damaged <= count else Fraction(0)
    assert missed <= Fraction(5, 100), (said, float(missed))


@pytest.mark.parametrize("count", [0, 1, 7])
def test_all_of_it_is_no_sample(count: int) -> None:
    assert confidence_sentence(count, count, "blocks") == f"All {count:,} blocks were checked."
