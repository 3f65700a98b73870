"""What a later sitting needs to go on: the state file beside an unfinished image."""

from __future__ import annotations

import hashlib
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from forensiq.errors import (
    ForensiqError,
    ImageDamageError,
    ImageFormatError,
    SourceLostError,
    SourceReadError,
    UsageError,
)
from forensiq.model.digest import HashAlgorithm
from forensiq.model.from_json import from_json
from forensiq.model.image import ImageMetadata
from forensiq.model.quantity import MediaQuantity
from forensiq.model.records import CloneFacts, Interruption
from forensiq.model.scope import ScopeFacts
from forensiq.model.source import SourceIdentity
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.evidence_files import EvidenceFiles, parse_json_object, stem_of
from forensiq.sources.base import Source

__all__ = [
    "Sample",
    "SittingState",
    "continued",
    "read_state",
    "refuse_other_source",
    "sample_path",
    "sample_source",
    "state_of",
]

_SAMPLES = 16
_SAMPLE_SIZE = 4096


class Sample(Struct, frozen=True):
    """A few bytes of the source, by which it is known again; no digest where they could not be read, or were not tried
    because the source had stopped answering."""

    offset: int
    length: int
    sha256: str | None


class SittingState(Struct, frozen=True):
    """Everything that was decided in the first sitting, and how far it has come.

    ``scope`` is what of the medium is taken: the ranges are in the map beside the image, from the start on.
    ``spill`` are the folders that parts of the image may be in. ``durable`` holds, for each destination, the bytes of
    the medium that are safely in its files.
    """

    source: SourceIdentity
    samples: tuple[Sample, ...]
    format: str
    compression: str
    segment_size: int | None
    segment_hash: bool
    algorithms: tuple[str, ...]
    offset: int
    length: int
    block_hash_size: int | None
    set_identifier: str
    metadata: ImageMetadata
    stems: tuple[str, ...]
    started: str
    durable: tuple[int, ...]
    spill: tuple[str, ...] = ()
    clone: CloneFacts | None = None
    scope: ScopeFacts | None = None
    sittings: int = 1
    interruptions: tuple[Interruption, ...] = ()
    running: bool = True
    schema: str = "forensiq/state/1"

    def interrupted(self, at: str, offset: int, reason: str) -> SittingState:
        """Return the state after a sitting that ended before its time."""
        return replace(self, interruptions=(*self.interruptions, Interruption(at, offset, reason)), running=False)


def read_state(path: Path) -> SittingState:
    """Return what ``path`` holds; :class:`~forensiq.errors.ImageFormatError` where it is no state of ours."""
    value = parse_json_object(path)
    if value.get("schema") != "forensiq/state/1":
        raise ImageFormatError(f"{path} is not the state of an acquisition", path=str(path))
    try:
        return from_json(SittingState, value, ignore_unknown=True, where=path.name)
    except ForensiqError as error:
        raise ImageFormatError(f"{path} cannot be used: {error}", path=str(path)) from error


def state_of(request: AcquireRequest) -> SittingState | None:
    """Return the state of the earlier sittings that ``request`` goes on from; ``None`` where it starts."""
    files = EvidenceFiles(stem_of(request.output, request.format))
    return read_state(files.state) if request.resume and files.state.exists() else None


def continued(request: AcquireRequest, state: SittingState) -> AcquireRequest:
    """Return the request of the first sitting, with what may change from one sitting to the next."""
    stems = [Path(each) for each in state.stems]
    return replace(
        request,
        output=stems[0],
        copy_to=stems[1] if len(stems) > 1 else None,
        format=state.format,
        compression=state.compression,
        segment_size=state.segment_size,
        segment_hash=state.segment_hash,
        algorithms=tuple(HashAlgorithm.parse(each) for each in state.algorithms),
        offset=MediaQuantity(state.offset),
        length=MediaQuantity(state.length),
        block_hash_size=state.block_hash_size,
        set_identifier=state.set_identifier,
        clone=None
        if request.clone is None or state.clone is None
        else replace(request.clone, excess=state.clone.excess.mode if state.clone.excess else "keep"),
        spill=tuple(dict.fromkeys([*map(Path, state.spill), *(each.absolute() for each in request.spill)])),
    )


def sample_source(source: Source) -> tuple[Sample, ...]:
    """Read a few places, spread evenly from the first sector to the last one."""
    length = max(source.sector_size, min(_SAMPLE_SIZE, source.size // source.sector_size * source.sector_size))
    last = max(0, (source.size - length) // source.sector_size * source.sector_size)
    spread = (last * index // (_SAMPLES - 1) for index in range(_SAMPLES))
    places = sorted({each // source.sector_size * source.sector_size for each in spread})
    return tuple(_sample(source, offset, min(length, source.size - offset)) for offset in places)


def _sample(source: Source, offset: int, length: int) -> Sample:
    buffer = memoryview(bytearray(length))
    try:
        source.read_direct(offset, buffer)  # nothing around it is read ahead
    except (SourceReadError, SourceLostError, ImageDamageError):
        return Sample(offset, length, None)  # a source that is lost says so again when it is read
    return Sample(offset, length, hashlib.sha256(buffer).hexdigest())


def sample_path(path: Path, offset: int, length: int) -> str | None:
    """Return the SHA-256 of a few bytes of a file or device; ``None`` where they cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return hashlib.sha256(file.read(length)).hexdigest()
    except OSError:
        return None


def refuse_other_source(state: SittingState, source: Source) -> None:
    """Raise :class:`~forensiq.errors.UsageError` where ``source`` is not the one that was begun with.

    A check, not a proof: size, sector size, serial number where there is one, and the samples that could be read.
    """
    before, now = state.source, source.identity
    differing = [
        name
        for name, a, b in (
            ("size", before.size, now.size),
            ("sector size", before.sector_size, now.sector_size),
            ("serial number", before.serial, now.serial),
            ("model", before.model, now.model),
        )
        if a != b
    ]
    for known in state.samples:
        if known.sha256 is None or known.offset + known.length > source.size:
            continue  # what could not be read before is not tried again for this
        seen = _sample(source, known.offset, known.length)
        if seen.sha256 not in (None, known.sha256):
            differing.append(f"content at byte {known.offset}")
            break
    if differing:
        raise UsageError(
            f"this is not the source that the acquisition was begun with: {', '.join(differing)}",
            hint="attach the first one, or acquire this one under another name",
            path=now.path,
            differing=differing,
        )
