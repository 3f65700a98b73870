"""Listings that are answered from a catalogue: one walk, and later questions need none.

An answer is taken from the catalogue only where the key of the image is the same: its files by size, times of change
and place on the disk, what it says of itself, the record beside it, and the program that looked. Whoever writes to a
file changes its key, so an image that was changed is walked again, and what was known of it is forgotten.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from forensiq.analysis.body import body_of_entry
from forensiq.analysis.events import EventForm, events_of_batch
from forensiq.analysis.explorer import FileSystemRef, Loss
from forensiq.analysis.opening import ImageRef, open_reference
from forensiq.clock import rfc3339, utc_now
from forensiq.errors import RecordFormatError, UsageError
from forensiq.images.beside import find_record
from forensiq.model.from_json import from_json
from forensiq.model.jsonable import to_json
from forensiq.procedures.catalogue_store import CatalogueStore
from forensiq.procedures.environment import code_digest
from forensiq.procedures.listing import Listing

__all__ = ["CatalogueListing", "open_listing"]

_FILES = "files"


class _ImageKey(Struct, frozen=True):
    """What an image is known by; ``facts`` is what went into ``key``."""

    key: str
    facts: str


def open_listing(reference: ImageRef, *, partition: int | None = None, catalogue: Path | None = None) -> Listing:
    """Return a listing; with ``catalogue`` one that answers from that file, and keeps in it what it had to find out."""
    if catalogue is None:
        return Listing(reference, partition=partition)
    return CatalogueListing(reference, catalogue, partition=partition)


class CatalogueListing(Listing):
    """A :class:`Listing` that remembers. ``answered`` is when the answer that was given was found, if it was kept."""

    def __init__(self, reference: ImageRef, catalogue: Path, *, partition: int | None = None) -> None:
        """As :class:`Listing`; :class:`UsageError` for a device, and for a file that is no catalogue."""
        self._key = _key_of(reference)
        self._store = CatalogueStore(catalogue)
        self._scope = "" if partition is None else f" of partition {partition}"
        self._path = os.path.abspath(reference.path)
        with ExitStack() as undo:
            undo.callback(self._store.close)
            super().__init__(reference, partition=partition)
            undo.callback(super().close)
            self.forgotten = self._store.forget_others(self._key.key, self._path)
            undo.pop_all()

    def close(self) -> None:
        """End the worker and close the catalogue."""
        super().close()
        self._store.close()

    def batches(
        self, path: str | None = None, *, recurse: bool = False, deleted: bool = False, recovery: bool = True
    ) -> Iterator[bytes]:
        """As :meth:`Listing.batches`; what is asked of everything is kept, a part of it is looked up in the image."""
        if not recurse or (path is not None and path.strip("/")):
            yield from super().batches(path, recurse=recurse, deleted=deleted, recovery=recovery)
            return
        for batch in self._all():
            if not deleted:
                yield batch
                continue
            kept = [line for line in batch.splitlines(keepends=True) if b'"allocated":false' in line]
            if kept:
                yield b"".join(kept)

    def rows(self, *, recurse: bool = False) -> Iterator[tuple[FileSystemRef | None, bytes]]:
        """As :meth:`Listing.rows`."""
        if recurse:
            return ((None, batch) for batch in self._all())
        return super().rows(recurse=recurse)

    def events(self, form: EventForm, path: str | None = None) -> Iterator[bytes]:
        """As :meth:`Listing.events`."""
        if path is not None and path.strip("/"):
            return super().events(form, path)
        return map(events_of_batch, self._all())

    def body(self, prefix: str = "/") -> Iterator[bytes]:
        """As :meth:`Listing.body`."""
        for batch in self._all():
            lines = [text for line in batch.splitlines() for text in body_of_entry(json.loads(line), prefix)]
            yield ("\n".join(lines) + "\n").encode("utf-8", "replace")

    def _all(self) -> Iterator[bytes]:
        before = len(self.losses)
        return self.kept(
            _FILES, lambda: super(CatalogueListing, self).batches(recurse=True), lambda: self.losses[before:]
        )

    def kept(
        self, question: str, find: Callable[[], Iterator[bytes]], losses: Callable[[], Sequence[Loss]]
    ) -> Iterator[bytes]:
        """Yield the answer to ``question`` from the catalogue, else from ``find``, which is kept when it has ended.

        ``losses`` says what could not be looked into; where the answer was kept they are added to :attr:`losses`.
        """
        name = question + self._scope
        self.answered = self._store.finished(self._key.key, name)
        if self.answered is not None:
            yield from self._store.lines(self._key.key, name)
            try:
                self.losses.extend(from_json(Loss, value) for value in self._store.losses(self._key.key, name))
            except (ValueError, TypeError, KeyError) as error:
                raise RecordFormatError(f"{self._store.path} holds findings that forensiq did not write") from error
            return
        volumes = json.dumps(to_json(self.system))
        when = rfc3339(utc_now())
        with self._store.storing(self._key.key, self._path, self._key.facts, volumes, name, when) as writer:
            for batch in find():
                writer.batch(batch)
                yield batch
            writer.losses(json.dumps(to_json(loss)) for loss in losses())
            if _key_of(self.reference) != self._key:
                raise UsageError("the image changed while it was looked into: nothing is kept", path=self._path)


def _key_of(reference: ImageRef) -> _ImageKey:
    before = _open_files()
    with open_reference(reference) as image:
        first = Path(reference.path).resolve()
        # Parents and backing files are no segments, but they are open.
        paths = {first, *((first.parent / each.path).resolve() for each in image.segments), *(_open_files() - before)}
        facts: dict[str, object] = {
            "program": code_digest(),
            "format": image.format,
            "size": image.size,
            "sector_size": reference.sector_size or image.sector_size,
            "segments_in": list(reference.segments_in),
            "stored_digests": to_json(image.stored_digests),
        }
    facts["files"] = [_state_of(path) for path in sorted(paths)]
    record = find_record(Path(reference.path))
    facts["record"] = None if record is None else _digest_of(record.path)
    text = json.dumps(facts, sort_keys=True)
    return _ImageKey(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), text)


def _open_files() -> set[Path]:
    """Return the regular files that this process has open."""
    found = set()
    for handle in Path("/proc/self/fd").iterdir():
        try:
            place = handle.readlink()
        except FileNotFoundError:
            continue
        if place.is_absolute() and place.is_file():
            found.add(place)
    return found


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state_of(path: Path) -> list[str | int]:
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise UsageError(
            f"{path} is a device: it can change without a trace, so nothing of it is kept",
            hint="leave out --catalogue, or acquire an image first",
        )
    return [path.name, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, facts.st_dev]
