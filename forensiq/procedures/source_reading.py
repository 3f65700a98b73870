"""How one sitting reads its source: in order while all is well, rescued in passes where it is not (decision 0030)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from forensiq.acquisition.inherited import InheritedErrors
from forensiq.acquisition.map_keeper import MapKeeper
from forensiq.acquisition.reader import HUNG, HUNG_AGAIN, LinearReader, ReadJournal, ReadStrategy
from forensiq.acquisition.rescue import RescueSettings
from forensiq.acquisition.rescue_reader import EarlierRescue, RescueReader, RescueSetup
from forensiq.acquisition.rescue_store import RescueStore, load_map, load_rescue, map_saver, retries_made
from forensiq.errors import UsageError
from forensiq.images.base import RescueTarget
from forensiq.images.clone import CloneWriter
from forensiq.images.raw_writer import RawWriter
from forensiq.model.extent import Extent
from forensiq.model.media_map import MediaMap, RangeStatus
from forensiq.procedures.acquire_job import AcquisitionJob
from forensiq.procedures.evidence import Evidence
from forensiq.procedures.preflight_destination import largest_file
from forensiq.procedures.priority import FileSystemOrder
from forensiq.procedures.session import Session
from forensiq.sources.base import Source
from forensiq.sources.file import FileSource
from forensiq.streams.progress import Progress

__all__ = ["Reading"]


class Reading:
    """The source as this sitting reads it, and the strategy; closes what it opened, but not the evidence.

    ``save_map`` makes the map beside the image durable. Raises :class:`~forensiq.errors.UsageError` where another
    program's rescue does not fit to the source.
    """

    def __init__(
        self,
        job: AcquisitionJob,
        session: Session,
        evidence: Evidence,
        progress: Progress,
        stop: threading.Event,
        save_map: Callable[[MediaMap], None],
    ) -> None:
        self._job = job
        self._progress = progress
        self._stop = stop
        self._save_map = save_map
        self.source: Source = evidence.source
        self._earlier: EarlierRescue | None = None
        self._store: RescueStore | None = None
        self._store_path, self._map_path = job.files[0].rescue_store, job.files[0].rescue_map
        if job.request.ddrescue is not None:
            self._earlier = _earlier(*job.request.ddrescue, job)
        self._in_order = evidence.image is not None
        self._target = self._choose_target(session)
        self._order: FileSystemOrder | None = None
        if job.request.priority == "metadata":
            self._order = FileSystemOrder(job.plan.extent.length, job.plan.sector_size)

    def _choose_target(self, session: Session) -> RescueTarget:
        only = session.writers[0] if len(session.writers) == 1 else None
        if isinstance(only, CloneWriter):
            return only
        in_place = only.rescue_target() if isinstance(only, RawWriter) else None
        if in_place is not None:
            return in_place
        self._store = RescueStore(
            self._store_path,
            resume=self._store_path.exists() and self._job.state is not None,
            largest=largest_file(self._job.destination.filesystem),
        )
        return self._store

    def strategy(self, journal: ReadJournal) -> ReadStrategy:
        """Return how the pipeline reads."""
        job = self._job
        reader: ReadStrategy
        if self._in_order:
            reader = LinearReader(self.source, job.plan.extent, job.plan.retries, journal)
        else:
            reader = RescueReader(self.source, job.plan.extent, journal, self._progress, self._setup())
        if job.inherited or job.unknown:
            reader = InheritedErrors(reader, journal, job.inherited, job.unknown)
        return MapKeeper(reader, journal, self._save_map)

    def _setup(self) -> RescueSetup:
        job, part = self._job, self._job.plan.extent
        known, retried = None, 0
        hung: tuple[tuple[Extent, RangeStatus], ...] = ()
        if job.state is not None and self._map_path.exists():
            known, state = load_rescue(self._map_path, part.length, base=part.offset)
            retried = retries_made(state)
        elif job.state is not None and job.files[0].map.exists():
            before = load_map(job.files[0].map, job.identity.size).part(part)
            hung = tuple((each, state) for each, state in before if state in (HUNG, HUNG_AGAIN))
        return RescueSetup(
            target=self._target,
            save=map_saver(self._map_path, *_about(part.offset), base=part.offset),
            settings=RescueSettings(retries=job.plan.retries, retried=retried, order=self._order),
            stop=self._stop,
            known=known,
            hung=hung,
            earlier=self._earlier,
            at_once=self._order is not None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._earlier is not None:
            self._earlier.image.close()
        if self._store is not None:
            self._store.close()


def _about(base: int) -> tuple[str, ...]:
    words = "What the rescue has got so far; positions are bytes of the source."
    return (words, f"Byte 0 of the rescued file is byte {base} of the source (ddrescue -o 0).") if base else (words,)


def _earlier(image: Path, map_path: Path, job: AcquisitionJob) -> EarlierRescue:
    """Return what GNU ddrescue got: its image and its map, which count from the start of the source."""
    part = job.plan.extent
    media_map = load_map(map_path, job.identity.size).part(part)
    source = FileSource(image, sector_size=job.plan.sector_size)
    if source.size > job.identity.size:
        source.close()
        raise UsageError(
            f"{image} has {source.size} bytes, the source {job.identity.size}: they do not belong together",
            path=str(image),
        )
    return EarlierRescue(source, media_map, part.offset)
