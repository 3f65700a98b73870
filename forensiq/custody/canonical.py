"""Canonical JSON: one value, one sequence of bytes, so that it can be signed.

A subset of RFC 8785 (JSON Canonicalization Scheme): UTF-8 without a byte order mark, no white space, object keys sorted
by their UTF-16 code units, strings escaped as section 3.2.2.2 says. What the subset leaves out is refused, not
converted: fractions and exponents (numbers are integers within ±(2^53 - 1), where every JSON reader agrees), NaN and
infinities, lone surrogates, repeated keys, more than 32 levels.

Reading is as strict as writing: bytes are accepted only if they are what :func:`encode` would have written. So a change
of a single byte always changes the meaning or is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from forensiq.errors import NotCanonicalError
from forensiq.model.jsonable import Json

__all__ = ["MAX_DEPTH", "MAX_INTEGER", "decode", "encode"]

MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1


def encode(value: Json | Mapping[str, Json]) -> bytes:
    """Return ``value`` as canonical JSON; :class:`NotCanonicalError` where it has none."""
    try:
        text = json.dumps(_ordered(value, MAX_DEPTH), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotCanonicalError("text with a lone surrogate has no canonical form") from None


def decode(data: bytes) -> Json:
    """Return the value that ``data`` is the canonical form of; :class:`NotCanonicalError` for any other bytes.

    The caller bounds the length of ``data``.
    """
    if _usual(data):
        try:
            value: Json = _QUICK_READER.decode(data)
            if _QUICK_WRITER.encode(value) == data:
                return value
        except (msgspec.MsgspecError, NotCanonicalError, ValueError, RecursionError):
            pass  # what is wrong with it is said below
    try:
        text = data.decode("utf-8")
        value = _STRICT_READER.decode(text)
        if encode(value) == data:
            return value
    except NotCanonicalError:
        raise
    except (ValueError, RecursionError) as error:
        raise NotCanonicalError(f"not JSON: {error}") from None
    raise NotCanonicalError("JSON, but not in canonical form (order of keys, white space or escapes)")


def _usual(data: bytes) -> bool:
    """Say whether the quick reader and writer are exact for ``data``; ``False`` means only that it has to be looked at.

    In ASCII, the order of code points is that of UTF-16 units; with so few brackets, no nesting is too deep; without a
    number of 16 digits, none is beyond 2^53. Fractions are refused while reading. A key that stands twice is read once,
    so what is written is shorter than what was read.
    """
    if not data.isascii() or data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        return False
    digits = b"," + data.translate(_DIGITS_AS_ZERO)
    return not any(begin in digits for begin in _LONG_NUMBERS)


def _ordered(value: object, depth: int) -> object:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise NotCanonicalError("an integer beyond 2^53 - 1 has no canonical form")
        return value
    if depth == 0:
        raise NotCanonicalError(f"more than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise NotCanonicalError(f"a key that is no text: {type(key).__name__}")
        return {key: _ordered(value[key], depth - 1) for key in sorted(value, key=_utf16)}
    if isinstance(value, (list, tuple)):
        return [_ordered(item, depth - 1) for item in value]
    raise NotCanonicalError(f"no canonical form for {type(value).__name__}")


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise NotCanonicalError("a key stands twice in one object")
    return result


def _integer(text: str) -> int:
    number = int(text) if len(text) <= 17 else MAX_INTEGER + 1
    if not -MAX_INTEGER <= number <= MAX_INTEGER:
        raise NotCanonicalError("an integer beyond 2^53 - 1")
    return number


def _refuse_number(text: str) -> Json:
    raise NotCanonicalError(f"a number that is no integer: {text[:20]}")


_STRICT_READER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_refuse_number, parse_constant=_refuse_number
)
_QUICK_READER = msgspec.json.Decoder(float_hook=_refuse_number)
_QUICK_WRITER = msgspec.json.Encoder(order="sorted")
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBERS = tuple(begin + b"0" * 16 for begin in (b":", b",", b"[", b"-"))
