"""What is checked on the target of a clone besides its medium: the excess behind it, and the GPT backup at the end."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from msgspec.structs import replace

from forensiq.errors import DestinationError, ImageDamageError, Interrupted, SourceLostError, SourceReadError
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.records import AcquisitionRecord, CloneFacts, ExcessFacts, VerificationRecord
from forensiq.model.reference import parse_reference
from forensiq.procedures.evidence_files import EvidenceFiles
from forensiq.procedures.verify import verify_image
from forensiq.sources.base import Source
from forensiq.streams.progress import Progress

__all__ = ["digest_excess", "end_of_disk_findings", "truncation_findings", "verify_clone"]

_PIECE = 4 << 20
_ZEROS = bytes(_PIECE)


def digest_excess(facts: CloneFacts, start: int, stop: threading.Event) -> tuple[str, bool]:
    """Return the SHA-256 of everything on the target from byte ``start`` on, and whether all of it is zero."""
    digest, zero = hashlib.sha256(), True
    try:
        descriptor = os.open(facts.target, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DestinationError(f"{facts.target} cannot be opened: {error.strerror}", path=facts.target) from error
    try:
        for piece in Extent.between(start, facts.size).pieces(_PIECE):
            if stop.is_set():
                raise Interrupted("stopped while the end of the target was read")
            data = os.pread(descriptor, piece.length, piece.offset)
            if len(data) != piece.length:
                raise DestinationError(f"{facts.target} is shorter than it was", path=facts.target)
            digest.update(data)
            zero = zero and _ZEROS.startswith(data)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError as error:
        raise DestinationError(
            f"the end of {facts.target} cannot be read: {error.strerror}", path=facts.target, errno=error.errno
        ) from error
    finally:
        os.close(descriptor)
    return digest.hexdigest(), zero


def verify_clone(
    record: AcquisitionRecord, files: EvidenceFiles, progress: Progress, stop: threading.Event
) -> AcquisitionRecord:
    """Read the whole target again, from the disk: the medium against its digests, the excess against what it was."""
    clone, image = record.clone, record.image
    if clone is None or image is None:
        return record
    reference = parse_reference(files.json_text(replace(record, verification=None)).encode())
    reference = replace(reference, image_format="raw")
    verification: VerificationRecord = verify_image(
        Path(clone.target),
        image_format="raw",
        reference=reference,
        medium_size=image.media_size,
        beside=files.record.parent,
        read_back=True,
        progress=progress,
        stop=stop,
    )
    record = replace(record, verification=verification)
    if clone.excess is None:
        return record
    digest, zero = digest_excess(clone, clone.excess.offset, stop)
    excess, finding = _judge(clone.excess, digest, zero)
    findings = record.findings if finding is None else (*record.findings, finding)
    return replace(record, clone=replace(clone, excess=excess), findings=findings)


def _judge(excess: ExcessFacts, digest: str, zero: bool) -> tuple[ExcessFacts, Finding | None]:
    good = zero if excess.mode == "fill" else digest == excess.sha256_before
    words = ("zeros", "not zeros") if excess.mode == "fill" else ("unchanged", "changed")
    after = replace(excess, sha256_after=digest, verdict=words[0 if good else 1])
    if good:
        return after, None
    return after, Finding(
        Severity.ERROR,
        Cause.DATA,
        "clone.excess",
        f"the {excess.length:,} bytes behind the medium on the target are {words[1]}",
        expected=excess.sha256_before or "zeros",
        found=digest,
        media=Extent(excess.offset, excess.length),
    )


def truncation_findings(clone: CloneFacts) -> tuple[Finding, ...]:
    """Say that the end of the source is not on the target."""
    if not clone.truncated:
        return ()
    return (
        Finding(
            Severity.WARNING,
            Cause.NOTE,
            "clone.truncated",
            f"the clone is truncated: the last {clone.truncated:,} bytes of the source had no room on the target",
            found=str(clone.size),
        ),
    )


def end_of_disk_findings(source: Source, clone: CloneFacts, length: int) -> tuple[Finding, ...]:
    """Say where the backup of a GPT lands, when source and target end at different sectors. Nothing is mended."""
    sector = source.sector_size
    if clone.kind == "new file" or clone.size == source.size:
        return ()
    header = memoryview(bytearray(sector))
    try:
        if source.read_direct(sector, header) < sector or bytes(header[:8]) != b"EFI PART":
            return ()
    except (SourceReadError, SourceLostError, ImageDamageError):
        words = (
            "the second sector cannot be read: whether a GUID partition table has its backup at the end is not known"
        )
        return (Finding(Severity.WARNING, Cause.NOTE, "clone.gpt.unknown", words),)
    backup = int.from_bytes(header[32:40], "little")
    last = clone.size // sector - 1
    if (backup + 1) * sector > length:
        words = "is not on the target: the target ends before it"
    else:
        words = f"is at LBA {backup:,} as on the source, and the target ends at LBA {last:,}"
    return (
        Finding(
            Severity.WARNING,
            Cause.NOTE,
            "clone.gpt.backup",
            f"the backup of the GUID partition table {words}; it was not moved",
            expected=str(backup),
            found=str(last),
        ),
    )
