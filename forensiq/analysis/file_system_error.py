"""The error of everything that reads a file system inside a worker."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["FileSystemError", "parses"]

P = ParamSpec("P")
T = TypeVar("T")


class FileSystemError(Exception):
    """Something of a file system cannot be read; the message says why. Never leaves a worker."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def parses(function: Callable[P, T]) -> Callable[P, T]:
    """Let a parser end in a :class:`FileSystemError` where the bytes are too short or a number is out of bounds."""

    @wraps(function)
    def parse(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return function(*arguments, **named)
        except (struct.error, IndexError, OverflowError, ValueError) as error:
            raise FileSystemError(f"a structure does not fit together ({error})") from error

    return parse
