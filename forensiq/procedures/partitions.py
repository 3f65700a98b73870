"""Tell which tables, volumes and file systems are on a medium."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from forensiq.analysis.explorer import Explorer
from forensiq.analysis.opening import ImageRef
from forensiq.images.folder import image_in_folder
from forensiq.model.finding import Finding
from forensiq.model.listing import ContentKind, Volume, VolumeKind, VolumeSystem

__all__ = ["PartitionListing", "PartitionRow", "image_reference", "list_partitions"]


class PartitionRow(Struct, frozen=True):
    """One row of ``partitions``; the field names are its JSON keys. Offsets and lengths in bytes.

    ``listable`` says whether the files of the volume can be listed, ``reason`` why not. ``also`` names further things
    recognised in the same place.
    """

    index: int | None
    kind: str
    offset: int
    length: int
    first_lba: int
    sectors: int
    scheme: str | None
    type: str
    type_code: str | None
    name: str | None
    filesystem: str | None
    label: str | None
    uuid: str | None
    encryption: str | None
    container: str | None
    partition_uuid: str | None
    flags: tuple[str, ...]
    also: tuple[str, ...]
    listable: bool | None
    reason: str | None
    container_index: int | None
    findings: tuple[Finding, ...]


class PartitionListing(Struct, frozen=True):
    """The rows of a medium, and what is to be said of its tables."""

    image: str
    size: int
    sector_size: int
    schemes: tuple[str, ...]
    rows: tuple[PartitionRow, ...]
    findings: tuple[Finding, ...]


def image_reference(
    image: Path, *, image_format: str | None = None, segments_in: Sequence[Path] = (), sector_size: int | None = None
) -> ImageRef:
    """Return the image as the analysis names it; of a folder, the only image in it."""
    return ImageRef(
        str(image_in_folder(image)), image_format, tuple(str(folder) for folder in segments_in), sector_size
    )


def list_partitions(reference: ImageRef) -> PartitionListing:
    """Return everything the tables and signatures of an image tell.

    Raises :class:`~forensiq.errors.ImageFormatError` for what is no image.
    """
    with Explorer(reference) as explorer:
        system = explorer.volumes()
        rows = tuple(_row(explorer, volume, system) for volume in system.volumes)
    return PartitionListing(reference.path, system.size, system.sector_size, system.schemes, rows, system.findings)


def _row(explorer: Explorer, volume: Volume, system: VolumeSystem) -> PartitionRow:
    listable, reason = None, None
    if volume.is_volume:
        state = explorer.state(volume)
        inner = [row for row in system.volumes if row.container_index == volume.index and volume.index is not None]
        listable, reason = bool(state.file_systems), state.reason
        if inner:
            numbers = ", ".join(str(row.index) for row in inner)
            reason = f"holds {'volume' if len(inner) == 1 else 'volumes'} {numbers}"
    contents = list(volume.contents)
    file_system = volume.content(ContentKind.FILE_SYSTEM)
    encryption = volume.content(ContentKind.ENCRYPTION)
    container = volume.content(ContentKind.CONTAINER) or volume.content(ContentKind.SWAP)
    main = file_system or encryption or container
    return PartitionRow(
        index=volume.index,
        kind=volume.kind.value,
        offset=volume.offset,
        length=volume.length,
        first_lba=volume.offset // system.sector_size,
        sectors=volume.length // system.sector_size,
        scheme=volume.scheme,
        type=volume.type,
        type_code=volume.type_code,
        name=volume.name,
        filesystem=file_system.name if file_system else None,
        label=main.label if main else None,
        uuid=main.uuid if main else None,
        encryption=encryption.name if encryption else None,
        container=container.name if container else None,
        partition_uuid=volume.partition_uuid,
        flags=volume.flags,
        also=tuple(each.name for each in contents if each not in (file_system, encryption, container)),
        listable=listable if volume.kind is not VolumeKind.EXTENDED else None,
        reason=reason,
        container_index=volume.container_index,
        findings=volume.findings,
    )
