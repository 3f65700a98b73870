"""Doing a step inside a case: where the image goes, what the case fields are, what the ledger gets."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from forensiq.custody.case_folder import CaseFolder
from forensiq.model.records import AcquisitionRecord
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.case_items import evidence_stem
from forensiq.procedures.custody_step import CustodyStep
from forensiq.procedures.evidence_files import EvidenceFiles, stem_of

__all__ = ["bind_acquisition", "placed_in_case"]


def placed_in_case(request: AcquireRequest) -> AcquireRequest:
    """Return the request with the place and the case fields that its case gives it; unchanged without a case.

    An item that the case does not know yet is added. Fields that were typed win over those of the case.
    """
    if request.case is None:
        return request
    choice = request.case
    case = CaseFolder.open(choice.folder).read_case()
    given = request.metadata
    stem = evidence_stem(choice.folder, choice.item, key=choice.key, description=given.description)
    metadata = replace(
        given,
        case_number=given.case_number or case.number,
        evidence_number=given.evidence_number or choice.item,
        examiner=given.examiner or case.examiner.name,
    )
    return replace(request, output=request.output if choice.keeps_output else stem, metadata=metadata)


def bind_acquisition(step: CustodyStep, record: AcquisitionRecord, request: AcquireRequest) -> None:
    """Bind what an acquisition wrote to the step: segment files by their digests, the files beside them by theirs."""
    files = EvidenceFiles(stem_of(request.output, request.format))
    step.file(*(path for path in files.all_sidecars() if path.exists()))
    facts: dict[str, object] = {
        "status": record.status,
        "media_digests": record.digests.to_json(),
        "unreadable_sectors": sum(each.sectors for each in record.unreadable),
        "verification": record.verification.verdict if record.verification is not None else "not done",
        "summary": record.summary,
    }
    if record.clone is not None:
        facts["target"] = {"path": record.clone.target, "serial": record.clone.serial, "size": record.clone.size}
        if record.clone.kind != "device" and Path(record.clone.target).is_file():
            step.file(Path(record.clone.target))
    elif record.image is not None:
        folder = Path(record.image.path).parent
        for segment in record.image.segments:
            path = folder / segment.path
            if segment.sha256 is not None:
                step.digests({str(path.absolute()): segment.sha256})
            else:
                step.file(path)
    if record.failure is not None:
        facts["failure"] = record.failure
    outcome = {
        "complete": "finished",
        "complete_with_unreadable_sectors": "finished_with_unreadable_sectors",
    }.get(record.status, record.status)
    step.result(outcome, **facts)
