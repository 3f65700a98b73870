"""Sets of known files: lists of digests, and NSRL's RDSv3 databases, read where they are."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from forensiq.errors import UsageError
from forensiq.streams.closing import Closing

__all__ = ["KnownFiles", "KnownSet"]

_SQLITE = b"SQLite format 3\0"
_LENGTHS = {32: "md5", 40: "sha1", 64: "sha256"}
_HEX = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32})(?![0-9A-Fa-f])")
_MOST_VARIABLES = 500


class KnownSet(Protocol):
    """One set."""

    name: str
    algorithms: Sequence[str]

    def matches(self, algorithm: str, digests: Iterable[str]) -> set[str]: ...

    def close(self) -> None: ...


class _ListSet:
    """A text file with a digest in each line (first of the line): md5sum's format, CSV, hash lists of other tools."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._digests: dict[str, set[str]] = {}
        with path.open("r", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                for digest in _HEX.findall(line):
                    self._digests.setdefault(_LENGTHS[len(digest)], set()).add(digest.lower())
        if not self._digests:
            raise UsageError(f"{path} holds no digests", path=str(path))
        self.algorithms: Sequence[str] = tuple(self._digests)

    def matches(self, algorithm: str, digests: Iterable[str]) -> set[str]:
        """Return those of ``digests`` (lower-case hex) that are in the set."""
        return self._digests.get(algorithm, set()).intersection(digests)

    def close(self) -> None:
        """Nothing to close."""


class _RdsSet:
    """An RDSv3 database: table ``FILE`` with ``sha256``, ``sha1``, ``md5``. Opened read-only, never imported."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._base = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            columns = {str(row[1]).lower() for row in self._base.execute("PRAGMA table_info(FILE)")}
            found = [name for name in ("sha256", "sha1", "md5") if name in columns]
            if not found:
                raise UsageError(f"{path} has no table FILE with digests: not an RDSv3 set", path=str(path))
            indexed = self._indexed()
            self.algorithms: Sequence[str] = tuple(sorted(found, key=lambda name: name not in indexed))
            self.fast = bool(indexed.intersection(found))
            row = self._base.execute(f"SELECT {self.algorithms[0]} FROM FILE LIMIT 1").fetchone()  # noqa: S608
            self._upper = row is not None and str(row[0]) == str(row[0]).upper()
        except sqlite3.DatabaseError as error:
            self._base.close()
            raise UsageError(f"{path} is not a database that can be read: {error}", path=str(path)) from error

    def _indexed(self) -> set[str]:
        leading: set[str] = set()
        for row in self._base.execute("PRAGMA index_list(FILE)").fetchall():
            first = self._base.execute(f"PRAGMA index_info({_quoted(str(row[1]))})").fetchone()
            if first is not None:
                leading.add(str(first[2]).lower())
        return leading

    def matches(self, algorithm: str, digests: Iterable[str]) -> set[str]:
        """Return those of ``digests`` (lower-case hex) that are in the set."""
        wanted = [digest.upper() if self._upper else digest for digest in digests]
        found: set[str] = set()
        for at in range(0, len(wanted), _MOST_VARIABLES):
            part = wanted[at : at + _MOST_VARIABLES]
            marks = ",".join("?" * len(part))
            query = f"SELECT DISTINCT {algorithm} FROM FILE WHERE {algorithm} IN ({marks})"  # noqa: S608
            found |= {str(row[0]).lower() for row in self._base.execute(query, part)}
        return found

    def close(self) -> None:
        """Close the database."""
        self._base.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class KnownFiles(Closing):
    """Several sets, asked together."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Open them; :class:`~forensiq.errors.UsageError` for what is neither a list of digests nor an RDSv3 set."""
        self.sets: list[KnownSet] = []
        with ExitStack() as undo:
            undo.callback(self.close)
            for path in paths:
                self.sets.append(_open(path))
            undo.pop_all()

    def algorithms(self) -> set[str]:
        """Return the algorithms that must be computed: the best one of each set."""
        return {each.algorithms[0] for each in self.sets}

    def names(self, digests: Sequence[Mapping[str, str] | None]) -> list[list[str]]:
        """Return, for each file's digests, the names of the sets that know it."""
        result: list[list[str]] = [[] for _ in digests]
        for known in self.sets:
            algorithm = known.algorithms[0]
            wanted = {each[algorithm] for each in digests if each and algorithm in each}
            found = known.matches(algorithm, wanted) if wanted else set()
            for place, each in enumerate(digests):
                if each and each.get(algorithm) in found:
                    result[place].append(known.name)
        return result

    def close(self) -> None:
        """Close all sets."""
        for known in self.sets:
            known.close()


def _open(path: Path) -> KnownSet:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", path=str(path)) from error
    return _RdsSet(path) if head == _SQLITE else _ListSet(path)
