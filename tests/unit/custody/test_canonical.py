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


def _strictly(data: bytes) -> Json | NotCanonicalError:
    """What the slow way says of ``data``, which non-ASCII text next to it forces."""
    try:
        both = decode(b"[" + data + ',"ü"]'.encode())
    except NotCanonicalError as error:
        return error
    assert isinstance(both, list)
    return both[0]


def _quickly(data: bytes) -> Json | NotCanonicalError:
    try:
        return decode(data)
    except NotCanonicalError as error:
        return error


@pytest.mark.parametrize("code", range(128))
def test_every_ascii_character_has_one_form_however_it_is_read(code: int) -> None:
    written = encode(chr(code))
    forms = {b'"' + bytes([code]) + b'"', b'"\\' + bytes([code]) + b'"', f'"\\u{code:04x}"'.encode()}
    forms |= {f'"\\u{code:04X}"'.encode()} | ({b'"\\' + b"bfnrt"[at : at + 1] + b'"' for at in range(5)})
    accepted = {form for form in forms if not isinstance(_quickly(form), NotCanonicalError)}
    assert accepted == {form for form in forms if not isinstance(_strictly(form), NotCanonicalError)}
    assert decode(written) == chr(code)


@given(_json, st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_the_quick_way_and_the_strict_one_agree(value: Json, at: int, put: bytes) -> None:
    data = encode(value)
    for each in (data, data[:at] + put + data[at:], data[:at] + put + data[at + len(put) :]):
        quick, strict = _quickly(each), _strictly(each)
        if b"," not in put:  # which would make two values of one, beside the text
            assert isinstance(quick, NotCanonicalError) == isinstance(strict, NotCanonicalError), each
        if not isinstance(quick, NotCanonicalError):
            assert quick == strict


@pytest.mark.parametrize(
    "number", ["9007199254740991", "-9007199254740991", "9007199254740992", "1.5", "1e5", "-0", "1E1"]
)
def test_numbers_at_the_bounds(number: str) -> None:
    fine = number.lstrip("-") == "9007199254740991"
    for data in (number, f"[{number}]", f'{{"a":{number}}}', f"[1,{number}]"):
        assert isinstance(_quickly(data.encode()), NotCanonicalError) != fine, data


def test_the_deepest_value_that_is_allowed() -> None:
    decode(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@pytest.mark.parametrize("value", [1.0, 0.5, float("nan"), MAX_INTEGER + 1, -MAX_INTEGER - 1, "\ud800", {"\udcff": 1}])
def test_values_without_canonical_form_are_refused(value: Json) -> None:
    with pytest.raises(NotCanonicalError):
        encode(value)
    with pytest.raises(NotCanonicalError):
        encode({"inside": [value]})
