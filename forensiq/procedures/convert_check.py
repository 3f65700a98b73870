"""A converted disk image is read again by somebody else's reader, from the disk, and its medium compared.

1. Open it with QEMU's reader, which shares no line with the writer; without QEMU with forensiq's own, and say so.
2. Drop its pages from the cache.
3. Structure: ``qemu-img check``, and the size of the medium.
4. Digests of the medium, with every algorithm of the record, compared with it.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from msgspec.structs import replace

from forensiq.clock import monotonic, rfc3339, utc_now
from forensiq.errors import ImageFormatError
from forensiq.images.containers import CONTAINERS
from forensiq.images.external import QemuImage, check_with_qemu, qemu_version
from forensiq.model.digest import DigestSet
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.records import AcquisitionRecord, DamageFacts, ImageFacts, VerificationRecord
from forensiq.procedures.acquire_files import image_path
from forensiq.procedures.environment import tool_facts
from forensiq.procedures.verify import verify_image
from forensiq.streams.progress import Progress
from forensiq.verification.comparison import compare_digests
from forensiq.verification.content import check_content
from forensiq.verification.verdict import Observations, Scope, judge

__all__ = ["is_container", "verify_converted"]


def is_container(image: ImageFacts | None) -> bool:
    """Say whether an image is a disk image in one file, which this module checks."""
    return image is not None and image.format in CONTAINERS


def verify_converted(
    record: AcquisitionRecord, image: ImageFacts, progress: Progress, stop: threading.Event
) -> VerificationRecord | Finding:
    """Return what another reader finds in ``image``, or why nobody could read it.

    :class:`~forensiq.errors.Interrupted` when ``stop`` was set.
    """
    path = image_path(image)
    reader = CONTAINERS[image.format].read_by_qemu(image.sector_size)
    version = qemu_version()
    if reader is None or reader == "raw" or version is None:
        return _by_ourselves(path, progress, stop, missing=version is None and reader not in (None, "raw"))
    started, clock = rfc3339(utc_now()), monotonic()
    _forget_pages(path)  # 2
    findings = list(check_with_qemu(path, reader))  # 3
    with QemuImage(path, reader, sector_size=image.sector_size) as opened:  # 1
        if opened.size != image.media_size:
            findings.append(
                Finding(
                    Severity.ERROR,
                    Cause.METADATA,
                    "container.size",
                    "QEMU sees a medium of another size",
                    expected=str(image.media_size),
                    found=str(opened.size),
                )
            )
        content = check_content(opened, list(record.digests), progress=progress, stop=stop)  # 4
        segments = opened.segments
    digests = compare_digests(content.digests, DigestSet(), DigestSet(), record.digests)
    findings += digests.findings
    verdict = judge(
        Observations(
            findings,
            content.damage,
            digests.comparisons,
            scope=Scope.FULL,
            sector_size=image.sector_size,
            chunk_checks=False,
            tail=0,
            differing=None,
            sample="",
        )
    )
    elapsed = monotonic() - clock
    return VerificationRecord(
        image=str(path),
        format=image.format,
        size=opened.size,
        sector_size=image.sector_size,
        verdict=verdict.word,
        summary=f"{verdict.summary} Read by another program: {version}.",
        digests=digests.comparisons,
        damage=tuple(
            DamageFacts(
                each.media.offset,
                each.media.length,
                each.media.offset // image.sector_size,
                -(-each.media.length // image.sector_size),
                each.segment,
                each.code,
                each.reason,
            )
            for each in content.damage
        ),
        structure=tuple(findings),
        segments=tuple(segments),
        started=started,
        finished=rfc3339(utc_now()),
        elapsed_s=elapsed,
        bytes_per_second=content.checked_bytes / elapsed if elapsed > 0 else 0.0,
        reference="the acquisition's record",
        read_back=True,
        details={"reader": version, "reader_is_independent": True},
        tool=tool_facts(),
    )


def _forget_pages(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _by_ourselves(
    path: Path, progress: Progress, stop: threading.Event, *, missing: bool
) -> VerificationRecord | Finding:
    words = "qemu-nbd is not installed: the image was read again by forensiq's own reader"
    try:
        made = verify_image(path, progress=progress, stop=stop, read_back=True)
    except ImageFormatError as error:
        words = f"the image was not verified: qemu-nbd is not installed, and forensiq does not read it ({error})"
        return Finding(Severity.WARNING, Cause.NOTE, "container.reader", words, where=path.name)
    details = {**made.details, "reader": "forensiq", "reader_is_independent": False}
    note = (Finding(Severity.WARNING, Cause.NOTE, "container.reader", words),) if missing else ()
    return replace(made, details=details, structure=(*made.structure, *note))
