"""From what was observed to the acquisition record: no observation is made here, and none is left out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from forensiq.acquisition.plan import AcquisitionPlan
from forensiq.acquisition.result import PipelineResult, WriterResult
from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.finding import Finding
from forensiq.model.image import ImageManifest, ImageMetadata
from forensiq.model.jsonable import to_json
from forensiq.model.ledger import LedgerHead
from forensiq.model.media_map import MediaMap, ReadStatus
from forensiq.model.preflight import PreflightResult
from forensiq.model.records import (
    AcquiredRange,
    AcquisitionRecord,
    BlockDigestFacts,
    ClockFacts,
    CloneFacts,
    CopyFacts,
    DestinationFacts,
    ImageFacts,
    Interruption,
    MapFacts,
    RateSample,
    SinceFacts,
    ToolFacts,
    UnreadableRange,
)
from forensiq.model.scope import ScopeFacts
from forensiq.model.source import SourceIdentity, WriteBlockState
from forensiq.procedures.sentences import (
    coverage_sentence,
    range_sentence,
    scope_coverage_sentence,
    spill_sentences,
    summary_sentence,
    trim_sentence,
)

_FILL = (ReadStatus.UNREADABLE, ReadStatus.SKIPPED, ReadStatus.NOT_TRIED)

__all__ = ["Observed", "image_facts", "make_record", "unreadable_ranges"]


class Observed(Struct, frozen=True):
    """Everything around the pipeline that a record needs. Times are RFC 3339."""

    identity: SourceIdentity
    write_block: WriteBlockState
    metadata: ImageMetadata
    partition: int | None
    command: tuple[str, ...]
    tool: ToolFacts
    clock: ClockFacts
    destination: DestinationFacts
    stem: Path
    started: str
    finished: str
    sittings: int = 1
    interruptions: tuple[Interruption, ...] = ()
    preflight: PreflightResult | None = None
    derived_from: Mapping[str, str] | None = None
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    item: str | None = None
    ledger_head: LedgerHead | None = None
    clone: CloneFacts | None = None
    rates: tuple[RateSample, ...] = ()
    scope: ScopeFacts | None = None
    since: SinceFacts | None = None


def unreadable_ranges(
    media_map: MediaMap, base: int, sector_size: int, statuses: tuple[ReadStatus, ...]
) -> tuple[UnreadableRange, ...]:
    """Return the ranges with one of ``statuses``; ``base`` is the byte of the source at which the medium starts."""
    return tuple(
        UnreadableRange(
            offset=base + extent.offset,
            length=extent.length,
            first_lba=(base + extent.offset) // sector_size,
            sectors=-(-extent.length // sector_size),
            errno=state.errno,
        )
        for extent, state in media_map.ranges(*statuses)
    )


def image_facts(manifest: ImageManifest, stem: Path, segment_size: int | None) -> ImageFacts:
    """Return a finished image as it stands in a record."""
    return ImageFacts(
        format=manifest.format,
        path=str(stem),
        segments=manifest.segments,
        media_size=manifest.media_size,
        sector_size=manifest.sector_size,
        chunk_size=manifest.chunk_size,
        compression=manifest.compression,
        segment_size=segment_size,
        set_identifier=manifest.set_identifier,
    )


def _status(result: PipelineResult, filled: bool) -> str:
    if result.complete:
        return "complete_with_unreadable_sectors" if filled else "complete"
    return "interrupted" if result.failure is not None and result.failure.exit_code == 130 else "failed"


def _copies(
    results: tuple[WriterResult, ...], stems: tuple[Path, ...], segment_size: int | None
) -> tuple[CopyFacts, ...]:
    return tuple(
        CopyFacts(
            image=image_facts(each.manifest, stem, segment_size) if each.manifest else None,
            failure=str(each.failure) if each.failure else None,
        )
        for each, stem in zip(results, stems, strict=True)
    )


def make_record(
    plan: AcquisitionPlan,
    result: PipelineResult,
    observed: Observed,
    *,
    map_facts: tuple[str | None, str | None],
    block_facts: tuple[str | None, str | None],
    copy_stems: tuple[Path, ...] = (),
    segment_size: int | None = None,
) -> AcquisitionRecord:
    """Return the record. ``map_facts`` and ``block_facts`` are name and SHA-256 of the files beside the image."""
    scope = observed.scope
    whole = plan.extent.offset == 0 and plan.extent.length == observed.identity.size and scope is None
    part = AcquiredRange(plan.extent.offset, plan.extent.length, whole, observed.partition)
    words = range_sentence(part, observed.identity.size) if scope is None else scope.statement
    part = AcquiredRange(part.offset, part.length, part.whole, part.partition, words)
    # In a complete image everything that is not data is fill; before that, only what was tried and failed is known.
    statuses = _FILL if result.complete else (ReadStatus.UNREADABLE,)
    filled = unreadable_ranges(result.media_map, plan.extent.offset, plan.sector_size, statuses)
    status = _status(result, bool(filled))
    digests = result.digests or DigestSet()
    manifest = result.writers[0].manifest if result.writers else None
    findings = observed.findings + tuple(
        finding for each in result.writers if each.manifest for finding in each.manifest.findings
    )
    fill = sum(each.length for each in filled)
    trim = trim_sentence(observed.identity)
    health = observed.preflight.health if observed.preflight is not None else None
    return AcquisitionRecord(
        status=status,
        summary=summary_sentence(status, filled, scope),
        source=observed.identity,
        write_block=observed.write_block,
        metadata=observed.metadata,
        range=part,
        digests=digests,
        image=image_facts(manifest, observed.stem, segment_size) if manifest else None,
        unreadable=filled,
        map=MapFacts(
            path=map_facts[0],
            sha256=map_facts[1],
            bytes_by_status={status.value: result.media_map.total(status) for status in ReadStatus},
        ),
        started=observed.started,
        finished=observed.finished,
        elapsed_s=round(result.elapsed_s, 3),
        bytes_per_second=round(plan.taken(Extent(0, result.position)) / result.elapsed_s, 1)
        if result.elapsed_s > 0
        else 0.0,
        command=observed.command,
        tool=observed.tool,
        clock=observed.clock,
        destination=observed.destination,
        padding_bytes=result.padding,
        source_digests=result.source_digests,
        digest_coverage=coverage_sentence(
            digests,
            plan.stored_size,
            fill,
            result.padding,
            part,
            "on the target" if observed.clone is not None else "in the image",
        )
        if scope is None
        else scope_coverage_sentence(digests, scope, fill),
        sittings=observed.sittings,
        interruptions=observed.interruptions,
        block_digests=None
        if result.blocks is None
        else BlockDigestFacts(
            algorithm="sha256",
            block_size=result.blocks.block_size,
            blocks=len(result.blocks),
            root=result.blocks.root,
            path=block_facts[0],
            sha256=block_facts[1],
        ),
        copies=_copies(result.writers[1:], copy_stems, segment_size),
        preflight=observed.preflight.facts() if observed.preflight is not None else {},
        probe_commands=health.commands if health is not None else (),
        statistics=_flat(result.statistics),
        reading=_flat(result.reading),
        rates=observed.rates if scope is None else (),
        findings=findings,
        notes=observed.notes
        + ((observed.since.statement,) if observed.since is not None else ())
        + ((trim,) if trim else ())
        + spill_sentences(manifest),
        failure=str(result.failure) if result.failure is not None else None,
        exit_code=int(result.failure.exit_code) if result.failure is not None else 0,
        item=observed.item,
        ledger_head=observed.ledger_head,
        derived_from=observed.derived_from or {},
        clone=observed.clone,
        scope=scope,
        since=observed.since,
    )


def _flat(value: object) -> dict[str, str | int | float | bool | None]:
    # Nested values (a longest run) become two plain ones: scripts get numbers under fixed names.
    result: dict[str, str | int | float | bool | None] = {}
    data = to_json(value)
    assert isinstance(data, dict)
    for name, item in data.items():
        if isinstance(item, dict):
            result |= {f"{name}_{key}": part for key, part in item.items() if not isinstance(part, (dict, list))}
        elif not isinstance(item, list):
            result[name] = item
    return result
