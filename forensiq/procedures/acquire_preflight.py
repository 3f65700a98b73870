"""The preflight of an acquisition: the same checks as ``forensiq preflight``, and an end where one says no."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from forensiq.devices.system import System
from forensiq.errors import DestinationError, DestinationUnsafeError, ForensiqError, SafetyRefusal
from forensiq.images.create import WorstCase
from forensiq.model.preflight import CheckVerdict, PreflightCheck, PreflightResult
from forensiq.model.source import SourceIdentity, SourceKind
from forensiq.procedures.environment import destination_facts, nearest_folder
from forensiq.procedures.evidence import Evidence
from forensiq.procedures.evidence_files import EvidenceFiles
from forensiq.procedures.preflight import run_preflight
from forensiq.procedures.preflight_destination import (
    DestinationNeeds,
    check_destination,
    check_place,
    check_writable,
)
from forensiq.procedures.room import refuse_too_small

__all__ = ["go_or_refuse"]


def go_or_refuse(
    evidence: Evidence,
    files: Sequence[EvidenceFiles],
    limits: WorstCase,
    *,
    probe: bool,
    low_space_allowed: bool,
    spill: Sequence[Path] = (),
    headers: bool = True,
) -> PreflightResult:
    """Run all checks on the open source and every destination; raise for the first that stands in the way.

    ``spill`` are further folders: none of them may lie on the source, and all can be written to. Without ``headers``
    nothing is read of the source.
    """
    refuse_too_small((each.stem for each in files), size=limits.size, allow_low_space=low_space_allowed)
    needs = DestinationNeeds(limits.size, limits.largest, limits.segments, low_space_allowed)
    identity = evidence.source.identity
    result = run_preflight(
        identity,
        evidence.source if headers else None,
        output=files[0].stem,
        needs=needs,
        probe=probe,
        held=_is_drive(identity),
    )
    for other in files[1:]:
        facts = destination_facts(other.stem, limits.size)
        more = tuple(check_destination(identity, other.stem, facts, needs, System()))
        result = replace(result, checks=result.checks + more)
    places = dict.fromkeys(nearest_folder(each / "X") for each in spill)
    more = tuple(check for each in places if (check := check_writable(each)) is not None)
    if _is_drive(identity):
        more += tuple(check_place(identity.path, each) for each in places)
    result = replace(result, checks=result.checks + more)
    for check in result.checks:
        if check.verdict is CheckVerdict.NO_GO:
            raise _refusal(check)
    return result


def _is_drive(identity: SourceIdentity) -> bool:
    return identity.kind is SourceKind.BLOCK_DEVICE


def _refusal(check: PreflightCheck) -> ForensiqError:
    kind = {"destination.writable": DestinationError}.get(
        check.code, DestinationUnsafeError if check.code.startswith("destination.") else SafetyRefusal
    )
    return kind(check.message, hint=check.hint, check=check.code)
