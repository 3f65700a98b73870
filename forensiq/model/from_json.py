"""JSON to values: the way back from :func:`forensiq.model.jsonable.to_json`, strict, for data that may be hostile.

What a field is annotated with is what is accepted: an object for a frozen value or a mapping, an array for a tuple, the
value of an enumeration, numbers, text. Nothing is converted but an integer where a fraction is wanted. Unknown keys,
missing keys without a default, and values of another type are a :class:`~forensiq.errors.RecordFormatError` that names
the place (``items[0].acquisitions[1].record.source.size``).
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from msgspec import Struct
from msgspec.structs import fields

from forensiq.errors import RecordFormatError, UnknownHashError
from forensiq.model.digest import DigestSet

__all__ = ["from_json"]

T = TypeVar("T")


def from_json(kind: type[T], value: object, *, ignore_unknown: bool = False, where: str = "") -> T:
    """Return the ``kind`` (a frozen structure) that ``value`` describes.

    ``ignore_unknown`` accepts keys that ``kind`` does not have, as a later version may write them.
    """
    return cast(T, _decode(kind, value, where or kind.__name__, ignore_unknown))


@cache
def _shape(kind: type[Struct]) -> dict[str, tuple[Any, bool]]:
    """Return, for each field, what it is annotated with and whether it must be given."""
    hints = get_type_hints(kind)
    return {each.name: (hints[each.name], each.required) for each in fields(kind)}


def _decode(hint: object, value: object, where: str, loose: bool) -> object:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _union(get_args(hint), value, where, loose)
    if hint is DigestSet:
        return _digests(value, where)
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _object(hint, value, where, loose)
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(value)
        except ValueError:
            raise _wrong(where, f"one of {', '.join(str(each.value) for each in hint)}", value) from None
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(where, "an array", value)
        item = get_args(hint)[0]
        return tuple(_decode(item, each, f"{where}[{index}]", loose) for index, each in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        item = get_args(hint)[1]
        return {key: _decode(item, each, f"{where}.{key[:60]}", loose) for key, each in value.items()}
    return _scalar(hint, value, where)


def _union(choices: tuple[object, ...], value: object, where: str, loose: bool) -> object:
    if any(get_origin(each) in (list, dict) for each in choices):
        return value  # the type Json: anything that came out of a JSON document
    if value is None and type(None) in choices:
        return None
    rest = [each for each in choices if each is not type(None)]
    if len(rest) == 1:
        return _decode(rest[0], value, where, loose)
    if type(value) in rest:
        return value
    if type(value) is int and float in rest:
        return float(value)
    raise _wrong(where, " or ".join(getattr(each, "__name__", str(each)) for each in rest), value)


def _object(kind: type[Struct], value: object, where: str, loose: bool) -> object:
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    known = _shape(kind)
    for key in value:
        if key not in known and not loose:
            raise RecordFormatError(f"{where} has an unknown key {key[:60]!r}", where=where)
    given = {}
    for name, (hint, required) in known.items():
        if name in value:
            given[name] = _decode(hint, value[name], f"{where}.{name}", loose)
        elif required:
            raise RecordFormatError(f"{where} has no {name}", where=where)
    try:
        return kind(**given)
    except ValueError as error:
        raise RecordFormatError(f"{where}: {error}", where=where) from error


def _digests(value: object, where: str) -> DigestSet:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _wrong(where, "an object of digests", value)
    try:
        return DigestSet.from_json(value)
    except (ValueError, UnknownHashError) as error:
        raise RecordFormatError(f"{where}: {error}", where=where) from error


def _scalar(hint: object, value: object, where: str) -> object:
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise _wrong(where, getattr(hint, "__name__", str(hint)), value)
    return value


def _wrong(where: str, wanted: str, value: object) -> RecordFormatError:
    return RecordFormatError(f"{where} is {type(value).__name__}, not {wanted}", where=where)
