"""Writes files under names from evidence into a folder, so that nothing can get out of it.

Every name is one component, escaped until it has one reading on any system; folders are opened one by one without
following links; nothing that exists is opened for writing; links are never made.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from forensiq.errors import DestinationError, DestinationExistsError

__all__ = ["SafeTree", "safe_name"]

_RESERVED = frozenset('<>:"/\\|?*%')
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL"} | {f"{name}{digit}" for name in ("COM", "LPT") for digit in range(1, 10)}
)
_LONGEST = 200
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def safe_name(name: bytes) -> str:
    """Return ``name`` as one harmless component of at most 200 bytes.

    Control, reserved and invalid bytes become ``%XX``; so do dots and spaces that some system would drop, the first
    character of device names, and ``%`` itself. A name that is too long keeps its beginning and gets its own digest.
    """
    text = name.decode("utf-8", "surrogateescape")
    result = "".join(_escaped(character) for character in text)
    if result.rstrip(". ") != result:
        result = result[:-1] + _percent(result[-1])
    if set(text) <= {"."}:
        result = "%2E" * len(text) or "%00"
    if result.split(".")[0].upper() in _DEVICES:
        result = _percent(result[0]) + result[1:]
    raw = result.encode()
    if len(raw) > _LONGEST:
        short = raw[: _LONGEST - 20].decode("utf-8", "ignore")
        result = f"{short}~{hashlib.sha256(name).hexdigest()[:16]}"
    return result


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x20 or code == 0x7F or character in _RESERVED or 0x80 <= code < 0xA0:
        return _percent(character)
    if 0xD800 <= code <= 0xDFFF or not character.isprintable():
        return _percent(character)
    return character


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))


class SafeTree:
    """A new folder that is filled. One thread; close it at the end."""

    def __init__(self, root: Path) -> None:
        """Make ``root`` (and missing parents); :class:`DestinationExistsError` where it is there and not empty."""
        try:
            root.mkdir(parents=True, exist_ok=True)
            if any(root.iterdir()):
                raise DestinationExistsError(
                    f"{root} is not empty", hint="name a new folder: nothing is ever overwritten", path=str(root)
                )
            self._root = os.open(root, _FOLDER)
        except OSError as error:
            raise DestinationError(f"{root}: {error.strerror}", path=str(root)) from error
        self._used: dict[tuple[str, ...], set[str]] = {}
        self._folders: dict[tuple[bytes, ...], tuple[str, ...]] = {(): ()}
        self._open: tuple[tuple[str, ...], int] | None = None

    def folder(self, parts: tuple[bytes, ...]) -> tuple[str, ...]:
        """Make the folder that evidence calls ``parts`` (and those above), once; return its names in the tree."""
        at = len(parts)
        while parts[:at] not in self._folders:
            at -= 1
        for end in range(at + 1, len(parts) + 1):
            above = self._folders[parts[: end - 1]]
            name = self._free_name(above, safe_name(parts[end - 1]))
            with self._at(above) as handle:
                try:
                    os.mkdir(name, 0o700, dir_fd=handle)
                except OSError as error:
                    raise DestinationError(f"{'/'.join((*above, name))[:200]}: {error.strerror}") from error
            self._folders[parts[:end]] = (*above, name)
        return self._folders[parts]

    @contextmanager
    def file(self, parts: tuple[bytes, ...], suffix: bytes = b"") -> Iterator[tuple[tuple[str, ...], BinaryIO]]:
        """Create the file that evidence calls ``parts``, a stream of it with ``suffix``; give its names and handle."""
        above = self.folder(parts[:-1])
        name = self._free_name(above, safe_name(parts[-1] + suffix))
        with self._at(above) as handle:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                descriptor = os.open(name, flags, 0o600, dir_fd=handle)
            except OSError as error:
                raise DestinationError(f"{'/'.join((*above, name))[:200]}: {error.strerror}") from error
            with os.fdopen(descriptor, "wb") as out:
                yield (*above, name), out

    def close(self) -> None:
        """Release the folder."""
        if self._open is not None:
            os.close(self._open[1])
            self._open = None
        os.close(self._root)

    def _free_name(self, above: tuple[str, ...], name: str) -> str:
        """Return ``name``, numbered if a file system that ignores case would confuse it with one already there."""
        used = self._used.setdefault(above, set())
        candidate, number = name, 1
        while candidate.casefold() in used:
            number += 1
            candidate = f"{name}~{number}"
        used.add(candidate.casefold())
        return candidate

    @contextmanager
    def _at(self, names: tuple[str, ...]) -> Iterator[int]:
        """Open a folder of the tree step by step, without following links; the last one is kept open."""
        if self._open is None or self._open[0] != names:
            handle = os.dup(self._root)
            for name in names:
                below = os.open(name, _FOLDER, dir_fd=handle)
                os.close(handle)
                handle = below
            if self._open is not None:
                os.close(self._open[1])
            self._open = (names, handle)
        yield self._open[1]
