"""Shows that the files of an image are what they were: identity, size, times and digest, before and after."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

from forensiq.errors import Interrupted, SourceLostError
from forensiq.images.base import EvidenceImage
from forensiq.model.boot import EvidenceFileFacts
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.streams.progress import Progress

__all__ = ["compare_facts", "evidence_paths", "file_facts"]

_PIECE = 4 << 20


def evidence_paths(image: EvidenceImage) -> tuple[Path, ...]:
    """Return the absolute paths of the files of an image."""
    folder = Path(image.identity.path).absolute().parent
    return tuple(folder / each.path for each in image.segments)


def file_facts(
    paths: Sequence[Path], *, digest: bool, progress: Progress, stop: threading.Event, phase: str
) -> tuple[EvidenceFileFacts, ...]:
    """Return what the files are now; with ``digest`` every byte of them is read.

    Raises :class:`~forensiq.errors.SourceLostError` where one cannot be read, :class:`~forensiq.errors.Interrupted`
    when ``stop`` was set.
    """
    try:
        sizes = sum(path.stat().st_size for path in paths)
        progress.begin(phase, sizes if digest else 0, ["hash"])
        return tuple(_facts(path, digest, progress, stop) for path in paths)
    except OSError as error:
        raise SourceLostError(f"{error.filename or paths[0]} cannot be read: {error.strerror}") from error


def _facts(path: Path, digest: bool, progress: Progress, stop: threading.Event) -> EvidenceFileFacts:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        seen = os.fstat(descriptor)
        text = _sha256(descriptor, progress, stop) if digest and stat.S_ISREG(seen.st_mode) else None
    finally:
        os.close(descriptor)
    return EvidenceFileFacts(
        path=str(path),
        device=seen.st_dev,
        inode=seen.st_ino,
        size=seen.st_size,
        modified_ns=seen.st_mtime_ns,
        changed_ns=seen.st_ctime_ns,
        mode=seen.st_mode,
        sha256=text,
    )


def _sha256(descriptor: int, progress: Progress, stop: threading.Event) -> str:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_PIECE))
    position = 0
    while count := os.preadv(descriptor, [buffer], position):
        if stop.is_set():
            raise Interrupted("stopped while the evidence was read")
        digest.update(buffer[:count])
        progress.add("hash", count)
        position += count
    return digest.hexdigest()


def compare_facts(before: Sequence[EvidenceFileFacts], after: Sequence[EvidenceFileFacts]) -> tuple[Finding, ...]:
    """Return one finding for each fact that is another one now; nothing where all are the same."""
    return tuple(
        Finding(
            Severity.ERROR,
            Cause.DATA if each in ("size", "sha256") else Cause.METADATA,
            "boot.evidence",
            f"the evidence changed while the machine was there: {each}",
            where=one.path,
            expected=str(getattr(one, each)),
            found=str(getattr(other, each)),
        )
        for one, other in zip(before, after, strict=True)
        for each in EvidenceFileFacts.__struct_fields__
        if getattr(one, each) != getattr(other, each)
    )
