"""A case folder: what lies where in it.

::

    CASE/
    ├── case.toml               who, why, which items; for people, changed by hand or by commands
    ├── checklist.md            from the template
    ├── ledger.jsonl            the signed ledger, only ever appended to
    ├── ledger.torn-*.bin       ends of lines that a crash had cut short, kept
    ├── evidence/ITEM/ITEM.E01  an item's image, record, log, map, block digests
    ├── attachments/            photos and documents, bound by digest
    ├── transfers/0001.json     hand-overs
    ├── reports/
    ├── seals/0001/             manifest, signature, public key, time stamp, countersignatures
    ├── staged/                 only while something is written: files that wait for their event (staging.py)
    └── set-aside/              files of steps that a crash ended before they were written into the ledger

Everything in it may have been put there by somebody else: links are never followed, names never trusted.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from forensiq.custody.case_file import MAX_CASE_FILE, parse_case, valid_identifier
from forensiq.custody.ledger import Ledger
from forensiq.errors import CustodyError, UsageError
from forensiq.model.case import Case
from forensiq.model.ledger import FileDigest

__all__ = ["CaseFolder", "FoundFile", "hash_file", "inside", "key_of_path", "open_plain"]

_BLOCK = 1024 * 1024


class FoundFile(Struct, frozen=True):
    """A name in the case folder. ``kind``: ``file``, ``link`` or ``special``; ``key`` as :func:`key_of_path` gives."""

    key: str
    kind: str
    size: int


class CaseFolder:
    """Paths of one case; touches nothing by itself."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.case_file = root / "case.toml"
        self.ledger = Ledger(root / "ledger.jsonl")
        self.evidence = root / "evidence"
        self.attachments = root / "attachments"
        self.transfers = root / "transfers"
        self.reports = root / "reports"
        self.seals = root / "seals"

    @classmethod
    def open(cls, root: Path) -> CaseFolder:
        """Return the case in ``root``; :class:`~forensiq.errors.UsageError` if there is none."""
        folder = cls(root)
        if not folder.ledger.path.exists() and not folder.case_file.exists():
            raise UsageError(
                f"{root} is not a case folder", hint="forensiq case new DIR --number N --examiner NAME", path=str(root)
            )
        return folder

    def read_case(self) -> Case:
        """Return what ``case.toml`` says; :class:`~forensiq.errors.CaseFileError` where it is not valid."""
        return parse_case(self.case_text(), str(self.case_file))

    def case_text(self) -> bytes:
        """Return the bytes of ``case.toml``."""
        with open_plain(self.case_file) as handle:
            return os.read(handle.number, MAX_CASE_FILE + 1)

    def item_folder(self, identifier: str) -> Path:
        """Return the folder of an item; :class:`~forensiq.errors.UsageError` if it cannot be an identifier."""
        if not valid_identifier(identifier):
            raise UsageError(
                f"an item cannot be called {identifier!r}", hint="letters, digits, '.', '_' and '-'; at most 64"
            )
        return self.evidence / identifier

    def relative(self, path: Path) -> str | None:
        """Return ``path`` as written in the ledger, or ``None`` if it is not inside the case folder."""
        absolute = Path(os.path.abspath(path))
        root = Path(os.path.abspath(self.root))
        return key_of_path(absolute.relative_to(root).as_posix()) if absolute.is_relative_to(root) else None

    def walk(self) -> Iterator[FoundFile]:
        """Yield everything in the folder that is not a folder, in the order of names, without following links."""
        yield from _walk(os.fspath(self.root))


class open_plain:  # noqa: N801  (a context manager that reads like a function)
    """Open a regular file for reading, never through a link; ``CustodyError`` for anything else.

    ``number`` is the file descriptor, open inside the ``with`` block only.
    """

    def __init__(self, path: Path) -> None:
        try:
            self.number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise CustodyError(f"{path} cannot be read: {reason}", path=str(path)) from error
        facts = os.fstat(self.number)
        self.size = facts.st_size
        if not stat.S_ISREG(facts.st_mode):
            os.close(self.number)
            raise CustodyError(f"{path} is not a regular file", path=str(path))

    def __enter__(self) -> open_plain:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.number)


def hash_file(root: Path, relative: str, advance: Callable[[int], None] = lambda _: None) -> FileDigest:
    """Return size and digests of a file in a case, read past the page cache where the system allows it.

    ``advance`` gets the bytes of each piece, and may end the work by raising.

    ``CustodyError`` if it cannot be read to its end, is no regular file, or a folder on its way is a link.
    """
    path = inside(root, relative)
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with open_plain(path) as file:
        # Drop clean cached pages, so that what is hashed is what the medium holds.
        os.posix_fadvise(file.number, 0, 0, os.POSIX_FADV_DONTNEED)
        try:
            while piece := os.read(file.number, _BLOCK):
                md5.update(piece)
                sha256.update(piece)
                size += len(piece)
                advance(len(piece))
        except OSError as error:
            raise CustodyError(f"{path} cannot be read at byte {size}: {error.strerror}", path=str(path)) from error
    return FileDigest(relative, size, md5.hexdigest(), sha256.hexdigest())


def key_of_path(relative: str) -> str:
    """Return how a path in a case is written in ledgers and manifests.

    As it is, or ``/hex/`` and the bytes in hexadecimal if it is not UTF-8: no relative path starts with ``/``, so two
    files never share a key.
    """
    try:
        relative.encode("utf-8")
    except UnicodeEncodeError:
        return "/hex/" + os.fsencode(relative).hex()
    return relative


def inside(root: Path, relative: str) -> Path:
    """Return the place of a key in ``root``; ``CustodyError`` if it leads out of ``root`` or through a link."""
    if relative.startswith("/hex/"):
        try:
            relative = os.fsdecode(bytes.fromhex(relative[5:]))
        except ValueError:
            relative = ""
    parts = relative.split("/")
    if not relative or "\0" in relative or any(part in ("", ".", "..") for part in parts):
        raise CustodyError(f"{relative!r} is not a path inside the case folder", path=relative)
    path = root
    for part in parts[:-1]:
        path = path / part
        if path.is_symlink():
            raise CustodyError(f"{relative!r} leads through a link", path=relative)
    return path / parts[-1]


def _walk(root: str) -> Iterator[FoundFile]:
    # A list, not recursion: folders in somebody else's case may be nested deeper than Python's stack.
    waiting = [("", "")]
    while waiting:
        path, kind = waiting.pop()
        if kind:
            yield FoundFile(key_of_path(path), kind, _size(root, path) if kind == "file" else 0)
            continue
        folder = os.path.join(root, path)
        try:
            with os.scandir(folder) as entries:
                names = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            raise CustodyError(f"{folder} cannot be listed: {error.strerror}", path=folder) from error
        waiting += [(f"{path}/{entry.name}" if path else entry.name, _kind(entry)) for entry in names]


def _kind(entry: os.DirEntry[str]) -> str:
    """Return what a name is, ``""`` for a folder."""
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return ""
    return "file" if entry.is_file(follow_symlinks=False) else "special"


def _size(root: str, path: str) -> int:
    try:
        return os.lstat(os.path.join(root, path)).st_size
    except OSError:
        return 0  # gone since it was listed; whoever opens it will say so
