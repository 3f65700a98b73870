"""``acquire -``: a stream of unknown length on standard input becomes a source of fixed size.

The stream is received into ``STEM.stream`` beside the image first, and digested as it arrives: a container needs the
size of its medium before its first byte, and a stream cannot be read twice (decision 0163). The image is then made from
that file, and the digest of its media bytes must be that of the stream. The file is removed when the image is complete
and recorded. A file ``STEM.stream`` that is there was received to its end: ``--resume`` goes on from it. A stream that
did not end is kept as ``STEM.stream.part``: it may be all that there will ever be, and is never taken for a whole one.
"""

from __future__ import annotations

import hashlib
import os
import select
import stat
import threading
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from forensiq.clock import rfc3339, utc_now
from forensiq.errors import (
    DestinationError,
    DestinationExistsError,
    ForensiqError,
    Interrupted,
    SourceError,
    UsageError,
)
from forensiq.images.output import OutputFile, part_path, publish, remove, sync_folder
from forensiq.images.sparse import store_sparse
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.model.source import SourceKind, WriteBlockState
from forensiq.procedures.evidence import Evidence
from forensiq.procedures.evidence_files import EvidenceFiles
from forensiq.procedures.origin import Origin
from forensiq.sources.file import FileSource
from forensiq.streams.durable import write_durably
from forensiq.streams.progress import Progress

__all__ = ["STANDARD_INPUT", "forget_stream", "open_stream", "spool_path"]

STANDARD_INPUT = "-"
_PIECE = 1 << 20
_AWAY = (
    "Receive it anew under another OUTPUT, or move that file away first; 'forensiq acquire' of that file makes an "
    "image of what came"
)
_UNKNOWN = "not available: the source was a stream"
_LIMITS = (
    "Nothing is known of what sent the stream: neither which drive it read, nor how that was protected.",
    "A stream that was cut off ends like one that is complete: compare length and SHA-256 with what the sender states.",
)


class _StreamSource(FileSource):
    """A received stream, under its own name: ``-``."""

    kind = SourceKind.STREAM

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        names = dict.fromkeys(self.identity.unavailable, _UNKNOWN)
        self.identity = replace(self.identity, path=STANDARD_INPUT, unavailable=names)


class _NoProtection:
    """What can be said of the write protection of a stream: nothing."""

    def check(self, occasion: str) -> None:
        """Nothing can be looked at."""

    def check_if_due(self) -> None:
        """Nothing can be looked at."""

    def state(self) -> WriteBlockState:
        """Return that nothing is known."""
        words = "standard input was read to its end; what was behind it was not seen"
        return WriteBlockState(method="none", statement=words, limits=_LIMITS)

    def end(self) -> WriteBlockState:
        """The same as :meth:`state`."""
        return self.state()


def spool_path(stem: Path) -> Path:
    """Return where a stream is received."""
    return stem.with_name(stem.name + ".stream")


def open_stream(
    stem: Path,
    progress: Progress,
    stop: threading.Event,
    *,
    resume: bool = False,
    descriptor: int = 0,
) -> Evidence:
    """Receive the stream on ``descriptor`` (standard input) and return it as evidence.

    Raises :class:`~forensiq.errors.UsageError` for a terminal and for a stream without a byte,
    :class:`~forensiq.errors.Interrupted` when ``stop`` was set. What had come is kept then (facts: ``kept``,
    ``received``, ``sha256``), as it is when standard input or the destination fails.
    """
    path = spool_path(stem)
    if not (resume and path.exists()):
        if os.isatty(descriptor):
            raise UsageError("standard input is a terminal: there is no stream", hint="… | forensiq acquire - OUTPUT")
        if path.exists() or path.is_symlink():
            raise DestinationExistsError(
                f"{path} exists: a stream was received there before", hint="go on with --resume", path=str(path)
            )
        _refuse_begun(part_path(path))
        if not resume:
            EvidenceFiles(stem).refuse_existing()
        _receive(descriptor, path, progress, stop)
    source = _StreamSource(path)
    digest = _digest(path)
    origin = Origin(
        facts={
            "stream": f"standard input, {source.size:,} bytes",
            "stream_sha256": digest,
            "statement": f"The stream had ended by {rfc3339(utc_now())}; it was received into {path.name} first, and "
            "the image was made from that file.",
        },
        recorded=DigestSet.of({HashAlgorithm.SHA256: digest}),
        name="stream",
    )
    return Evidence(source, _NoProtection(), origin=origin)


def _receive(descriptor: int, path: Path, progress: Progress, stop: threading.Event) -> None:
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    output = OutputFile.create(part_path(path))
    digest = hashlib.sha256()
    size = 0
    progress.begin("receiving the stream", 0, ["receive"])
    try:
        while data := _next(descriptor, stop, regular=regular):
            store_sparse(output, size, memoryview(data))
            digest.update(data)
            size += len(data)
            progress.add("receive", len(data))
        if not size:
            raise UsageError("nothing came on standard input", hint="… | forensiq acquire - OUTPUT")
        output.truncate(size)
        output.sync()
    except ForensiqError as error:
        _keep(output, size, digest.hexdigest(), error)
        raise
    finally:
        output.close()
    # The digest of what came is on disk before anything can be called complete.
    write_durably(_digest_path(path), f"{digest.hexdigest()}\n".encode("ascii"), replace=True)
    publish(part_path(path), path)
    sync_folder(path.parent)


def _keep(output: OutputFile, size: int, digest: str, error: ForensiqError) -> None:
    """Leave what had come where it is, and say so in ``error``; nothing is left of a stream without a byte."""
    if not size:
        output.close()
        remove(output.path)
        return
    with suppress(DestinationError):  # it may be the destination that failed
        output.truncate(size)
        output.sync()
    error.facts |= {"kept": str(output.path), "received": size, "sha256": digest}
    error.hint = f"{size:,} bytes had come and are kept in {output.path}, which is not the whole stream. {_AWAY}"


def _refuse_begun(part: Path) -> None:
    if part.exists() or part.is_symlink():
        raise DestinationExistsError(
            f"{part} exists: a stream was received there before, and did not come to its end",
            hint=_AWAY,
            path=str(part),
        )


def _digest_path(path: Path) -> Path:
    """Return where the digest of a received stream stands, made while it arrived."""
    return path.with_name(path.name + ".sha256")


def _digest(path: Path) -> str:
    try:
        return _digest_path(path).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the digest of {path} is not there: it was not received by forensiq", path=str(path)
        ) from error


def _next(descriptor: int, stop: threading.Event, *, regular: bool) -> bytes:
    while True:
        if stop.is_set():
            raise Interrupted("stopped while the stream was received")
        if regular or select.select([descriptor], [], [], 0.5)[0]:
            try:
                return os.read(descriptor, _PIECE)
            except OSError as error:
                raise SourceError(f"standard input cannot be read: {error.strerror}", errno=error.errno) from error


def forget_stream(stem: Path) -> None:
    """Remove a received stream: its bytes are in the image, which is complete and recorded."""
    for path in (spool_path(stem), _digest_path(spool_path(stem))):
        path.unlink(missing_ok=True)
