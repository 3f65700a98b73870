"""Files that wait for the event that binds them, so that a crash never leaves one without the other.

Order, under a lock that two processes cannot hold at once: (1) write each file below ``staged/``, at the path that it
will have in the case; durable; (2) append the event that binds it there; (3) give it its place; durable. The event is
what counts. What lies below ``staged/`` while nobody holds the lock is the rest of a crash: if the ledger binds those
bytes to that path, the step has happened and only (3) is missing; if not, it has not happened, and the files are set
aside. Nothing is deleted.

Of a group of files, those that the others are found by (``.json``) get their place last: a signature without its
statement is nothing, a statement without its signature would look like a fault.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from forensiq.custody.case_folder import CaseFolder, hash_file, inside
from forensiq.errors import CustodyError, DestinationError, DestinationExistsError
from forensiq.streams.durable import destination_error, sync_folder, write_durably

__all__ = ["LOCK", "SET_ASIDE", "STAGED", "Stage", "Waiting"]

STAGED = "staged"
SET_ASIDE = "set-aside"
LOCK = ".lock"


class Waiting(Struct, frozen=True):
    """A file below ``staged/``: its path in the case, its SHA-256, and whether the ledger binds it there."""

    path: str
    sha256: str
    happened: bool


class Stage:
    """The folder ``staged`` of one case, held by this process alone between ``with`` and its end."""

    def __init__(self, folder: CaseFolder) -> None:
        self._folder = folder
        self._root = folder.root / STAGED
        self._handle = -1

    def __enter__(self) -> Stage:
        try:
            self._handle = self._hold()
        except OSError as error:
            raise destination_error(error, self._root, "writing into the case") from error
        return self

    def __exit__(self, *_: object) -> None:
        # Only empty folders go; a file that still waits stays, and is found again.
        for base, _folders, _files in os.walk(self._root, topdown=False):
            with suppress(OSError):
                if [each.name for each in self._root.iterdir()] == [LOCK]:
                    (self._root / LOCK).unlink()
                Path(base).rmdir()
        os.close(self._handle)

    def waiting(self) -> Iterator[Waiting]:
        """Yield what an earlier step has left here."""
        for found in CaseFolder(self._root).walk():
            if found.kind != "file" or found.key == LOCK:
                continue
            digest = hash_file(self._root, found.key).sha256
            yield Waiting(found.key, digest, self._happened(found.key, digest))

    def check_free(self, path: Path) -> None:
        """:class:`~forensiq.errors.DestinationExistsError` if there is something at ``path``."""
        if path.exists() or path.is_symlink():
            raise DestinationExistsError(f"{path} exists; nothing was changed", path=str(path))

    def room_for(self, key: str) -> Path:
        """Return where a file of the case waits for its place; its folder is there."""
        place = inside(self._root, key)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise destination_error(error, place, "writing into the case") from error
        return place

    def write(self, files: Mapping[str, bytes]) -> dict[str, str]:
        """Write files (path in the case → content) that are to have their place soon; return path → SHA-256.

        Where writing fails nothing is left behind.
        """
        try:
            for key, content in files.items():
                write_durably(self.room_for(key), content)
        except DestinationError:
            for key in files:
                inside(self._root, key).unlink(missing_ok=True)
            raise
        return {key: hashlib.sha256(content).hexdigest() for key, content in files.items()}

    def set_aside(self, keys: Iterable[str], name: str) -> dict[str, str]:
        """Let files wait for a place in ``set-aside/NAME/`` instead; return path → SHA-256."""
        bound: dict[str, str] = {}
        for key in keys:
            other = key if key.startswith(f"{SET_ASIDE}/") else self._key(f"{SET_ASIDE}/{name}/", key)
            source, target = inside(self._root, key), self.room_for(other)
            try:
                source.rename(target)
                sync_folder(target.parent)
            except OSError as error:
                raise destination_error(error, source, "setting an unfinished step aside") from error
            bound[other] = hash_file(self._root, other).sha256
        return bound

    def place(self, keys: Iterable[str]) -> None:
        """Give files their place, once the event is written that binds them there."""
        for key in sorted(keys, key=lambda each: (each.endswith(".json"), each)):
            source, target = inside(self._root, key), inside(self._folder.root, key)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                source.rename(target)
                sync_folder(target.parent)
            except OSError as error:
                raise destination_error(error, target, f"giving {key} its place in the case") from error

    def _happened(self, key: str, digest: str) -> bool:
        """Say whether the ledger binds these bytes to this path, and nobody has put anything else there since."""
        try:
            bound = self._folder.ledger.bindings(key, most=2)
            if not bound or bound[0][0] != digest:
                return False
            if not inside(self._folder.root, key).exists():
                return True
            now = hash_file(self._folder.root, key).sha256
        except CustodyError:
            return False
        return now in (each for each, _ in bound)

    @staticmethod
    def _key(prefix: str, key: str) -> str:
        return f"/hex/{prefix.encode().hex()}{key[5:]}" if key.startswith("/hex/") else prefix + key

    def _hold(self) -> int:
        while True:
            self._root.mkdir(exist_ok=True)
            if self._root.is_symlink():
                raise CustodyError(f"{self._root} is a link; it was not followed", path=str(self._root))
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                handle = os.open(self._root / LOCK, flags, 0o644)
            except FileNotFoundError:
                continue  # who held it has just removed the folder
            fcntl.flock(handle, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.lstat(self._root / LOCK)):
                    return handle
            os.close(handle)
