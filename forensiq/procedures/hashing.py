"""Digests of every file of an image, by several workers at once, and which files are known."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from forensiq.analysis.explorer import Explorer, FileSystemRef, Loss
from forensiq.analysis.opening import ImageRef
from forensiq.errors import ForensiqError, UsageError
from forensiq.model.digest import HashAlgorithm
from forensiq.procedures.known_files import KnownFiles
from forensiq.procedures.listing import Listing

__all__ = ["HashRun", "hash_files"]

_AHEAD = 16
"""Batches that workers may be ahead of whoever takes them."""


class HashRun(Struct):
    """What a run over all files counted; complete when its iterator has ended."""

    files: int = 0
    known: int = 0
    unread: int = 0
    losses: tuple[Loss, ...] = ()


def hash_files(
    listing: Listing,
    reference: ImageRef,
    run: HashRun,
    *,
    algorithms: Sequence[HashAlgorithm] = (HashAlgorithm.MD5, HashAlgorithm.SHA256),
    known: Sequence[Path] = (),
    workers: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield one object for each stream with content: the keys of ``ls``, ``digests``, and ``known`` (names of sets).

    The order is that of finishing. ``digests`` is ``None`` where the bytes cannot be read; the loss says why.
    """
    if HashAlgorithm.BLAKE3 in algorithms:
        raise UsageError("blake3 is not offered for files", hint="choose among md5, sha1, sha256, sha512")
    with KnownFiles(known) as sets:
        names = list(dict.fromkeys([each.value for each in algorithms] + sorted(sets.algorithms())))
        count = workers or max(1, min(4, os.cpu_count() or 1))
        crews: list[_Crew] = []

        def find() -> Iterator[bytes]:
            crews.append(_Crew(reference, list(listing.file_systems), names, count))
            yield from crews[0].batches()

        def lost() -> list[Loss]:
            return [loss for crew in crews for loss in crew.losses()]

        try:
            for batch in listing.kept(f"digests {','.join(sorted(names))}", find, lost):
                entries = [json.loads(line) for line in batch.splitlines()]
                found = sets.names([entry["digests"] for entry in entries])
                for entry, where in zip(entries, found, strict=True):
                    run.files += 1
                    run.known += bool(where)
                    run.unread += entry["digests"] is None
                    yield entry | ({"known": where} if known else {})
        finally:
            for crew in crews:
                crew.stop()
            run.losses = (*listing.losses, *lost())


class _Crew:
    """Threads that each drive one worker process over their share of the files."""

    def __init__(self, reference: ImageRef, systems: list[FileSystemRef], algorithms: list[str], count: int) -> None:
        self._queue: queue.Queue[bytes | ForensiqError | None] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        self._explorers: list[Explorer] = []
        self._count = count
        for share in range(count):
            explorer = Explorer(reference)
            self._explorers.append(explorer)
            threading.Thread(
                target=self._work, args=(explorer, systems, algorithms, share), name=f"hash-{share}", daemon=True
            ).start()

    def _work(self, explorer: Explorer, systems: list[FileSystemRef], algorithms: list[str], share: int) -> None:
        try:
            for fs in systems:
                walk = explorer.walk(fs, do="digest", algorithms=algorithms, share=share, shares=self._count)
                for batch in walk:
                    if not self._put(batch):
                        return
        except ForensiqError as error:
            self._put(error)
        finally:
            explorer.close()
            self._put(None)

    def _put(self, item: bytes | ForensiqError | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.5)
            except queue.Full:
                continue
            return True
        return False

    def batches(self) -> Iterator[bytes]:
        """Yield what the workers send until all have ended."""
        left = self._count
        while left:
            item = self._queue.get()
            if item is None:
                left -= 1
            elif isinstance(item, ForensiqError):
                raise item
            else:
                yield item

    def stop(self) -> None:
        """Let the threads end."""
        self._stopped.set()

    def losses(self) -> list[Loss]:
        """Return what could not be read, each once (every worker walks everything)."""
        unique: dict[tuple[str, str], Loss] = {}
        for explorer in self._explorers:
            for loss in explorer.losses:
                unique.setdefault((str(loss.where), loss.message), loss)
        return list(unique.values())
