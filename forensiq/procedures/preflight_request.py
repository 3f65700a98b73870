"""``forensiq preflight``: opens the source to look at its headers, asks for go or no-go, and lets go of it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from forensiq.analysis.window import Medium
from forensiq.devices.commands import Runner, run_command
from forensiq.devices.identity import identity_of_name
from forensiq.devices.system import System
from forensiq.errors import SourceError, UsageError
from forensiq.images.create import ImageSettings, worst_case
from forensiq.model.preflight import CheckVerdict, PreflightCheck, PreflightResult
from forensiq.model.source import SourceIdentity
from forensiq.procedures.evidence import open_evidence
from forensiq.procedures.preflight import run_preflight
from forensiq.procedures.preflight_destination import DestinationNeeds
from forensiq.sources.block_device import BlockDeviceSource

__all__ = ["PreflightRequest", "preflight"]


class PreflightRequest(Struct, frozen=True, kw_only=True):
    """What is to be checked. ``output`` is a path stem; ``segment_size`` in bytes, or the format's own default."""

    source: str
    output: Path | None = None
    format: str = "e01"
    segment_size: int | None = None
    probe: bool = True
    allow_low_space: bool = False


def preflight(request: PreflightRequest, *, runner: Runner = run_command) -> PreflightResult:
    """Return go or no-go for ``request``. Nothing is written and nothing is set, on the source or anywhere else."""
    with _opened(request.source) as (identity, medium, problem):
        problems = [problem] if problem else []
        needs = None
        if request.output is not None and identity.size:
            try:
                needs = _needs(request, identity)
            except UsageError as error:
                problems.append(PreflightCheck("destination.format", CheckVerdict.NO_GO, error.message, error.hint))
        return run_preflight(
            identity,
            medium,
            output=request.output,
            needs=needs,
            probe=request.probe,
            problems=tuple(problems),
            runner=runner,
        )


def _needs(request: PreflightRequest, identity: SourceIdentity) -> DestinationNeeds:
    whole_sectors = -(-identity.size // identity.sector_size) * identity.sector_size
    settings = ImageSettings(
        format=request.format,
        stem=request.output or Path(),
        media_size=whole_sectors,
        sector_size=identity.sector_size,
        segment_size=request.segment_size,
    )
    limits = worst_case(settings)
    return DestinationNeeds(limits.size, limits.largest, limits.segments, request.allow_low_space)


@contextmanager
def _opened(path: str) -> Iterator[tuple[SourceIdentity, Medium | None, PreflightCheck | None]]:
    """Give identity and medium of a source; a drive that cannot be opened is still looked at from outside."""
    if not _is_block_device(path):
        with open_evidence(path) as evidence:
            yield evidence.source.identity, evidence.source, None
        return
    try:
        source = BlockDeviceSource(path)
    except SourceError as error:
        system = System()
        identity = identity_of_name(system.require_name(path), path, system)
        yield identity, None, PreflightCheck("source.readable", CheckVerdict.NO_GO, error.message, error.hint)
        return
    with source:
        yield source.identity, source, None


def _is_block_device(path: str) -> bool:
    try:
        return stat.S_ISBLK(Path(path).stat().st_mode)
    except OSError:
        return False
