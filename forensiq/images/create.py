"""The formats that can be written, and what each of them takes at most."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct, field

from forensiq.clock import parse_rfc3339
from forensiq.errors import UsageError
from forensiq.images.base import ImageWriter
from forensiq.images.clone import CloneTarget, CloneWriter
from forensiq.images.container_file import ContainerConfig, ContainerWriter
from forensiq.images.containers import CONTAINERS, container_path
from forensiq.images.ewf import layout
from forensiq.images.ewf.chunk import Compression
from forensiq.images.ewf.config import DEFAULT_SEGMENT_SIZE, EwfConfig, segment_count_worst_case, worst_case_size
from forensiq.images.ewf.stored_media import StoredMedia
from forensiq.images.ewf.writer import EwfWriter
from forensiq.images.output import part_path, remove
from forensiq.images.qcow2.delta import CLUSTER, DeltaBase, DeltaWriter
from forensiq.images.raw_stored import StoredRaw
from forensiq.images.raw_writer import RawWriter
from forensiq.images.spill import SpillFolders
from forensiq.model.image import ImageMetadata

__all__ = [
    "WRITABLE",
    "ImageSettings",
    "Resumed",
    "WorstCase",
    "create_image",
    "image_chunk_size",
    "pads_sectors",
    "resume_image",
    "worst_case",
]

_SECTORS_PER_CHUNK = 64


class ImageSettings(Struct, frozen=True, kw_only=True):
    """What an image is to be, in the words that all formats share. Sizes in bytes.

    ``segment_size`` of ``None`` is the format's own default. ``set_identifier`` is used by formats that have one.
    ``spill`` are folders where the image goes on, one after the other, when there is no room left.
    ``clone`` is for the format of that name, which has no file at ``stem``; ``delta`` for the format of that name.
    """

    format: str
    stem: Path
    media_size: int
    sector_size: int
    metadata: ImageMetadata = field(default_factory=ImageMetadata)
    compression: str = "fast"
    segment_size: int | None = None
    segment_hash: bool = True
    set_identifier: uuid.UUID | None = None
    physical: bool = True
    removable: bool = False
    spill: tuple[Path, ...] = ()
    clone: CloneTarget | None = None
    delta: DeltaBase | None = None


class WorstCase(NamedTuple):
    """Upper limits: bytes of all files together, number of files, bytes of the largest one."""

    size: int
    segments: int
    largest: int


class Resumed(NamedTuple):
    """A writer that stands behind what an earlier sitting stored: bytes of the medium, and these as a source."""

    writer: ImageWriter[Any]
    stored: int
    media: StoredRaw | StoredMedia


class _Format(NamedTuple):
    chunk_size: Callable[[int], int]
    create: Callable[[ImageSettings], ImageWriter[Any]]
    resume: Callable[[ImageSettings, int | None, int, bool], Resumed]
    worst_case: Callable[[ImageSettings], WorstCase]
    pads_sectors: bool


def _ewf_config(settings: ImageSettings) -> EwfConfig:
    flags = layout.MEDIA_FLAG_IMAGE | (layout.MEDIA_FLAG_PHYSICAL if settings.physical else 0)
    return EwfConfig(
        stem=settings.stem,
        media_size=settings.media_size,
        sector_size=settings.sector_size,
        metadata=settings.metadata,
        compression=Compression[settings.compression.upper()],
        sectors_per_chunk=_SECTORS_PER_CHUNK,
        segment_size=settings.segment_size or DEFAULT_SEGMENT_SIZE,
        set_identifier=settings.set_identifier,
        media_type=layout.MEDIA_TYPE_REMOVABLE if settings.removable else layout.MEDIA_TYPE_FIXED,
        media_flags=flags,
        hash_segments=settings.segment_hash,
    )


def _ewf_worst_case(settings: ImageSettings) -> WorstCase:
    config = _ewf_config(settings)
    config.check()
    size = worst_case_size(config)
    return WorstCase(size, segment_count_worst_case(config), min(size, config.segment_size))


def _ewf_resumed(settings: ImageSettings, limit: int | None, durable: int, rescued: bool) -> Resumed:
    del durable, rescued  # the container itself says what is complete, by the checksums of its sections
    writer = EwfWriter.resume(_ewf_config(settings), folders=settings.spill, limit=limit, spill=_spill(settings))
    return Resumed(writer, writer.stored, writer.stored_media())


def _spill(settings: ImageSettings) -> SpillFolders | None:
    return SpillFolders(settings.spill) if settings.spill else None


def _raw_resumed(settings: ImageSettings, limit: int | None, durable: int, rescued: bool) -> Resumed:
    # A raw file cannot say what of it is whole: only what was made durable before counts.
    upto = durable if limit is None else min(durable, limit)
    upto = upto if upto >= settings.media_size else upto // RawWriter.chunk_size * RawWriter.chunk_size
    writer = RawWriter.resumed(
        settings.stem,
        settings.media_size,
        upto,
        rescued,
        sector_size=settings.sector_size,
        segment_size=settings.segment_size,
        segment_hash=settings.segment_hash,
        spill=_spill(settings),
        folders=settings.spill,
    )
    return Resumed(writer, writer.written, writer.stored_media())


def _raw_writer(settings: ImageSettings) -> RawWriter:
    return RawWriter(
        settings.stem,
        settings.media_size,
        sector_size=settings.sector_size,
        segment_size=settings.segment_size,
        segment_hash=settings.segment_hash,
        spill=_spill(settings),
        folders=settings.spill,
    )


def _raw_worst_case(settings: ImageSettings) -> WorstCase:
    part = settings.segment_size or settings.media_size
    return WorstCase(settings.media_size, -(-settings.media_size // part), min(part, settings.media_size))


def _clone_target(settings: ImageSettings) -> CloneTarget:
    if settings.clone is None:
        raise UsageError("a clone needs a target")
    return settings.clone


def _clone_writer(settings: ImageSettings) -> CloneWriter:
    return CloneWriter(_clone_target(settings), settings.media_size, sector_size=settings.sector_size)


def _clone_resumed(settings: ImageSettings, limit: int | None, durable: int, rescued: bool) -> Resumed:
    upto = durable if limit is None else min(durable, limit)
    upto = upto if upto >= settings.media_size else upto // CloneWriter.chunk_size * CloneWriter.chunk_size
    writer = CloneWriter.resumed(
        _clone_target(settings), settings.media_size, upto, rescued=rescued, sector_size=settings.sector_size
    )
    return Resumed(writer, writer.written, writer.stored_media())


def _container_writer(settings: ImageSettings) -> ContainerWriter:
    kind = CONTAINERS[settings.format]
    _check_container(settings)
    created = settings.metadata.system_time or settings.metadata.acquired
    writer = kind.writer(
        ContainerConfig(
            path=container_path(settings.format, settings.stem),
            media_size=settings.media_size,
            sector_size=settings.sector_size,
            compression=settings.compression,
            segment_hash=settings.segment_hash,
            identifier=(settings.set_identifier or uuid.uuid4()).bytes,
            created=int(parse_rfc3339(created).timestamp()) if created else 0,
            metadata=settings.metadata,
        )
    )
    writer.notes = kind.notes(settings.format, settings.sector_size)
    return writer


def _check_container(settings: ImageSettings) -> None:
    if settings.segment_size is not None or settings.spill:
        raise UsageError(
            f"{settings.format} is one file: it cannot be split, or go on in another folder",
            hint="e01 and raw can",
            format=settings.format,
        )
    kind = CONTAINERS[settings.format]
    kind.check(settings.format, settings.media_size, settings.sector_size, settings.compression)


def _container_again(settings: ImageSettings, limit: int | None, durable: int, rescued: bool) -> Resumed:
    del limit, durable, rescued  # nothing of an unfinished one can be used
    writer = _container_writer(settings)
    writer.begin_again()
    return Resumed(writer, 0, writer.stored_media())


def _container_worst_case(settings: ImageSettings) -> WorstCase:
    _check_container(settings)
    size = CONTAINERS[settings.format].worst(settings.media_size)
    return WorstCase(size, 1, size)


def _container_format(name: str) -> _Format:
    kind = CONTAINERS[name]
    return _Format(
        lambda _: kind.chunk_size, _container_writer, _container_again, _container_worst_case, pads_sectors=True
    )


def _delta_writer(settings: ImageSettings) -> DeltaWriter:
    if settings.delta is None:
        raise UsageError("only what changed can be stored only since an earlier acquisition", hint="add --since RECORD")
    return DeltaWriter(settings.stem, settings.media_size, settings.delta, sector_size=settings.sector_size)


def _delta_resumed(settings: ImageSettings, limit: int | None, durable: int, rescued: bool) -> Resumed:
    del limit, durable, rescued  # what was written is compared again: it starts anew
    writer = _delta_writer(settings)
    remove(part_path(writer.path))
    writer.begin()
    return Resumed(writer, 0, StoredRaw([], 0, settings.sector_size))


def _delta_worst_case(settings: ImageSettings) -> WorstCase:
    size = settings.media_size + settings.media_size // 4096 + 16 * CLUSTER
    return WorstCase(size, 1, size)


WRITABLE: Mapping[str, _Format] = {
    "e01": _Format(
        lambda sector: _SECTORS_PER_CHUNK * sector,
        lambda settings: EwfWriter(_ewf_config(settings), spill=_spill(settings)),
        _ewf_resumed,
        _ewf_worst_case,
        True,
    ),
    "raw": _Format(lambda _: RawWriter.chunk_size, _raw_writer, _raw_resumed, _raw_worst_case, False),
    "delta": _Format(lambda _: CLUSTER, _delta_writer, _delta_resumed, _delta_worst_case, False),
    "clone": _Format(
        lambda _: CloneWriter.chunk_size, _clone_writer, _clone_resumed, lambda _: WorstCase(0, 1, 0), False
    ),
    **{name: _container_format(name) for name in CONTAINERS},
}


def _format(name: str) -> _Format:
    try:
        return WRITABLE[name]
    except KeyError:
        known = list(WRITABLE)
        raise UsageError(
            f"{name!r} is no format that forensiq writes",
            hint=f"known are {', '.join(known)}",
            format=name,
            known=known,
        ) from None


def image_chunk_size(name: str, sector_size: int) -> int:
    """Return the chunk size (bytes) of a format, for media with this sector size."""
    return _format(name).chunk_size(sector_size)


def pads_sectors(name: str) -> bool:
    """Say whether the format stores whole sectors only."""
    return _format(name).pads_sectors


def worst_case(settings: ImageSettings) -> WorstCase:
    """Return what the image takes when nothing compresses; what cannot be written is a ``UsageError``."""
    return _format(settings.format).worst_case(settings)


def create_image(settings: ImageSettings) -> ImageWriter[Any]:
    """Return a writer that has not begun: nothing is on disk."""
    return _format(settings.format).create(settings)


def resume_image(settings: ImageSettings, *, durable: int, limit: int | None = None, rescued: bool = False) -> Resumed:
    """Take up what an interrupted writer of the same settings left; begin where there is nothing.

    ``durable`` is how many bytes of the medium were made durable, for formats that cannot tell. ``limit`` drops what
    lies beyond it, because it was found damaged. ``rescued`` keeps what a rescue has put behind that into a raw image.
    Where the image is finished: ``DestinationExistsError``.
    """
    return _format(settings.format).resume(settings, limit, durable, rescued)
