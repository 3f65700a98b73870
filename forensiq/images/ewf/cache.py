"""A cache with a bound in bytes, safe to use from several threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["BoundedCache"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Keeps what was used last, up to ``limit`` bytes; something larger than the limit is not kept at all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._lock = threading.Lock()
        self._items: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    @property
    def used(self) -> int:
        """Bytes held now."""
        return self._used

    def get(self, key: Key) -> Value | None:
        """Return what is kept under ``key``."""
        with self._lock:
            item = self._items.get(key)
            if item is None:
                return None
            self._items.move_to_end(key)
            return item[0]

    def put(self, key: Key, value: Value, size: int) -> None:
        """Keep ``value``, which takes ``size`` bytes, and let go of what was not used for longest."""
        with self._lock:
            old = self._items.pop(key, None)
            if old is not None:
                self._used -= old[1]
            if size > self._limit:
                return
            self._items[key] = (value, size)
            self._used += size
            while self._used > self._limit:
                _, (_, freed) = self._items.popitem(last=False)
                self._used -= freed
