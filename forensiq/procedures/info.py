"""Info: what is known about an image, without reading its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from forensiq.errors import Fact
from forensiq.images import find_record, open_image
from forensiq.images.base import EvidenceImage
from forensiq.images.ewf.reader import EwfImage
from forensiq.images.folder import image_in_folder
from forensiq.images.mapped import MappedImage
from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.finding import Finding
from forensiq.model.image import ImageMetadata, Segment
from forensiq.model.scope import ScopeFacts

__all__ = ["ErrorRange", "ImageInformation", "inspect_image"]


class ErrorRange(Struct, frozen=True):
    """Sectors that the image says could not be read when it was made."""

    first_lba: int
    sectors: int


class ImageInformation(Struct, frozen=True):
    """What an image says of itself; the keys are a contract. Sizes in bytes.

    ``created_by`` is the software that the image names, ``flavour`` the kind of container as far as its sections tell;
    ``recorded_digests`` come from the acquisition record beside it. ``container`` is what a virtual disk or a package
    says of itself, in its own words; ``unknown_regions`` are sectors that it says nobody tried to read.
    With a ``scope`` the image holds only part of its medium, on purpose.
    """

    image: str
    format: str
    flavour: str | None
    size: int
    sector_size: int
    sectors: int
    chunk_size: int | None
    compression: str | None
    segments: tuple[Segment, ...]
    metadata: ImageMetadata
    created_by: str | None
    stored_digests: DigestSet
    recorded_digests: DigestSet
    record: str | None
    acquisition_errors: tuple[ErrorRange, ...]
    set_identifier: str | None
    complete: bool
    findings: tuple[Finding, ...]
    container: Mapping[str, Fact] = field(default_factory=dict)
    unknown_regions: tuple[ErrorRange, ...] = ()
    scope: ScopeFacts | None = None
    schema: str = "forensiq/info/1"


def inspect_image(path: Path, *, segments_in: Sequence[Path] = (), image_format: str | None = None) -> ImageInformation:
    """Return what is known about the image that ``path`` (any file of it) belongs to.

    An incomplete image is described as far as it can be read, and ``complete`` is false. Raises
    :class:`~forensiq.errors.ImageFormatError` where there is no image.
    """
    path = image_in_folder(path)
    record = find_record(path)
    with open_image(path, format=image_format, segments_in=segments_in, lenient=True) as image:
        return _describe(
            path,
            image,
            DigestSet() if record is None or record.reference is None else record.reference.digests,
            None if record is None else record.path.name,
            () if record is None or record.finding is None else (record.finding,),
            None if record is None or record.reference is None else record.reference.scope,
        )


def _describe(
    path: Path,
    image: EvidenceImage,
    recorded: DigestSet,
    record: str | None,
    more: tuple[Finding, ...],
    scope: ScopeFacts | None,
) -> ImageInformation:
    native = image if isinstance(image, EwfImage) else None
    mapped = image if isinstance(image, MappedImage) else None
    made = [image.metadata.software, image.metadata.operating_system]
    return ImageInformation(
        image=str(path),
        format=image.format,
        flavour=native.flavour if native else None,
        size=image.size,
        sector_size=image.sector_size,
        sectors=image.size // image.sector_size,
        chunk_size=image.chunk_size,
        compression=image.compression,
        segments=tuple(image.segments),
        metadata=image.metadata,
        created_by=" on ".join(part for part in made if part) or None,
        stored_digests=image.stored_digests,
        recorded_digests=recorded,
        record=record,
        acquisition_errors=_sectors(image, image.acquisition_errors),
        set_identifier=native.set_identifier if native else None,
        complete=_complete(image),
        findings=(*more, *image.findings()),
        container=mapped.container if mapped else {},
        unknown_regions=_sectors(image, mapped.unknown_regions) if mapped else (),
        scope=scope,
    )


def _sectors(image: EvidenceImage, extents: Sequence[Extent]) -> tuple[ErrorRange, ...]:
    size = image.sector_size
    return tuple(ErrorRange(each.offset // size, -(-each.end // size) - each.offset // size) for each in extents)


def _complete(image: EvidenceImage) -> bool:
    if isinstance(image, EwfImage):
        return image.finished and not image.missing_segments and not image.missing_media
    return not isinstance(image, MappedImage) or image.complete
