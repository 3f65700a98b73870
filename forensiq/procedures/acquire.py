"""Acquire: from a drive (or a file, or an image) to a verified image with its record. Start reading here.

Steps, labelled in the code (the reasons for their order: docs/design/acquisition.md):

1. Decide what can be decided without the source.
2. Open the source; a drive is refused where it is in use, and held read-only, before a byte of it is read.
3. Plan, and refuse what cannot end well: destination on the source, existing files, too little room.
4. Begin: the image under names that say that it is not finished.
5. Run the pipeline; after every read error and every few seconds the protection is checked.
6. Observe the source a last time, and let go of it.
7. Record: map and block digests, then the record.
8. Open the image again by its path and verify it, from disk and not from memory.
9. Find out which files the unreadable sectors fall in, and whether zeros are in files; a failure is a finding.
10. Say what happened: the record with the verification, the log for people.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from msgspec import structs

from forensiq.acquisition.pipeline import run_pipeline
from forensiq.acquisition.result import PipelineResult
from forensiq.clock import rfc3339, utc_now
from forensiq.errors import ExitCode, ImageDamageError, Interrupted, UsageError
from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.finding import Finding, Severity
from forensiq.model.ledger import LedgerHead
from forensiq.model.media_map import MediaMap
from forensiq.model.records import AcquisitionRecord, CopyFacts, ImageFacts, VerificationRecord
from forensiq.procedures.acquire_files import SidecarWriter, image_path
from forensiq.procedures.acquire_job import AcquisitionJob, PlanFacts, plan_job, with_excess
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.acquisition_record import Observed, make_record
from forensiq.procedures.case_choice import bind_acquisition, placed_in_case
from forensiq.procedures.clone_check import verify_clone
from forensiq.procedures.clone_target import hold_target
from forensiq.procedures.convert_check import is_container, verify_converted
from forensiq.procedures.custody_step import custody_step
from forensiq.procedures.damage_impact import with_impact
from forensiq.procedures.environment import clock_facts, tool_facts
from forensiq.procedures.evidence import Evidence, open_evidence
from forensiq.procedures.evidence_files import EvidenceFiles, stem_of
from forensiq.procedures.finished import finished_before
from forensiq.procedures.origin import compare_with_origin, digests_with_tail
from forensiq.procedures.plausibility import with_plausibility
from forensiq.procedures.reread import second_look
from forensiq.procedures.sentences import sittings_sentence
from forensiq.procedures.session import Session
from forensiq.procedures.source_reading import Reading
from forensiq.procedures.stream_source import STANDARD_INPUT, forget_stream, open_stream
from forensiq.procedures.verify import verify_image
from forensiq.sources.expendable import ExpendableSource
from forensiq.sources.faulty import FaultySource
from forensiq.streams.progress import Progress

__all__ = ["acquire", "exit_code_of", "plan_only", "prepare"]


def exit_code_of(record: AcquisitionRecord) -> ExitCode:
    """Return the exit code that a record deserves: the worst thing that it says."""
    if record.exit_code:
        return ExitCode(record.exit_code)
    if any(each.severity is Severity.ERROR for each in record.findings):
        return ExitCode.VERIFICATION
    checks = [record.verification, *(copy.verification for copy in record.copies)]
    if any(each is not None and each.verdict != "verified" for each in checks):
        return ExitCode.VERIFICATION
    if record.image is None or any(copy.failure for copy in record.copies):
        return ExitCode.DESTINATION
    return ExitCode.UNREADABLE_SECTORS if record.unreadable else ExitCode.OK


def prepare(
    request: AcquireRequest,
    stack: ExitStack,
    holding: ExitStack | None = None,
    received: Callable[[], Evidence] | None = None,
) -> tuple[Evidence, AcquisitionJob]:
    """Do steps 1 to 3: the source is open and protected until ``stack`` is left, and nothing is written.

    The target of a clone is held until ``holding`` is left. ``received`` gives the source that is a stream.
    """
    request.check()  # 1
    if request.source == STANDARD_INPUT and received is None:
        raise UsageError("of a stream nothing can be said before it has come")
    evidence = stack.enter_context(  # 2
        received()
        if request.source == STANDARD_INPUT and received is not None
        else open_evidence(
            request.source,
            segments_in=request.segments_in,
            allow_writable=request.allow_writable,
            external_blocker=request.blocker,
            restore_flag=request.restore_flag,
        )
    )
    if request.practice_faults is not None:
        evidence = structs.replace(evidence, source=FaultySource(evidence.source, request.practice_faults))
    if request.read_timeout is not None and evidence.image is None and request.source != STANDARD_INPUT:
        # Before the first read of all: headers and samples are read of a drive that may hang, too.
        source = stack.enter_context(ExpendableSource(evidence.source, request.read_timeout))
        evidence = structs.replace(evidence, source=source)
    return evidence, plan_job(request, evidence, (holding or stack).enter_context(hold_target(request, evidence)))  # 3


def plan_only(request: AcquireRequest) -> PlanFacts:
    """Check everything and say what would be done; the source is let go again, and nothing is written."""
    with ExitStack() as stack:
        return prepare(request, stack)[1].facts


def acquire(
    request: AcquireRequest,
    *,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    on_start: Callable[[PlanFacts], None] | None = None,
) -> AcquisitionRecord:
    """Acquire ``request.source``; return the record, also of a run that did not come to its end.

    ``stop`` asks for an end in good order. Raises :class:`~forensiq.errors.ForensiqError` where nothing was begun.
    """
    progress, stop = progress or Progress(0), stop or threading.Event()
    request = placed_in_case(request)
    case, item, key = request.in_case
    parameters = {"source": request.source, "item": item, "command": list(request.command)}
    with custody_step(case, "acquire", parameters, key=key) as step:
        record = finished_before(request, progress, stop)
        if record is None:
            with ExitStack() as holding:
                record = _acquire(request, step.head, progress, stop, on_start, holding)
        bind_acquisition(step, record, request)
    return record


def _acquire(
    request: AcquireRequest,
    ledger_head: LedgerHead | None,
    progress: Progress,
    stop: threading.Event,
    on_start: Callable[[PlanFacts], None] | None,
    holding: ExitStack,
) -> AcquisitionRecord:
    started = rfc3339(utc_now())
    with ExitStack() as stack:
        stem = stem_of(request.output, request.format)
        evidence, job = prepare(
            request, stack, holding, lambda: open_stream(stem, progress, stop, resume=request.resume)
        )
        sidecars = SidecarWriter(job.files[0], job.plan)
        if on_start is not None:
            on_start(job.facts)
        job = with_excess(job, stop)
        stack.callback(sidecars.release_room)
        sidecars.hold_room((each.stem.parent for each in job.files), resuming=job.state is not None)
        session = Session(job, sidecars, evidence.source)
        session.begin()  # 4
        result = _run(job, session, evidence, sidecars, progress, stop)  # 5
        while damaged := _damage_in_store(result, session):
            session.close()
            session.begin(limit=damaged.offset)
            result = _run(job, session, evidence, sidecars, progress, stop)
        result = session.ended(result)
        with_tail = digests_with_tail(evidence.image, job.origin) if result.complete else DigestSet()
        looked = second_look(job, result, evidence, progress, stop) if request.reread and result.complete else ()
        write_block = evidence.protection.end()  # 6
    observed = Observed(
        identity=job.identity,
        write_block=write_block,
        metadata=job.metadata,
        partition=request.partition,
        command=request.command,
        tool=tool_facts(),
        clock=clock_facts(),
        destination=job.destination,
        stem=job.files[0].stem,
        preflight=job.preflight,
        started=session.state.started if session.state else started,
        finished=rfc3339(utc_now()),
        derived_from=job.origin.facts,
        sittings=session.state.sittings if session.state else 1,
        interruptions=session.state.interruptions if session.state else (),
        item=request.in_case[1],
        ledger_head=ledger_head,
        clone=job.clone,
        rates=session.rate.samples,
        scope=job.scope,
        since=job.since,
        notes=_sittings_note(job, session),
        findings=job.findings + looked + _compared_with_origin(job, result, with_tail),
    )
    record = make_record(  # 7
        job.plan,
        result,
        observed,
        map_facts=sidecars.save_map(result.media_map, finished=result.complete),
        block_facts=sidecars.save_blocks(result),
        copy_stems=tuple(each.stem for each in job.files[1:]),
        segment_size=request.segment_size,
    )
    sidecars.save_record(record)
    if result.complete and request.verify:
        sidecars.save_log(record)  # a kill while it is verified must not leave the log of an earlier sitting
        for files, seen_from_there in _records_of_copies(record, job):
            sidecars.copy_to(files, seen_from_there)  # a raw copy has no other reference
        record = _checked(record, job.files[0], progress, stop)  # 8
        sidecars.save_record(record)
    if result.complete and record.unreadable:
        record = with_impact(record, progress, stop)  # 9
        sidecars.save_record(record)
    if result.complete and request.clone is None:
        record = with_plausibility(record, result.uniform, stop)  # 9
        sidecars.save_record(record)
    if result.complete:
        for files, seen_from_there in _records_of_copies(record, job):
            sidecars.copy_to(files, seen_from_there)
        sidecars.forget_unfinished()
        if request.source == STANDARD_INPUT:
            forget_stream(job.files[0].stem)
    sidecars.save_log(record)  # 10
    return record


def _sittings_note(job: AcquisitionJob, session: Session) -> tuple[str, ...]:
    state = session.state
    if state is None:
        return ()
    samples = sum(each.sha256 is not None for each in state.samples)
    said = sittings_sentence(state.sittings, job.identity, samples, clone=job.clone is not None)
    return (said,) if said else ()


def _records_of_copies(
    record: AcquisitionRecord, job: AcquisitionJob
) -> Iterator[tuple[EvidenceFiles, AcquisitionRecord]]:
    """Yield the record as it stands beside each further image: that one is its image, the first one is a copy.

    Where the first segment of an image had to go to another folder, the record goes there too: readers start there.
    """
    first = CopyFacts(record.image, verification=record.verification)
    for files, copy in zip(job.files[1:], record.copies, strict=True):
        if copy.image is not None:
            seen = structs.replace(record, image=copy.image, verification=copy.verification, copies=(first,))
            yield files, seen
            yield from _beside_first_segment(files, seen)
    yield from _beside_first_segment(job.files[0], record)


def _beside_first_segment(
    files: EvidenceFiles, record: AcquisitionRecord
) -> Iterator[tuple[EvidenceFiles, AcquisitionRecord]]:
    if record.image is not None and record.clone is None:
        folder = image_path(record.image).parent
        if folder.absolute() != files.stem.parent.absolute():
            yield EvidenceFiles(folder / files.stem.name), record


def _run(
    job: AcquisitionJob,
    session: Session,
    evidence: Evidence,
    sidecars: SidecarWriter,
    progress: Progress,
    stop: threading.Event,
) -> PipelineResult:
    def save(media_map: MediaMap) -> None:
        sidecars.save_map(media_map, finished=False)

    def watch() -> None:
        evidence.protection.check_if_due()
        session.checkpoint()
        session.rate.sample(progress.snapshot())

    with Reading(job, session, evidence, progress, stop, save) as reading:
        return run_pipeline(
            job.plan,
            reading.source,
            session.writers,
            progress=progress,
            on_read_error=lambda error: evidence.protection.check(f"after a read error at byte {error.offset}"),
            watch=watch,
            stop=stop,
            resume=session.resume_point,
            strategy=reading.strategy,
        )


def _compared_with_origin(job: AcquisitionJob, result: PipelineResult, with_tail: DigestSet) -> tuple[Finding, ...]:
    # The copied image knows the digests of all its bytes, without the padding that an E01 adds to an odd raw image.
    whole = job.plan.extent == Extent(0, job.identity.size)
    computed = result.source_digests or result.digests or DigestSet()
    return compare_with_origin(job.origin, computed, with_tail) if whole else ()


def _damage_in_store(result: PipelineResult, session: Session) -> Extent | None:
    """Return what an earlier sitting had stored and what is not as it was stored; ``None``: nothing is."""
    error = result.failure
    if not isinstance(error, ImageDamageError) or session.resume_point is None:
        return None
    offset, length = error.facts["offset"], error.facts["length"]
    assert isinstance(offset, int)
    assert isinstance(length, int)
    return Extent(offset, length)


def _checked(
    record: AcquisitionRecord, files: EvidenceFiles, progress: Progress, stop: threading.Event
) -> AcquisitionRecord:
    try:
        if record.clone is not None:
            return verify_clone(record, files, progress, stop)
        return _verified(record, progress, stop)
    except Interrupted as stopped:
        words = "interrupted while the image was read back: it is complete, and not verified"
        return structs.replace(record, failure=words, exit_code=int(stopped.exit_code))


def _verified(record: AcquisitionRecord, progress: Progress, stop: threading.Event) -> AcquisitionRecord:
    progress.set_unreadable(0, 0, None)  # of the source; the image is another medium

    notes: list[Finding] = []

    def check(image: ImageFacts | None) -> VerificationRecord | None:
        if image is None:
            return None
        if not is_container(image):
            return verify_image(image_path(image), progress=progress, stop=stop, read_back=True)
        made = verify_converted(record, image, progress, stop)
        if isinstance(made, Finding):
            notes.append(made)
            return None
        return made

    copies = tuple(structs.replace(copy, verification=check(copy.image)) for copy in record.copies)
    return structs.replace(record, verification=check(record.image), copies=copies, findings=(*record.findings, *notes))
