"""``--resume`` on an acquisition that is finished: nothing is left to acquire, so the image is verified again."""

from __future__ import annotations

import threading

from msgspec.structs import replace

from forensiq.errors import ExitCode
from forensiq.model.from_json import from_json
from forensiq.model.records import AcquisitionRecord, ImageFacts, VerificationRecord
from forensiq.procedures.acquire_files import image_path
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.clone_check import verify_clone
from forensiq.procedures.evidence_files import EvidenceFiles, parse_json_object, stem_of
from forensiq.procedures.verify import verify_image
from forensiq.streams.progress import Progress

__all__ = ["finished_before"]


def finished_before(request: AcquireRequest, progress: Progress, stop: threading.Event) -> AcquisitionRecord | None:
    """Return the record of a finished acquisition with a fresh verification; ``None`` where there is work to do.

    The files stay as they are: the record beside the image tells of the acquisition, not of today.
    """
    files = EvidenceFiles(stem_of(request.output, request.format))
    if not request.resume or files.state.exists() or not files.record.exists():
        return None
    record = from_json(AcquisitionRecord, parse_json_object(files.record), ignore_unknown=True, where=files.record.name)
    if record.image is None:
        return None
    if record.clone is not None:
        return verify_clone(record, files, progress, stop)

    def check(image: ImageFacts) -> VerificationRecord:
        return verify_image(image_path(image), progress=progress, stop=stop, read_back=True)

    copies = tuple(replace(copy, verification=check(copy.image)) if copy.image else copy for copy in record.copies)
    record = replace(record, verification=check(record.image), copies=copies)
    if record.exit_code == ExitCode.INTERRUPTED:
        # Only the reading back had been interrupted, and that is done now.
        record = replace(record, failure=None, exit_code=0)
    return record
