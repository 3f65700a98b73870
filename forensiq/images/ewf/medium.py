"""What an image says of its medium: the volume, disk and data sections, compared with each other and judged."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from msgspec import Struct

from forensiq.errors import ImageFormatError
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.ewf.layout import MEDIA_TYPE_LOGICAL, VOLUME_SIZE, Checksum, Volume, adler32
from forensiq.images.ewf.report import FindingList
from forensiq.images.ewf.sections import Section

__all__ = ["SHORT_VOLUME_SIZE", "VolumeCopy", "choose_volume", "read_volume", "same_medium"]

SHORT_VOLUME_SIZE = 94
"""Size of the volume section of EnCase 1 and SMART files.

Offsets: 0: u32 1 · 4: u32 chunks · 8: u32 sectors per chunk · 12: u32 bytes per sector · 16: u32 sectors · 20: 65
unknown bytes · 85: 5 bytes signature (``SMART`` or zeros) · 90: Adler-32 of 0..89 (ASR Data's specification of 2002,
and the EWF page of libewf's documentation).
"""
_SHORT_VOLUME = struct.Struct("<4xIIII65x5sI")

_MAX_CHUNK = 1 << 27
_MAX_SECTOR = 1 << 16


class VolumeCopy(Struct, frozen=True):
    """One volume, disk or data section: its values, whether its checksum is right, and where it stands."""

    volume: Volume
    sound: bool
    section: Section


def read_volume(files: SegmentFiles, section: Section, report: FindingList) -> VolumeCopy | None:
    """Read one volume, disk or data section; ``None`` where it is too short."""
    data = files.read(section.segment, section.body, min(section.body_size, VOLUME_SIZE))
    try:
        if SHORT_VOLUME_SIZE <= len(data) < VOLUME_SIZE:
            volume, checksum = _short_volume(data)
        else:
            volume, checksum = Volume.unpack(data)
    except ImageFormatError as error:
        report.error("ewf.volume.size", str(error), segment=section.segment, at=section.offset)
        return None
    if not checksum.ok:
        report.error(
            "ewf.volume.checksum",
            f"the checksum of the {section.kind} section is wrong",
            segment=section.segment,
            at=section.body,
        )
    return VolumeCopy(volume, checksum.ok, section)


def _short_volume(data: bytes) -> tuple[Volume, Checksum]:
    chunks, per_chunk, per_sector, sectors, signature, stored = _SHORT_VOLUME.unpack_from(data)
    volume = Volume(
        chunks=chunks, sectors_per_chunk=per_chunk, bytes_per_sector=per_sector, sectors=sectors, signature=signature
    )
    return volume, Checksum(stored, adler32(data[: SHORT_VOLUME_SIZE - 4]))


def same_medium(one: Volume, other: Volume) -> bool:
    """Say whether two volumes belong to the same image: identifier, geometry and size."""
    if one.set_identifier != other.set_identifier:
        return False
    return (one.chunks, one.sectors_per_chunk, one.bytes_per_sector, one.sectors) == (
        other.chunks,
        other.sectors_per_chunk,
        other.bytes_per_sector,
        other.sectors,
    )


def choose_volume(copies: Sequence[VolumeCopy], report: FindingList) -> Volume:
    """Return the first sound and possible volume, else the first possible one; ``ImageFormatError`` where none is."""
    if not copies:
        raise ImageFormatError("the image has no volume section: nothing says how large the medium is")
    ordered = [copy for copy in copies if copy.sound] + [copy for copy in copies if not copy.sound]
    reasons = [_impossible(copy.volume) for copy in ordered]
    for copy, reason in zip(ordered, reasons, strict=True):
        if reason is None:
            if not copy.sound:
                report.error(
                    "ewf.volume.uncertain",
                    "no volume section has a right checksum: the size of the medium is not certain",
                    segment=copy.section.segment,
                    at=copy.section.body,
                )
            return copy.volume
    raise ImageFormatError(f"the image is malformed: {reasons[0]}", reason=reasons[0])


def _impossible(volume: Volume) -> str | None:
    if volume.media_type == MEDIA_TYPE_LOGICAL:
        return "it is logical evidence (L01), a collection of files and not a medium"
    if volume.sectors == 0 or volume.chunks == 0:
        return "it says that its medium has no sectors"
    if not 1 <= volume.bytes_per_sector <= _MAX_SECTOR:
        return f"a sector of {volume.bytes_per_sector} bytes"
    if not 1 <= volume.sectors_per_chunk * volume.bytes_per_sector <= _MAX_CHUNK:
        return f"a chunk of {volume.sectors_per_chunk} sectors"
    if volume.sectors > volume.chunks * volume.sectors_per_chunk:
        return f"{volume.sectors} sectors do not fit into {volume.chunks} chunks of {volume.sectors_per_chunk}"
    return None
