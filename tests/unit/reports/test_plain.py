from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiq.reports.plain import display_width, visible, wrap

ANY = st.text(st.characters(), max_size=200)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name.txt", "plain name.txt"),
        ("C:\\Users\\x", "C:\\Users\\x"),
        ("\x1b[31mred", "<U+001B>[31mred"),
        ("two\nlines\r", "two<U+000A>lines<U+000D>"),
        ("photo\u202egpj.exe", "photo<U+202E>gpj.exe"),
        ("\udcff", "<U+DCFF>"),
        ("already <U+001B>", "already <U+003C>U+001B>"),
        ("a\u00a0b", "a<U+00A0>b"),
        ("日本語 עברית العربية", "日本語 עברית العربية"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_only_what_is_hidden_or_harmful_is_replaced(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANY)
def test_nothing_invisible_is_left_and_the_text_can_be_encoded(text: str) -> None:
    shown = visible(text)
    shown.encode()
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
    assert all(unicodedata.category(c) not in hidden or c in " \u3000\u200c\u200d" for c in shown)


@given(ANY, ANY)
def test_two_texts_never_look_the_same_by_our_doing(one: str, other: str) -> None:
    assert (visible(one) == visible(other)) == (one == other)


def test_a_long_text_is_cut_and_says_so() -> None:
    assert visible("x" * 10_000, 10) == "x" * 10 + "… (cut here; 10,000 characters in all)"


@pytest.mark.parametrize("limit", [1, 10, 100])
def test_a_text_full_of_what_is_replaced_takes_no_more_room_than_it_was_given(limit: int) -> None:
    shown = visible("\u202e" * 1000, limit)
    assert len(shown.partition("…")[0]) <= limit
    assert shown.endswith("1,000 characters in all)")


def test_a_pile_of_marks_does_not_climb_over_other_lines() -> None:
    assert visible("a" + "\u0301" * 40).count("\u0301") == 6


@given(ANY.map(visible), st.integers(2, 120))
def test_wrapped_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(display_width(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_long_digests_break_in_the_middle() -> None:
    assert wrap("ab" * 64, 85) == ["ab" * 32, "ab" * 32]
