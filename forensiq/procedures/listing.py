"""List the files of an image: every volume that can be looked into, and by name every one that cannot."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from forensiq.analysis.events import EventForm, events_of_batch
from forensiq.analysis.explorer import Explorer, FileSystemRef, Loss, VolumeState, entries_of
from forensiq.analysis.opening import ImageRef
from forensiq.errors import UnsupportedContentError, UsageError
from forensiq.model.listing import FileEntry, Volume, VolumeKind
from forensiq.streams.closing import Closing

__all__ = ["Listing", "entries_of", "name_of"]

_DIRECTORIES = ("directory", "virtual_directory")


class Listing(Closing):
    """The files of an image, as a stream. Losses and volumes that cannot be looked into are there at the end."""

    def __init__(self, reference: ImageRef, *, partition: int | None = None, stall: float = 60.0) -> None:
        """Open the image and find its volumes; ``partition`` restricts to one, by its number in ``partitions``.

        Raises :class:`~forensiq.errors.ImageFormatError` for what is no image, :class:`~forensiq.errors.UsageError` for
        a partition that is not there, :class:`~forensiq.errors.UnsupportedContentError` where nothing can be listed.
        """
        self.reference = reference
        self.answered: str | None = None
        """When the answer was found (RFC 3339), where it was kept from an earlier time."""
        self.forgotten = 0
        """States of the image that a catalogue knew and that are not what it is now."""
        self.explorer = Explorer(reference, stall=stall, formatter=(os.cpu_count() or 1) > 1)
        with ExitStack() as undo:
            undo.callback(self.explorer.close)
            self.states = self._states(partition)
            undo.pop_all()

    def _states(self, partition: int | None) -> tuple[VolumeState, ...]:
        self.system = system = self.explorer.volumes()
        volumes = [volume for volume in system.volumes if volume.is_volume]
        if partition is not None:
            chosen = system.volume(partition)
            if chosen is None:
                known = ", ".join(str(volume.index) for volume in volumes)
                raise UsageError(f"there is no partition {partition}", hint=f"this image has {known or 'none'}")
            volumes = [chosen, *(row for row in volumes if row.container_index == partition)]
        inner = {row.container_index for row in volumes}
        states = tuple(
            self.explorer.state(volume)
            for volume in volumes
            if volume.kind is VolumeKind.POOL_VOLUME or volume.index not in inner
        )
        if not any(state.file_systems for state in states):
            reasons = [f"{name_of(state.volume)}: {state.reason}" for state in states]
            raise UnsupportedContentError(
                "no file system in this image can be looked into: " + ("; ".join(reasons) or "it has no volumes"),
                hint="see 'forensiq partitions'",
                reasons=reasons,
            )
        return states

    @property
    def file_systems(self) -> Iterator[FileSystemRef]:
        """Every file system that can be looked into, in order."""
        return (fs for state in self.states for fs in state.file_systems)

    @property
    def not_listed(self) -> tuple[VolumeState, ...]:
        """The volumes that cannot be looked into, with the reason."""
        return tuple(state for state in self.states if not state.file_systems)

    @property
    def losses(self) -> list[Loss]:
        """What could not be read so far."""
        return self.explorer.losses

    def batches(
        self,
        path: str | None = None,
        *,
        recurse: bool = False,
        deleted: bool = False,
        recovery: bool = True,
    ) -> Iterator[bytes]:
        """Yield entries as batches of JSON lines: of the roots, or of ``path`` (of each partition that has it).

        A path that is a file gives its own entries. One that is nowhere is a :class:`~forensiq.errors.UsageError`.
        """
        return self._batches(path, recurse=recurse, deleted=deleted, recovery=recovery)

    def _batches(
        self, path: str | None, *, recurse: bool, deleted: bool, recovery: bool, events: str | None = None
    ) -> Iterator[bytes]:
        wanted = None if path is None or not path.strip("/") else path
        walk = partial(self.explorer.walk, recurse=recurse, deleted=deleted, recovery=recovery, events=events)
        found = wanted is None
        for fs in self.file_systems:
            if wanted is None:
                yield from walk(fs)
                continue
            for entry in self.explorer.find(fs, wanted):
                if entry.type not in _DIRECTORIES:
                    found = True
                    if not (deleted and entry.allocated):
                        yield entry.to_line() if events is None else events_of_batch(entry.to_line())
                elif entry.stream is None:
                    found = True
                    yield from walk(fs, start=entry)
                    break
        if not found:
            raise UsageError(
                f"{path} is not in this image", hint="paths begin at the root of a partition, as in 'ls -r'"
            )

    def rows(self, *, recurse: bool = False) -> Iterator[tuple[FileSystemRef | None, bytes]]:
        """Yield what :meth:`batches` does for whole partitions, as rows for a terminal (UTF-8, printable).

        A row that begins with ``{`` is the JSON of an entry whose name has to be escaped, or that is not plain; without
        a file system all are.
        """
        for fs in self.file_systems:
            for batch in self.explorer.walk(fs, recurse=recurse, rows=True):
                yield fs, batch

    def events(self, form: EventForm, path: str | None = None) -> Iterator[bytes]:
        """Yield events of everything (or of what is at ``path``), not sorted, as batches of rows with their keys."""
        return self._batches(path, recurse=True, deleted=False, recovery=True, events=form.value)

    def body(self, prefix: str = "/") -> Iterator[bytes]:
        """Yield a body file of everything, as ``fls -r -m PREFIX`` writes it, as batches of lines."""
        for fs in self.file_systems:
            yield from self.explorer.walk(fs, recovery=False, body=prefix)

    def kept(
        self,
        question: str,
        find: Callable[[], Iterator[bytes]],
        losses: Callable[[], Sequence[Loss]],  # noqa: ARG002 - for listings that keep answers
    ) -> Iterator[bytes]:
        """Yield the answer to a question about everything: what ``find`` finds; ``losses`` says what it could not."""
        del question
        yield from find()

    def entries(self, path: str | None = None, *, recurse: bool = True, deleted: bool = False) -> Iterator[FileEntry]:
        """As :meth:`batches`, but values."""
        for batch in self.batches(path, recurse=recurse, deleted=deleted):
            yield from entries_of(batch)

    def close(self) -> None:
        """End the worker; may be called twice."""
        self.explorer.close()


def name_of(volume: Volume) -> str:
    """Return how a volume is called in messages."""
    return "the whole medium" if volume.kind is VolumeKind.WHOLE_MEDIUM else f"partition {volume.index}"
