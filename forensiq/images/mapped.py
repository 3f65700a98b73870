"""An image whose container is a map: tables that say where each run of the medium is stored.

A format gives spans (:mod:`forensiq.images.spans`); everything else is here and the same for all of them: reading,
unpacking, parents, damage. What a container does not hold, or holds wrongly, is damage with its reason and never zeros
without a word.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import ClassVar

from forensiq.errors import Fact, ImageDamageError, ImageFormatError
from forensiq.images.base import EvidenceImage
from forensiq.images.ewf.cache import BoundedCache
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.spans import FromParent, Held, Lost, Packed, Pattern, Plain, Proof, Span, Zeros, joined
from forensiq.images.unpack import UnpackError, unpack
from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Damage, Finding, Severity
from forensiq.model.image import ImageMetadata, Segment
from forensiq.model.source import SourceIdentity, SourceKind
from forensiq.streams.closing import Closing

__all__ = ["MAX_MEDIUM", "MappedImage", "check_size", "missing_file", "not_looked_for", "problem", "remark", "stated"]

MAX_MEDIUM = 1 << 50
"""1 PiB: a medium that is said to be larger is refused, whatever the container says."""
_UNITS_KEPT = 32 << 20
_NOTHING = bytes(1 << 16)
_MISSING = frozenset({"parent.missing", "extent.missing"})
_RANGES = 100_000


def check_size(path: Path, size: int) -> int:
    """Return ``size`` (bytes of the medium); refuse what no medium has."""
    if not 0 < size <= MAX_MEDIUM:
        raise ImageFormatError(f"{path}: a medium of {size:,} bytes is not possible", path=str(path), size=str(size))
    return size


def problem(
    code: str,
    message: str,
    *,
    cause: Cause = Cause.METADATA,
    segment: str | None = None,
    file_offset: int | None = None,
    expected: str | None = None,
    found: str | None = None,
    media: Extent | None = None,
) -> Finding:
    """Return a finding that counts as damage of the container."""
    return Finding(
        Severity.ERROR,
        cause,
        code,
        message,
        expected=expected,
        found=found,
        segment=segment,
        file_offset=file_offset,
        media=media,
    )


def remark(code: str, message: str, *, warning: bool = False) -> Finding:
    """Return a finding that is worth knowing and is no damage."""
    return Finding(Severity.WARNING if warning else Severity.INFO, Cause.NOTE, code, message)


def not_looked_for(what: str) -> Finding:
    """Return the finding that overlaps of ``what`` were not looked for, because that would take too much memory."""
    return remark("container.overlap.unchecked", f"the file is so large that overlaps of {what} were not looked for")


def missing_file(image: str, kind: str, name: str) -> Finding:
    """Return the finding for a parent or extent that is not there; ``kind`` is the word for it."""
    return Finding(
        Severity.ERROR,
        Cause.MISSING_SEGMENT,
        "container.file.missing",
        f"its {kind} is not there: {name}",
        where=image,
        expected=name,
    )


class MappedImage(Closing):
    """Satisfies :class:`~forensiq.images.base.EvidenceImage`; a format sets the attributes and gives :meth:`spans`.

    ``container`` is what the container says of itself, in its own words; ``parent`` the image that holds what this one
    does not; ``absent`` the names of parents and extents that are not there (only where it was opened leniently).
    ``content_checks`` says whether checksums of the container cover every byte of the medium; ``container_proof`` is
    the sentence that cryptographic digests of the container have proven all of it, once :meth:`check_structure` ran.
    """

    format: ClassVar[str]
    sector_size: int = 512
    parallel_reads: int = 8
    chunk_size: int | None = None
    compression: str | None = None
    metadata: ImageMetadata = ImageMetadata()
    stored_digests: DigestSet = DigestSet()
    acquisition_errors: Sequence[Extent] = ()
    unknown_regions: Sequence[Extent] = ()
    content_checks: bool = False
    container_proof: str = ""

    def __init__(self, files: SegmentFiles, size: int, parent: EvidenceImage | None = None) -> None:
        """Take over ``files`` and ``parent``: both are closed with the image."""
        self.files = files
        self.size = size
        self.parent = parent
        self.container: dict[str, Fact] = {}
        self.absent: list[str] = []
        self.noted: list[Finding] = []
        self._units: BoundedCache[tuple[int, int], bytes | bytearray] = BoundedCache(_UNITS_KEPT)

    @abstractmethod
    def spans(self, offset: int, length: int) -> Iterator[Span]:
        """Yield what the ``length`` bytes of the medium from ``offset`` on are; both lie inside the medium.

        The lengths add up to ``length``. Thread-safe.
        """

    @property
    def identity(self) -> SourceIdentity:
        """The image as a source: a container of this kind knows of no drive."""
        reason = "not applicable: a container of this kind does not hold it"
        return SourceIdentity(
            SourceKind.IMAGE,
            str(self.files.paths[0]),
            self.size,
            self.sector_size,
            model=self.metadata.model or None,
            serial=self.metadata.serial or None,
            unavailable={name: reason for name in ("model", "serial") if not getattr(self.metadata, name)},
        )

    @property
    def segments(self) -> Sequence[Segment]:
        """The files of this container, then those of its parents."""
        first = self.files.paths[0].parent
        found = [(path, self.files.size(index)) for index, path in enumerate(self.files.paths)]
        if self.parent is not None:
            above = Path(self.parent.identity.path).parent
            found += [(above / each.path, each.size) for each in self.parent.segments]
        return tuple(
            Segment(number, path.name if path.parent == first else str(path.absolute()), size)
            for number, (path, size) in enumerate(found, 1)
        )

    @property
    def complete(self) -> bool:
        """Whether every parent and extent is there."""
        return not self.absent and (not isinstance(self.parent, MappedImage) or self.parent.complete)

    @property
    def missing_media(self) -> Sequence[Damage]:
        """Ranges of the medium that only a file holds which is not there."""
        if self.complete:
            return ()
        lost = (each for each in self.lost(Extent(0, self.size)) if each.code in _MISSING)
        return tuple(islice(lost, _RANGES))

    def lost(self, extent: Extent) -> Iterator[Damage]:
        """Yield what the tables alone show to be lost in ``extent``, those of the parents included."""
        at = extent.offset
        for span in joined(self.spans(extent.offset, extent.length)):
            if isinstance(span, FromParent) and self.parent is None:
                span = _no_parent(span.length)
            if isinstance(span, Lost):
                yield Damage(Extent(at, span.length), self._name(span.file), span.code, span.reason)
            elif isinstance(span, FromParent) and isinstance(self.parent, MappedImage):
                inside = Extent(at, span.length).intersect(Extent(0, self.parent.size))
                yield from self.parent.lost(inside) if inside else ()
            at += span.length

    def findings(self) -> Sequence[Finding]:
        """What was found when the files were opened, those of the parents included."""
        return (*self.noted, *(self.parent.findings() if self.parent is not None else ()))

    def check_structure(self) -> Iterator[Finding]:
        """Yield what was found on opening, then check the container and its parents."""
        yield from self.noted
        yield from self.check_container()
        if self.parent is not None:
            yield from self.parent.check_structure()

    def check_container(self) -> Iterator[Finding]:
        """Check tables and checksums of this file; those that :attr:`noted` holds already are left out."""
        yield from ()

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`forensiq.images.base.EvidenceImage.read_into`."""
        count, damage = self.read_checked(offset, buffer)
        for each in damage:
            raise ImageDamageError(
                f"{each.media.length} bytes at offset {each.media.offset} of the medium cannot be given: {each.reason}",
                offset=each.media.offset,
                length=each.media.length,
                segment=each.segment,
                code=each.code,
                reason=each.reason,
            )
        return count

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """The same as :meth:`read_into`."""
        return self.read_into(offset, buffer)

    def read_checked(self, offset: int, buffer: memoryview) -> tuple[int, Sequence[Damage]]:
        """See :meth:`forensiq.images.base.EvidenceImage.read_checked`."""
        wanted = max(0, min(len(buffer), self.size - offset))
        if not wanted:
            return 0, ()
        damage: list[Damage] = []
        done = 0
        for span in joined(self.spans(offset, wanted)):
            damage += self.fill(span, offset + done, buffer[done : done + span.length])
            done += span.length
        if done != wanted:
            raise AssertionError(f"{self.format}: spans of {done} bytes where {wanted} were asked for")
        return wanted, damage

    def fill(self, span: Span, at: int, view: memoryview) -> Sequence[Damage]:
        """Fill ``view`` with the bytes of one span; return what of it is damaged, counted from ``at`` on."""
        damage: list[Damage] = []
        self._fill(span, at, view, damage)
        return damage

    def _fill(self, span: Span, at: int, view: memoryview, damage: list[Damage]) -> None:
        if isinstance(span, Plain):
            self._fill_plain(span, at, view, damage)
        elif isinstance(span, Zeros):
            _clear(view)
        elif isinstance(span, Packed):
            self._fill_packed(span, at, view, damage)
        elif isinstance(span, FromParent) and self.parent is not None:
            count, found = self.parent.read_checked(at, view)
            _clear(view[count:])
            damage += found
        elif isinstance(span, Pattern):
            repeated = span.text * (span.length // len(span.text) + 2)
            view[:] = repeated[span.phase : span.phase + span.length]
        elif isinstance(span, Held):
            view[:] = span.data[span.skip : span.skip + span.length]
        else:
            _clear(view)
            lost = span if isinstance(span, Lost) else _no_parent(span.length)
            damage.append(Damage(Extent(at, span.length), self._name(lost.file), lost.code, lost.reason))

    def _fill_plain(self, span: Plain, at: int, view: memoryview, damage: list[Damage]) -> None:
        try:
            count = self.files.read_into(span.file, span.at, view)
            reason, code = "the file ends before it", "file.truncated"
        except ImageDamageError as error:
            # Sector by sector, so that one bad block of the disk under the image costs no more than itself.
            if span.length > self.sector_size:
                for piece in Extent(0, span.length).pieces(64 << 10 if span.length > 64 << 10 else self.sector_size):
                    part = Plain(piece.length, span.file, span.at + piece.offset)
                    self._fill_plain(part, at + piece.offset, view[piece.offset : piece.end], damage)
                return
            count, reason, code = 0, f"the file cannot be read there: {error}", "file.read"
        if count < span.length:
            _clear(view[count:])
            damage.append(Damage(Extent.between(at + count, at + span.length), self._name(span.file), code, reason))

    def _fill_packed(self, span: Packed, at: int, view: memoryview, damage: list[Damage]) -> None:
        key = (span.file, span.at)
        data = self._units.get(key)
        proven = True
        try:
            if data is None:
                data = _unpacked(span, self.files.read(span.file, span.at, span.stored))
                proven = span.proof is None or _proven(span, span.proof, data)
                if proven and span.length < span.unit:
                    self._units.put(key, data, len(data))
        except UnpackError as error:
            lost = f"a unit of {span.unit} bytes at byte {span.at} cannot be unpacked ({span.codec.value}): {error}"
            code = "chunk.inflate"
        except ImageDamageError as error:
            lost, code = f"the file cannot be read there: {error}", "file.read"
        else:
            view[:] = memoryview(data)[span.skip : span.skip + span.length]
            if not proven and span.proof is not None:
                words = f"the {span.proof.algorithm} of the unit of {len(data)} bytes at byte {span.at} is another one"
                damage.append(Damage(Extent(at, span.length), self._name(span.file), "chunk.digest", words))
            return
        _clear(view)
        damage.append(Damage(Extent(at, span.length), self._name(span.file), code, lost))

    def _name(self, file: int | None) -> str | None:
        return self.files.paths[0 if file is None else file].name

    def close(self) -> None:
        """Close all files, those of the parents included; may be called twice."""
        self.files.close()
        if self.parent is not None:
            self.parent.close()


def _unpacked(span: Packed, stored: bytes) -> bytes | bytearray:
    try:
        return unpack(span.codec, stored, span.unit)
    except UnpackError:
        if not span.least:
            raise
        return unpack(span.codec, stored, span.least)


def _proven(span: Packed, proof: Proof, data: bytes | bytearray) -> bool:
    """Say whether a unit has its digest. Of the last one writers digest what the medium has, or fill it up before."""
    forms = [data]
    if span.least:
        forms += [data[: span.least], data[: span.least].ljust(span.unit, b"\0")]
    return any(hashlib.new(proof.algorithm, each, usedforsecurity=False).digest() == proof.digest for each in forms)


def _no_parent(length: int) -> Lost:
    return Lost(length, "parent.missing", "the image that holds it is not there")


def _clear(view: memoryview) -> None:
    for start in range(0, len(view), len(_NOTHING)):
        part = view[start : start + len(_NOTHING)]
        part[:] = _NOTHING[: len(part)]


def stated(**values: Fact) -> Mapping[str, Fact]:
    """Return the values that are there: what a container does not say is left out."""
    return {key: value for key, value in values.items() if value not in (None, "", [])}
