from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiq.custody.canonical import MAX_DEPTH, MAX_INTEGER, decode, encode
from forensiq.errors import NotCanonicalError
from forensiq.model.jsonable import Json

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_integers = st.integers(-MAX_INTEGER, MAX_INTEGER)
_json = st.recursive(
    st.none() | st.booleans() | _integers | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=20,
)


@given(_json)
def test_reading_gives_back_what_was_written(value: Json) -> None:
    assert decode(encode(value)) == value
    assert json.loads(encode(value)) == value


@given(st.dictionaries(_text, _integers, max_size=6))
def test_the_order_of_insertion_does_not_matter(value: dict[str, Json]) -> None:
    assert encode(value) == encode(dict(reversed(value.items())))


def test_keys_are_ordered_by_utf16_code_units_as_rfc_8785_says() -> None:
    # RFC 8785 section 3.2.3, its own example
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\u00f6"]
    expected = ["\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(encode(dict.fromkeys(keys)))) == expected


def test_text_is_escaped_as_rfc_8785_says() -> None:
    assert (
        encode('\x08\t\n\x0c\r"\\/\x00\x1f\x7f\u20ac') == '"\\b\\t\\n\\f\\r\\"\\\\/\\u0000\\u001f\x7f\u20ac"'.encode()
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b"\xef\xbb\xbf{}",
        b"1.0",
        b"1e3",
        b"-0",
        b"01",
        b"NaN",
        b"-Infinity",
        b"9007199254740992",
        b"1" * 10_000,
        b'"\\u0041"',
        b'"\\/"',
        b'"\\ud800"',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b"[" * 100_000,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * 100_000,
    ],
    ids=lambda data: repr(data[:20]),
)
def test_bytes_that_are_not_canonical_are_refused(data: bytes) -> None:
    with pytest.raises(NotCanonicalError):
        decode(data)


def test_the_deepest_value_that_is_allowed() -> None:
    decode(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@pytest.mark.parametrize("value", [1.0, 0.5, float("nan"), MAX_INTEGER + 1, -MAX_INTEGER - 1, "\ud800", {"\udcff": 1}])
def test_values_without_canonical_form_are_refused(value: Json) -> None:
    with pytest.raises(NotCanonicalError):
        encode(value)
    with pytest.raises(NotCanonicalError):
        encode({"inside": [value]})
