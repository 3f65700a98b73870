"""Values to JSON: one rule for every record."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent

__all__ = ["Json", "to_json"]

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def to_json(value: object) -> Json:
    """Return ``value`` as plain JSON data.

    Frozen values become objects with their field names, enumerations their value, digests and mappings objects, tuples
    arrays. Anything else is a ``TypeError``: nothing is ever turned into text by accident.
    """
    if value is None or (isinstance(value, (bool, int, float, str)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return to_json(value.value)
    if isinstance(value, DigestSet):
        return dict(value.to_json().items())
    if isinstance(value, Extent):
        return {"offset": value.offset, "length": value.length}
    if isinstance(value, Struct):
        return {name: to_json(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key.value if isinstance(key, Enum) else key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    raise TypeError(f"no JSON for {type(value).__name__}")
