from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiq.cli import text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("Überweisung 日本 😀", "Überweisung 日本 😀"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\nb\tc\x7f\x9b", r"a\x0ab\x09c\x7f\x9b"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("zero\u200bwidth\u2028line", r"zero\u200bwidth\u2028line"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
        (r"a\x1b", r"a\\x1b"),
    ],
)
def test_a_hostile_name_is_shown_harmless(name: str, shown: str) -> None:
    assert text.visible(name) == shown


@given(st.text(alphabet=st.characters()))
def test_nothing_that_a_terminal_obeys_gets_through(name: str) -> None:
    assert not any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in text.visible(name))


@given(st.text(), st.text())
def test_two_names_never_look_the_same(one: str, other: str) -> None:
    assert (text.visible(one) == text.visible(other)) == (one == other)


def test_a_sentence_keeps_its_lines_and_its_backslashes() -> None:
    assert text.printable("one\ntwo \\ \x07") == "one\ntwo \\ \\x07"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (500_107_862_016, "500.1 GB"),
        (2**63, "9.2 EB"),
    ],
)
def test_sizes_are_decimal_as_drives_are_sold(value: int, shown: str) -> None:
    assert text.size(value) == shown


def test_an_exact_size_has_every_digit() -> None:
    assert text.exact_size(500_107_862_016) == "500,107,862,016 bytes (500.1 GB)"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0.0 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (1061, "17 min 41 s"), (11109, "3 h 05 min 09 s")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(12.2, "12 s"), (400, "7 min"), (3600, "1 h 0 min"), (200_000, "2 days 7 h")]
)
def test_estimates_are_rough(seconds: float, shown: str) -> None:
    assert text.rough_duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 B/s"), (462 * 2**20, "462 MiB/s"), (1.25 * 2**30, "1.2 GiB/s"), (999.6 * 1024, "1.0 MiB/s")],
)
def test_rates_are_binary(value: float, shown: str) -> None:
    assert text.rate(value) == shown


def test_a_share_is_in_the_unit_of_the_whole() -> None:
    assert text.of_total(305_100_000_000, 500_107_862_016) == "305.1 of 500.1 GB"
    assert text.of_total(12, 512) == "12 of 512 bytes"
