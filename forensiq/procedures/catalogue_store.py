"""The file of a catalogue: answers about images that were walked once, in SQLite.

An image is one row, named by its key; an answer (``walk``) belongs to an image and is there as a whole or not at all.
Its lines are kept as they were told, so that an answer from the catalogue is the same to the byte. The views
``files``, ``digests``, ``content_types``, ``volumes`` and ``findings`` are for people and tools that ask in SQL.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forensiq.errors import DestinationError, RecordFormatError, UsageError

__all__ = ["CatalogueStore", "Writer"]

_APPLICATION = 0x46514341
_VERSION = 1
_BATCH = 2000
_SAFE = re.compile(r"[\x20-\x7e]*\Z")
_SCHEMA = """
CREATE TABLE image (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, path TEXT NOT NULL, facts TEXT NOT NULL,
    volumes TEXT NOT NULL);
CREATE TABLE walk (id INTEGER PRIMARY KEY, image INTEGER NOT NULL REFERENCES image ON DELETE CASCADE,
    question TEXT NOT NULL, finished TEXT NOT NULL, UNIQUE (image, question));
CREATE TABLE line (id INTEGER PRIMARY KEY, walk INTEGER NOT NULL REFERENCES walk ON DELETE CASCADE, text TEXT NOT NULL);
CREATE INDEX line_walk ON line (walk, id);
CREATE TABLE finding (id INTEGER PRIMARY KEY, walk INTEGER NOT NULL REFERENCES walk ON DELETE CASCADE,
    loss TEXT NOT NULL);
CREATE INDEX finding_walk ON finding (walk);
"""
_COLUMNS = ("partition", "path", "path_hex", "inode", "stream", "attribute", "type", "size", "allocated", "recovery",
            "orphan", "mtime", "atime", "ctime", "crtime", "mode", "uid", "gid", "link_target")  # fmt: skip
_VIEWS = {
    "files": ("files", _COLUMNS),
    "digests": ("digests", ("partition", "path", "path_hex", "inode", "stream", "size", "allocated", "digests.md5",
                            "digests.sha1", "digests.sha256", "digests.sha512")),
    "content_types": ("types", ("partition", "path", "path_hex", "inode", "stream", "size", "allocated",
                                "content_type", "ending", "mismatch")),
}  # fmt: skip


class CatalogueStore:
    """An open catalogue file. One thread; close it at the end."""

    def __init__(self, path: Path) -> None:
        """Open it, or make a new one; :class:`UsageError` for a file that is something else."""
        self.path = path
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is not a file", path=str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._base = sqlite3.connect(path, isolation_level=None, timeout=60)
        except sqlite3.Error as error:
            raise DestinationError(f"{path}: {error}", path=str(path)) from error
        try:
            self._begin()
        except sqlite3.DatabaseError as error:
            self._base.close()
            raise UsageError(f"{path} is not a catalogue: {error}", path=str(path)) from error
        except UsageError:
            self._base.close()
            raise

    def _begin(self) -> None:
        # What a file from elsewhere says of its views and triggers is not believed.
        self._base.execute("PRAGMA trusted_schema = OFF")
        self._base.execute("PRAGMA foreign_keys = ON")
        (application,) = self._base.execute("PRAGMA application_id").fetchone()
        (version,) = self._base.execute("PRAGMA user_version").fetchone()
        (tables,) = self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            self._base.executescript(
                f"BEGIN; PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {_VERSION};"
                f"{_SCHEMA}{''.join(_view(*each) for each in _VIEWS.items())}{_MORE_VIEWS} COMMIT;"
            )
        elif application != _APPLICATION:
            raise UsageError(f"{self.path} is a database, but not a catalogue", path=str(self.path))
        elif version != _VERSION:
            raise UsageError(f"{self.path} is a catalogue of another version ({version})", path=str(self.path))

    def knows(self, key: str) -> bool:
        """Whether anything is stored of the image with that key."""
        return self._base.execute("SELECT 1 FROM image WHERE key = ?", (key,)).fetchone() is not None

    def finished(self, key: str, question: str) -> str | None:
        """Return when an answer was found (RFC 3339); ``None`` where there is none."""
        row = self._base.execute(
            "SELECT finished FROM walk JOIN image ON image.id = walk.image WHERE key = ? AND question = ?",
            (key, question),
        ).fetchone()
        return None if row is None else str(row[0])

    def questions(self, key: str) -> list[str]:
        """Return what was answered about an image."""
        rows = self._base.execute(
            "SELECT question FROM walk JOIN image ON image.id = walk.image WHERE key = ? ORDER BY walk.id", (key,)
        )
        return [str(row[0]) for row in rows]

    def lines(self, key: str, question: str) -> Iterator[bytes]:
        """Yield the lines of an answer, as batches; :class:`RecordFormatError` for what no worker of ours wrote."""
        rows = self._base.execute(
            "SELECT text FROM line JOIN walk ON walk.id = line.walk JOIN image ON image.id = walk.image"
            " WHERE key = ? AND question = ? ORDER BY line.id",
            (key, question),
        )
        while batch := rows.fetchmany(_BATCH):
            for (text,) in batch:
                if not isinstance(text, str) or not _SAFE.match(text):
                    raise RecordFormatError(f"{self.path} holds lines that forensiq did not write", path=str(self.path))
            yield ("\n".join(text for (text,) in batch) + "\n").encode("ascii")

    def losses(self, key: str, question: str) -> list[Any]:
        """Return what could not be looked into when the answer was found, as JSON values."""
        rows = self._base.execute(
            "SELECT loss FROM finding JOIN walk ON walk.id = finding.walk JOIN image ON image.id = walk.image"
            " WHERE key = ? AND question = ? ORDER BY finding.id",
            (key, question),
        )
        try:
            return [json.loads(row[0]) for row in rows]
        except (ValueError, TypeError) as error:
            raise RecordFormatError(f"{self.path} holds lines that forensiq did not write") from error

    def forget_others(self, key: str, path: str) -> int:
        """Remove what is stored of the image at ``path`` as it was before; return how many states of it."""
        return self._base.execute("DELETE FROM image WHERE path = ? AND key <> ?", (path, key)).rowcount

    @contextmanager
    def storing(self, key: str, path: str, facts: str, volumes: str, question: str, when: str) -> Iterator[Writer]:
        """Store an answer: all of it if the block inside ends well, else nothing."""
        try:
            self._base.execute("BEGIN IMMEDIATE")
            self._base.execute("INSERT OR IGNORE INTO image (key, path, facts, volumes) VALUES (?, ?, ?, ?)",
                               (key, path, facts, volumes))  # fmt: skip
            (image,) = self._base.execute("SELECT id FROM image WHERE key = ?", (key,)).fetchone()
            self._base.execute("DELETE FROM walk WHERE image = ? AND question = ?", (image, question))
            walk = self._base.execute(
                "INSERT INTO walk (image, question, finished) VALUES (?, ?, ?)", (image, question, when)
            ).lastrowid
            yield Writer(self._base, int(walk or 0))
            self._base.execute("COMMIT")
        except sqlite3.Error as error:
            raise DestinationError(f"{self.path}: {error}", path=str(self.path)) from error
        finally:
            self._roll_back()

    def _roll_back(self) -> None:
        """Undo what was not committed; nothing where all of it was."""
        if self._base.in_transaction:
            self._base.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file."""
        self._base.close()


class Writer:
    """Takes the lines of one answer."""

    def __init__(self, base: sqlite3.Connection, walk: int) -> None:
        self._base = base
        self._walk = walk

    def batch(self, batch: bytes) -> None:
        """Add lines."""
        rows = ((self._walk, text) for text in batch.decode("ascii").splitlines())
        self._base.executemany("INSERT INTO line (walk, text) VALUES (?, ?)", rows)

    def losses(self, losses: Iterable[str]) -> None:
        """Add what could not be looked into, as JSON texts."""
        self._base.executemany("INSERT INTO finding (walk, loss) VALUES (?, ?)", ((self._walk, x) for x in losses))


def _view(name: str, shape: tuple[str, tuple[str, ...]]) -> str:
    question, keys = shape
    columns = ", ".join(f"json_extract(line.text, '$.{key}') AS \"{key.rpartition('.')[2]}\"" for key in keys)
    head = f"CREATE VIEW {name} AS SELECT image.path AS image, {columns}"
    return head + (
        " FROM line JOIN walk ON walk.id = line.walk JOIN image ON image.id = walk.image"
        f" WHERE walk.question GLOB '{question}*';"
    )


_MORE_VIEWS = """
CREATE VIEW volumes AS SELECT image.path AS image, json_extract(v.value, '$.index') AS "index",
    json_extract(v.value, '$.kind') AS kind, json_extract(v.value, '$.offset') AS "offset",
    json_extract(v.value, '$.length') AS length, json_extract(v.value, '$.type') AS type,
    json_extract(v.value, '$.name') AS name, json_extract(v.value, '$.contents[0].name') AS content,
    json_extract(v.value, '$.contents[0].label') AS label, json_extract(v.value, '$.contents[0].uuid') AS uuid
    FROM image, json_each(image.volumes, '$.volumes') AS v;
CREATE VIEW findings AS SELECT image.path AS image, walk.question AS question,
    json_extract(finding.loss, '$.where.partition') AS partition, json_extract(finding.loss, '$.where.inode') AS inode,
    json_extract(finding.loss, '$.where.path') AS path, json_extract(finding.loss, '$.message') AS message
    FROM finding JOIN walk ON walk.id = finding.walk JOIN image ON image.id = walk.image;
"""
