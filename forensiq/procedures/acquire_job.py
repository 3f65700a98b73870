"""One acquisition, decided: plan, destinations, case fields; nothing is written before :meth:`AcquisitionJob.begin`."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from forensiq import __version__
from forensiq.acquisition.plan import AcquisitionPlan, plan_acquisition
from forensiq.clock import parse_rfc3339, rfc3339, utc_now
from forensiq.errors import UsageError
from forensiq.images.create import ImageSettings, WorstCase, image_chunk_size, pads_sectors, worst_case
from forensiq.images.scope_map import inherited_scope, scope_of_map
from forensiq.images.spill import refuse_taken
from forensiq.model.digest import HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.model.finding import Finding
from forensiq.model.image import ImageMetadata
from forensiq.model.preflight import PreflightResult
from forensiq.model.records import AcquiredRange, CloneFacts, DestinationFacts, SinceFacts
from forensiq.model.scope import ChosenScope, ScopeFacts
from forensiq.model.source import SourceIdentity, SourceKind, WriteBlockState
from forensiq.procedures.acquire_files import sidecar_room
from forensiq.procedures.acquire_preflight import go_or_refuse
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.clone_check import digest_excess, end_of_disk_findings, truncation_findings
from forensiq.procedures.clone_target import HeldTarget, clone_facts
from forensiq.procedures.environment import destination_facts
from forensiq.procedures.evidence import Evidence
from forensiq.procedures.evidence_files import EvidenceFiles, stem_of
from forensiq.procedures.optical import optical_findings
from forensiq.procedures.origin import Origin, origin_of
from forensiq.procedures.ranges import part_of
from forensiq.procedures.scope import choose_scope, scope_findings
from forensiq.procedures.sentences import range_sentence
from forensiq.procedures.since import earlier_acquisition
from forensiq.procedures.sitting import SittingState, continued, refuse_other_source, state_of

__all__ = ["AcquisitionJob", "PlanFacts", "plan_job", "with_excess"]


class PlanFacts(Struct, frozen=True):
    """What is going to be done; ``worst_case`` in bytes, ``segments`` at most."""

    source: SourceIdentity
    write_block: WriteBlockState
    range: AcquiredRange
    stems: tuple[str, ...]
    format: str
    compression: str
    algorithms: tuple[str, ...]
    worst_case: int
    segments: int
    destination: DestinationFacts
    preflight: PreflightResult
    clone: CloneFacts | None = None
    scope: ScopeFacts | None = None
    schema: str = "forensiq/plan/1"


class AcquisitionJob(Struct, frozen=True):
    """Everything that was decided, and what was seen on the way.

    ``files`` and ``settings`` have one entry for each destination, the first one first. ``state`` is that of the
    earlier sittings, where the acquisition goes on.
    """

    request: AcquireRequest
    identity: SourceIdentity
    write_block: WriteBlockState
    plan: AcquisitionPlan
    metadata: ImageMetadata
    files: tuple[EvidenceFiles, ...]
    settings: tuple[ImageSettings, ...]
    worst_case: WorstCase
    destination: DestinationFacts
    preflight: PreflightResult
    origin: Origin
    findings: tuple[Finding, ...] = ()
    state: SittingState | None = None
    clone: CloneFacts | None = None
    scope: ScopeFacts | None = None
    since: SinceFacts | None = None

    @property
    def inherited(self) -> tuple[Extent, ...]:
        """What was fill in the copied image already, in bytes of the medium to be stored."""
        return self._stored(self.origin.unreadable)

    @property
    def unknown(self) -> tuple[Extent, ...]:
        """What nobody had tried to read when the copied image was made, in bytes of the medium to be stored."""
        return self._stored(self.origin.unknown)

    def _stored(self, extents: Sequence[Extent]) -> tuple[Extent, ...]:
        part = self.plan.extent
        inside = (each.intersect(part) for each in extents)
        return tuple(each.shifted(-part.offset) for each in inside if each)

    @property
    def facts(self) -> PlanFacts:
        """What was decided, for people and scripts."""
        whole = self.plan.extent.offset == 0 and self.plan.extent.length == self.identity.size
        part = AcquiredRange(self.plan.extent.offset, self.plan.extent.length, whole, self.request.partition)
        return PlanFacts(
            source=self.identity,
            write_block=self.write_block,
            range=replace(part, statement=range_sentence(part, self.identity.size)),
            stems=tuple(str(each.stem) for each in self.files),
            format=self.request.format,
            compression=self.request.compression,
            algorithms=tuple(each.value for each in self.plan.algorithms),
            worst_case=self.worst_case.size,
            segments=self.worst_case.segments,
            destination=self.destination,
            preflight=self.preflight,
            clone=self.clone,
            scope=self.scope,
        )


def plan_job(request: AcquireRequest, evidence: Evidence, target: HeldTarget | None = None) -> AcquisitionJob:
    """Decide the whole acquisition and refuse what cannot end well. Nothing is written.

    What goes on is decided by the first sitting: format, range, algorithms and case fields are those of its state file.
    """
    source = evidence.source
    state = state_of(request)
    if state is not None:
        refuse_other_source(state, source)
        request = continued(request, state)
    if evidence.image is not None and request.priority != "none":
        raise UsageError("--priority is for drives that may fail: an image is copied in its own order")
    origin = evidence.origin or origin_of(evidence.image)
    earlier = None
    if request.since is not None:
        earlier = earlier_acquisition(request.since, stem_of(request.output, request.format), source)
        request = replace(request, block_hash_size=earlier.base.block_size)
    offset, length = part_of(request, evidence)
    if target is not None and target.facts.truncated:
        length = target.size // source.sector_size * source.sector_size
    plan = plan_acquisition(
        source,
        chunk_size=image_chunk_size(request.format, source.sector_size),
        pad_last_sector=pads_sectors(request.format),
        offset=offset,
        length=length,
        algorithms=tuple(each for each in HashAlgorithm if each in {*request.algorithms, *origin.algorithms}),
        block_hash_size=request.block_hash_size,
        retries=request.retries,
    )
    metadata = state.metadata if state is not None else _metadata(request, source.identity, origin.metadata)
    stems = [request.output, *([request.copy_to] if request.copy_to is not None else [])]
    files = tuple(EvidenceFiles(stem_of(stem, request.format)) for stem in stems)
    chosen = _scope(request, evidence, state, files[0], plan)
    if chosen is not None:
        plan = replace(plan, scope=chosen.ranges)
        if state is None and chosen.facts.statement not in metadata.notes:
            metadata = replace(metadata, notes=" | ".join(filter(None, (metadata.notes, chosen.facts.statement))))
    identifier = _identifier(request)
    whole = plan.extent.length == source.size
    settings = tuple(
        ImageSettings(
            format=request.format,
            stem=each.stem,
            media_size=plan.stored_size,
            sector_size=source.sector_size,
            metadata=metadata,
            compression=request.compression,
            segment_size=request.segment_size,
            segment_hash=request.segment_hash,
            set_identifier=identifier,
            physical=whole and source.identity.kind is not SourceKind.FILE,
            removable=bool(source.identity.removable),
            spill=_spill_folders(request, index),
            delta=earlier.base if earlier is not None else None,
        )
        for index, each in enumerate(files)
    )
    clone = None
    if target is not None and request.clone is not None:
        clone, writing = clone_facts(target, request.clone.excess, plan.stored_size, state)
        settings = tuple(replace(each, clone=writing) for each in settings)
    limits = worst_case(settings[0])
    if chosen is not None:
        # What is not taken is holes in a raw image, and all but nothing in chunks of zeros.
        limits = limits._replace(size=limits.size - chosen.facts.skipped_bytes * 127 // 128)
    if state is None:
        for index, each in enumerate(files):
            each.refuse_existing()
            refuse_taken(_spill_folders(request, index), each.stem.name)
    preflight = go_or_refuse(
        evidence,
        files,
        limits._replace(size=limits.size + sidecar_room(plan)),
        probe=request.probe,
        low_space_allowed=request.allow_low_space or state is not None or bool(request.spill),
        spill=request.spill,
        # A drive that may hang is asked for its headers once: they could end every sitting where it began.
        headers=state is None or request.read_timeout is None,
    )
    return AcquisitionJob(
        request=request,
        identity=source.identity,
        write_block=evidence.protection.state(),
        plan=plan,
        metadata=metadata,
        files=files,
        settings=settings,
        worst_case=limits,
        destination=preflight.destination or destination_facts(files[0].stem, limits.size),
        preflight=preflight,
        origin=origin,
        findings=origin.findings
        + (scope_findings(chosen.facts) if chosen is not None else ())
        + (earlier.findings if earlier is not None else ())
        + optical_findings(source.identity)
        + (truncation_findings(clone) + end_of_disk_findings(source, clone, plan.extent.end) if clone else ()),
        state=state,
        clone=clone,
        scope=chosen.facts if chosen is not None else None,
        since=earlier.facts if earlier is not None else None,
    )


def _scope(
    request: AcquireRequest,
    evidence: Evidence,
    state: SittingState | None,
    files: EvidenceFiles,
    plan: AcquisitionPlan,
) -> ChosenScope | None:
    """Return what is taken of the medium: as earlier sittings began, as the copied image has it, or as asked for."""
    if state is not None:
        return scope_of_map(files.map, state.scope, plan.extent) if state.scope is not None else None
    before = inherited_scope(evidence.image, plan.extent)
    if before is not None:
        if request.scope is not None or request.clone is not None:
            raise UsageError("the image is partial by scope: it can be converted, but not narrowed down or cloned")
        return before
    return choose_scope(request.scope, evidence) if request.scope is not None else None


def with_excess(job: AcquisitionJob, stop: threading.Event) -> AcquisitionJob:
    """Note what stands behind the medium on the target before the first byte is written, where it is to be kept."""
    clone = job.clone
    if clone is None or clone.excess is None or clone.excess.mode != "keep" or clone.excess.sha256_before is not None:
        return job
    digest, _ = digest_excess(clone, clone.excess.offset, stop)
    return replace(job, clone=replace(clone, excess=replace(clone.excess, sha256_before=digest)))


def _spill_folders(request: AcquireRequest, index: int) -> tuple[Path, ...]:
    # Both images may have the same name, so the copy goes on in folders of its own.
    return tuple(each.absolute() / "copy" if index else each.absolute() for each in request.spill)


def _identifier(request: AcquireRequest) -> uuid.UUID:
    if request.set_identifier is None:
        return uuid.uuid4()
    try:
        return uuid.UUID(request.set_identifier)
    except ValueError as error:
        raise UsageError(f"{request.set_identifier!r} is no UUID") from error


def _metadata(request: AcquireRequest, identity: SourceIdentity, before: ImageMetadata) -> ImageMetadata:
    """Return the case fields: what was asked for, then what the converted image says, then what the drive says."""
    given = request.metadata
    try:
        acquired = rfc3339(parse_rfc3339(given.acquired)) if given.acquired else None
    except ValueError as error:
        raise UsageError(f"{given.acquired!r} is no RFC 3339 time with a zone") from error
    now = rfc3339(utc_now())
    return replace(
        given,
        case_number=given.case_number or before.case_number,
        evidence_number=given.evidence_number or before.evidence_number,
        examiner=given.examiner or before.examiner,
        description=given.description or before.description,
        notes=given.notes or before.notes,
        model=before.model or identity.model or "",
        serial=before.serial or identity.serial or "",
        acquired=acquired or before.acquired or now,
        system_time=acquired or now,
        software="forensiq" + ".".join(__version__.split(".")[:2]),
        operating_system=os.uname().sysname,
    )
