"""One sitting of an acquisition: begun anew, or taken up where an earlier one ended; keeps the state file true.

What is durable before what: the state file before the first image file; the map before the data that it explains; the
``durable`` count of a raw image after its data. An E01 needs no count: its sections carry checksums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from forensiq.acquisition.pipeline import ResumePoint
from forensiq.acquisition.result import PipelineResult, WriterResult
from forensiq.clock import monotonic, rfc3339, utc_now
from forensiq.errors import DestinationError, DestinationExistsError, SafetyRefusal
from forensiq.images import open_image
from forensiq.images.base import EvidenceImage, ImageWriter
from forensiq.images.clone import CloneWriter
from forensiq.images.create import ImageSettings, create_image, resume_image
from forensiq.images.raw_writer import RawWriter
from forensiq.model.extent import Extent
from forensiq.model.image import ImageManifest
from forensiq.model.mapfile import parse_mapfile
from forensiq.model.media_map import NOT_TRIED, READ, SKIPPED_BY_SCOPE, MediaMap, ReadStatus
from forensiq.procedures.acquire_files import SidecarWriter
from forensiq.procedures.acquire_job import AcquisitionJob
from forensiq.procedures.read_rate import ReadRate
from forensiq.procedures.sitting import SittingState, sample_source
from forensiq.sources.base import Source

__all__ = ["Session"]

_CHECKPOINT_S = 10.0
_SILENT = "the program ended without saying why: killed, a crash or a loss of power"


class _Place(Struct):
    """One destination: a writer that goes on, or an image that was finished already."""

    settings: ImageSettings
    writer: ImageWriter[Any] | None = None
    stored: int = 0
    media: Source | EvidenceImage | None = None


class Session:
    """The writers of one sitting and what they go on from. Call :meth:`begin` first, :meth:`ended` last."""

    def __init__(self, job: AcquisitionJob, sidecars: SidecarWriter, source: Source) -> None:
        self._job = job
        self._sidecars = sidecars
        self._source = source
        self._places: list[_Place] = []
        self._due = monotonic() + _CHECKPOINT_S
        self.state: SittingState | None = None
        self.resume_point: ResumePoint | None = None
        self.rate = ReadRate()

    @property
    def writers(self) -> tuple[ImageWriter[Any], ...]:
        """The writers of this sitting; an image that is finished needs none."""
        return tuple(place.writer for place in self._places if place.writer is not None)

    def begin(self, *, limit: int | None = None) -> None:
        """Begin, or take up what is there. ``limit`` drops what was stored beyond that byte: it was found damaged."""
        before = self.state or self._job.state
        if before is None:
            self._begin_anew()
            return
        self._places = [self._take_up(index, limit) for index in range(len(self._job.settings))]
        upto = max(place.stored for place in self._places)
        best = next(place for place in self._places if place.stored == upto)
        if before.running and limit is None:
            before = before.interrupted(self._last_sign(), upto, _SILENT)
        if limit is None:
            before = replace(before, sittings=before.sittings + 1)
        self.state = replace(
            before, running=True, durable=tuple(place.stored for place in self._places), spill=self._spill()
        )
        self._sidecars.save_state(self.state)
        assert best.media is not None
        starts = tuple(place.stored for place in self._places if place.writer is not None)
        self.resume_point = ResumePoint(best.media, upto, starts, self._known_map(upto))
        self.rate = ReadRate(upto)

    def _begin_anew(self) -> None:
        job = self._job
        self.state = SittingState(
            source=job.identity,
            samples=sample_source(self._source),
            format=job.request.format,
            compression=job.request.compression,
            segment_size=job.request.segment_size,
            segment_hash=job.request.segment_hash,
            algorithms=tuple(each.value for each in job.plan.algorithms),
            offset=job.plan.extent.offset,
            length=job.plan.extent.length,
            block_hash_size=job.plan.block_hash_size,
            set_identifier=str(job.settings[0].set_identifier),
            metadata=job.metadata,
            stems=tuple(str(each.stem.absolute()) for each in job.files),
            started=rfc3339(utc_now()),
            durable=(0,) * len(job.files),
            spill=self._spill(),
            clone=job.clone,
            scope=job.scope,
        )
        if job.plan.scope is not None:
            self._sidecars.save_map(self._scope_alone(), finished=False)  # the ranges, for a later sitting
        self._places = [_Place(each, create_image(each)) for each in job.settings]
        self._sidecars.save_state(self.state)
        begun: list[ImageWriter[Any]] = []
        try:
            for writer in self.writers:
                begun.append(writer)
                writer.begin()
        except (DestinationError, SafetyRefusal):
            for writer in begun:
                writer.abort()
            self._sidecars.forget_state()
            raise

    def _scope_alone(self) -> MediaMap:
        plan = self._job.plan
        result = MediaMap(plan.extent.length)
        for extent in plan.scope.skipped(plan.extent.length) if plan.scope is not None else ():
            result.mark(extent, SKIPPED_BY_SCOPE)
        return result

    def _spill(self) -> tuple[str, ...]:
        return tuple(str(each.absolute()) for each in self._job.request.spill)

    def _take_up(self, index: int, limit: int | None) -> _Place:
        settings = self._job.settings[index]
        state = self.state or self._job.state
        assert state is not None
        rescued = self._job.files[0].rescue_map.exists()
        try:
            resumed = resume_image(settings, durable=state.durable[index], limit=limit, rescued=rescued)
        except DestinationExistsError as finished:
            image = open_image(Path(str(finished.facts["path"])), segments_in=settings.spill)
            return _Place(settings, None, settings.media_size, image)
        return _Place(settings, resumed.writer, resumed.stored, resumed.media)

    def _last_sign(self) -> str:
        """Return when the earlier sitting last wrote anything."""
        stem = self._job.files[0].stem
        times = [path.stat().st_mtime for path in stem.parent.iterdir() if path.name.startswith(f"{stem.name}.")]
        return rfc3339(datetime.fromtimestamp(max(times), UTC)) if times else rfc3339(utc_now())

    def _known_map(self, upto: int) -> MediaMap:
        """Return the map of what is stored: what the saved map says, and read where it says nothing."""
        size = self._job.plan.extent.length
        path = self._job.files[0].map
        known = MediaMap(size)
        if path.exists():
            known = parse_mapfile(path.read_text("utf-8"))[0].part(self._job.plan.extent)
        stored = Extent(0, min(upto, size))
        for extent, _ in list(known.ranges(ReadStatus.NOT_TRIED, within=stored)):
            known.mark(extent, READ)
        known.mark(Extent.between(stored.end, size), NOT_TRIED)
        return known

    def checkpoint(self) -> None:
        """Every ten seconds: make raw data durable, then say so in the state file."""
        if monotonic() < self._due or self.state is None:
            return
        self._due = monotonic() + _CHECKPOINT_S
        self._save_durable()

    def _save_durable(self) -> None:
        assert self.state is not None
        durable = tuple(
            place.writer.durable() if isinstance(place.writer, (RawWriter, CloneWriter)) else place.stored
            for place in self._places
        )
        if durable != self.state.durable:
            self.state = replace(self.state, durable=durable)
            self._sidecars.save_state(self.state)

    def ended(self, result: PipelineResult) -> PipelineResult:
        """Note how the sitting ended; return the result with one entry for each destination, finished ones included."""
        fresh = iter(result.writers)
        everywhere = tuple(
            next(fresh) if place.writer is not None else WriterResult(_manifest(place), None, place.stored)
            for place in self._places
        )
        if not result.complete and self.state is not None:
            self._save_durable()
            reason = str(result.failure) if result.failure is not None else "not known"
            self.state = self.state.interrupted(rfc3339(utc_now()), result.position, reason)
            self._sidecars.save_state(self.state)
        self.close()
        return replace(result, writers=everywhere)

    def close(self) -> None:
        """Let go of what the earlier sitting stored."""
        for place in self._places:
            if place.media is not None:
                place.media.close()


def _manifest(place: _Place) -> ImageManifest:
    image = place.media
    assert image is not None
    segments = getattr(image, "segments", ())
    folder = place.settings.stem.parent
    return ImageManifest(
        format=place.settings.format,
        segments=_with_digests(segments, folder, place.settings.segment_hash),
        media_size=place.settings.media_size,
        sector_size=place.settings.sector_size,
        chunk_size=getattr(image, "chunk_size", None),
        compression=place.settings.compression,
        set_identifier=str(place.settings.set_identifier) if place.settings.format == "e01" else None,
    )


def _with_digests(segments: Sequence[Any], folder: Path, wanted: bool) -> tuple[Any, ...]:
    if not wanted:
        return tuple(segments)
    result = []
    for segment in segments:
        with (folder / segment.path).open("rb") as file:
            result.append(replace(segment, sha256=hashlib.file_digest(file, "sha256").hexdigest()))
    return tuple(result)
