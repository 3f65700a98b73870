"""What an image states beside its data: case fields, digests, ranges that could not be read when it was made."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from forensiq.errors import ImageDamageError, ImageFormatError
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.ewf.header import inflate_text, merge_metadata, parse_header, parse_header2
from forensiq.images.ewf.layout import Checksum, DigestBody, ErrorTable, HashBody, SessionTable, Volume
from forensiq.images.ewf.report import FindingList
from forensiq.images.ewf.sections import Section
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.model.extent import Extent, merge
from forensiq.model.image import ImageMetadata

__all__ = ["Statements", "read_statements"]

_MAX_BODY = 64 << 20
_XHASH = re.compile(rb"<(MD5|SHA1|SHA256)>\s*([0-9A-Fa-f]{32,64})\s*</")


class Statements(Struct, frozen=True):
    """The statements of all segments together; ``unreadable`` in bytes of the medium, ``kinds`` the sections seen."""

    metadata: ImageMetadata
    digests: DigestSet
    unreadable: tuple[Extent, ...]
    sessions: tuple[tuple[int, int], ...]
    kinds: frozenset[str]


class _Reader:
    def __init__(self, files: SegmentFiles, volume: Volume, report: FindingList) -> None:
        self.files = files
        self.volume = volume
        self.report = report
        self.texts: dict[str, bytes] = {}
        self.bodies: dict[str, bytes] = {}
        self.digests: dict[HashAlgorithm, str] = {}
        self.unreadable: list[Extent] = []
        self.sessions: tuple[tuple[int, int], ...] = ()

    def take(self, section: Section) -> None:
        if section.body_size > _MAX_BODY:
            raise ImageFormatError(f"a {section.kind} section of {section.body_size:,} bytes is not possible")
        body = self.files.read(section.segment, section.body, section.body_size)
        if section.kind in ("header", "header2", "xheader"):
            self._text(section, body)
        elif section.kind == "xhash":
            self._xhash(section, inflate_text(body))
        elif section.kind == "hash":
            held, checksum = HashBody.unpack(body)
            if self._sound(section, checksum):
                self._digest(section, HashAlgorithm.MD5, held.md5.hex())
        elif section.kind == "digest":
            both, checksum = DigestBody.unpack(body)
            if self._sound(section, checksum):
                self._digest(section, HashAlgorithm.MD5, both.md5.hex())
                self._digest(section, HashAlgorithm.SHA1, both.sha1.hex())
        elif section.kind == "error2":
            self._errors(section, body)
        elif section.kind == "session":
            sessions, head, tail = SessionTable.unpack(body)
            if self._sound(section, head) and self._sound(section, tail):
                self.sessions = tuple(sessions.sessions)

    def _sound(self, section: Section, checksum: Checksum) -> bool:
        if not checksum.ok:
            self.report.error(
                f"ewf.{section.kind}.checksum",
                f"the checksum of the {section.kind} section is wrong: what it states is not used",
                segment=section.segment,
                at=section.body,
                expected=f"{checksum.stored:08x}",
                found=f"{checksum.computed:08x}",
            )
        return checksum.ok

    def _text(self, section: Section, body: bytes) -> None:
        text = inflate_text(body)
        known = self.texts.setdefault(section.kind, text)
        if known != text:
            self.report.error(
                "ewf.header.differs",
                f"the {section.kind} sections do not agree; the first one is used",
                segment=section.segment,
                at=section.body,
            )
        elif self.bodies.setdefault(section.kind, body) != body:
            self.report.note(
                "ewf.header.stored",
                f"the {section.kind} sections hold the same text, but not the same bytes",
                segment=section.segment,
                at=section.body,
            )

    def _xhash(self, section: Section, text: bytes) -> None:
        for name, value in _XHASH.findall(text):
            algorithm = HashAlgorithm.parse(name.decode())
            if len(value) == 2 * algorithm.digest_size:
                self._digest(section, algorithm, value.decode().lower())

    def _digest(self, section: Section, algorithm: HashAlgorithm, value: str) -> None:
        if not value.strip("0"):
            return
        known = self.digests.setdefault(algorithm, value)
        if known != value:
            self.report.error(
                "ewf.digest.differs",
                f"the image states two different {algorithm.value} digests; the first one is used",
                segment=section.segment,
                at=section.body,
                expected=known,
                found=value,
            )

    def _errors(self, section: Section, body: bytes) -> None:
        table, head, tail = ErrorTable.unpack(body)
        if not (self._sound(section, head) and self._sound(section, tail)):
            return
        sector, whole = self.volume.bytes_per_sector, Extent(0, self.volume.sectors * self.volume.bytes_per_sector)
        for first, count in table.ranges:
            extent = Extent(first * sector, count * sector)
            if not whole.covers(extent):
                self.report.error(
                    "ewf.error2.range",
                    f"a range of unreadable sectors lies beyond the medium: {count} sectors from {first} on",
                    segment=section.segment,
                    at=section.body,
                )
            self.unreadable.append(extent.intersect(whole))

    def metadata(self) -> ImageMetadata:
        result = ImageMetadata()
        if "header2" in self.texts:
            result = parse_header2(self.texts["header2"])
        if "header" in self.texts:
            result = merge_metadata(result, parse_header(self.texts["header"]))
        if "xheader" in self.texts:
            text = self.texts["xheader"].decode("utf-8-sig", "replace")
            result = replace(result, other={**result.other, "xheader": text})
        return result


def read_statements(
    files: SegmentFiles, sections: Sequence[Section], volume: Volume, report: FindingList
) -> Statements:
    """Read the given sections; one that cannot be read is a finding, and nothing of it is used."""
    reader = _Reader(files, volume, report)
    for section in sections:
        try:
            reader.take(section)
        except (ImageFormatError, ImageDamageError) as error:
            report.error(
                f"ewf.{section.kind}.damaged" if section.kind.isalnum() else "ewf.section.damaged",
                f"the {section.kind} section cannot be read: {error}",
                segment=section.segment,
                at=section.body,
            )
    return Statements(
        reader.metadata(),
        DigestSet.of(reader.digests),
        merge(reader.unreadable),
        reader.sessions,
        frozenset(section.kind for section in sections),
    )
