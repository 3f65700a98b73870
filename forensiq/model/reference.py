"""What an acquisition record says that an image must be: the reference of a verification (no I/O).

A record lies beside the image, on the same disk: it may be damaged, and it may be hostile. What is not exactly a record
is an :class:`~forensiq.errors.RecordFormatError`, never a guess.
"""

from __future__ import annotations

import json

from msgspec import Struct

from forensiq.errors import RecordFormatError
from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.from_json import from_json
from forensiq.model.image import ImageMetadata, Segment
from forensiq.model.records import AcquiredRange, AcquisitionRecord, BlockDigestFacts, MapFacts, SinceFacts
from forensiq.model.scope import ScopeFacts

__all__ = ["AcquisitionReference", "parse_reference"]

_SCHEMA = "forensiq/acquisition/1"


class AcquisitionReference(Struct, frozen=True):
    """The part of an acquisition record that a verification compares with.

    ``digests`` are of the media bytes as stored (with a ``scope``: of those that were taken). ``media_size`` and
    ``unreadable`` are in bytes of the stored medium; segment paths are relative to the folder of the image, or
    absolute. ``complete`` says whether the acquisition ended with a whole image.
    """

    complete: bool
    status: str
    image_format: str
    image_path: str
    digests: DigestSet
    media_size: int
    sector_size: int
    padding_bytes: int
    segments: tuple[Segment, ...]
    metadata: ImageMetadata
    unreadable: tuple[Extent, ...]
    range: AcquiredRange
    block_digests: BlockDigestFacts | None
    set_identifier: str | None
    source_path: str
    source_serial: str | None
    map: MapFacts | None = None
    scope: ScopeFacts | None = None
    since: SinceFacts | None = None


def parse_reference(data: bytes) -> AcquisitionReference:
    """Read a ``.record.json``; :class:`~forensiq.errors.RecordFormatError` where it is none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RecordFormatError(f"the record is not JSON: {error}") from error
    if not isinstance(value, dict) or value.get("schema") != _SCHEMA:
        raise RecordFormatError(f"not an acquisition record: its schema is not {_SCHEMA}")
    record = from_json(AcquisitionRecord, value, ignore_unknown=True, where="record")
    image = record.image
    if image is None:
        raise RecordFormatError("the record says that there is no image", status=record.status)
    numbers = [image.media_size, image.sector_size, record.padding_bytes]
    numbers += [each.size for each in image.segments]
    if min(numbers) < 0 or image.media_size == 0 or image.sector_size == 0 or not image.segments:
        raise RecordFormatError("the record has sizes that no image has")
    try:
        # The record counts from the start of the source, the image from the start of the part that was acquired.
        unreadable = tuple(Extent(each.offset - record.range.offset, each.length) for each in record.unreadable)
    except ValueError as error:
        raise RecordFormatError(f"the record has an impossible range: {error}") from error
    return AcquisitionReference(
        complete=record.status in ("complete", "complete_with_unreadable_sectors"),
        status=record.status,
        image_format=image.format,
        image_path=image.path,
        digests=record.digests,
        media_size=image.media_size,
        sector_size=image.sector_size,
        padding_bytes=record.padding_bytes,
        segments=image.segments,
        metadata=record.metadata,
        unreadable=unreadable,
        range=record.range,
        block_digests=record.block_digests,
        set_identifier=image.set_identifier,
        source_path=record.source.path,
        source_serial=record.source.serial,
        map=record.map,
        scope=record.scope,
        since=record.since,
    )
