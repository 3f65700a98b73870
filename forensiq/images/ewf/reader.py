"""The native reader of EWF version 1: E01 of every EnCase and FTK Imager, linen, EWF-X, and SMART (S01).

Every checksum of every section and chunk is checked; nothing is returned that was not, without saying so. Memory does
not depend on the size of the medium: tables are loaded when needed and kept in a bounded cache, and few files are open
at once. All methods may be called from several threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from forensiq.errors import ImageDamageError, ImageFormatError, MissingSegmentError
from forensiq.images.ewf.cache import BoundedCache
from forensiq.images.ewf.chunks import ChunkReader
from forensiq.images.ewf.discovery import SegmentSet, find_segments
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.ewf.flavour import describe_flavour
from forensiq.images.ewf.index import ChunkIndex
from forensiq.images.ewf.report import FindingList
from forensiq.images.ewf.scan import ScannedImage, scan_files
from forensiq.images.request import OpenRequest
from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.finding import Damage, Finding
from forensiq.model.image import ImageMetadata, Segment
from forensiq.model.source import SourceIdentity, SourceKind
from forensiq.streams.closing import Closing

__all__ = ["EwfImage", "open_e01"]

_COMPRESSION = {0: "none", 1: "fast", 2: "best"}
_CACHE_BYTES = 32 << 20
_CACHED_READ_CHUNKS = 8


class EwfImage(Closing):
    """An E01 image, opened read-only; satisfies :class:`forensiq.images.base.EvidenceImage`.

    ``missing_segments`` are the numbers of segments that are not there, ``missing_media`` the bytes of the medium that
    no table holds; ``tail`` are bytes behind the last whole sector that the image stores though its medium, as it
    says, ends before them (a source that was not a multiple of its sector).
    """

    format = "e01"
    parallel_reads = 8

    def __init__(self, path: Path, *, segments_in: Sequence[Path] = (), known: Sequence[Path] = ()) -> None:
        self._set: SegmentSet = find_segments(path, segments_in, known)
        self._files = SegmentFiles(tuple(self._set.paths.values()))
        names = [file.name for file in self._files.paths]
        self._report = FindingList(names)
        try:
            self._scan: ScannedImage = scan_files(self._files, tuple(self._set.paths), self._report)
            volume = self._scan.volume
            self.sector_size = volume.bytes_per_sector
            self.size = volume.sectors * volume.bytes_per_sector
            self.chunk_size = volume.sectors_per_chunk * volume.bytes_per_sector
            self._index = ChunkIndex(self._files, self._scan.placement)
            self._chunks = ChunkReader(
                self._files, names, self._index, self._scan.placement.missing, self.size, self.chunk_size
            )
            self.tail = self._chunks.find_tail(self.sector_size)
        except (ImageFormatError, ImageDamageError):
            self._files.close()
            raise
        self._cache: BoundedCache[int, bytes] = BoundedCache(_CACHE_BYTES)
        self._segments = self._list_segments()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        segments_in: Sequence[Path] = (),
        known: Sequence[Path] = (),
        lenient: bool = False,
    ) -> Self:
        """Open the set that ``path`` belongs to.

        ``segments_in`` are further folders, ``known`` further paths where segments may be. Raises
        :class:`~forensiq.errors.ImageFormatError` for what is no image, :class:`~forensiq.errors.MissingSegmentError`
        where segments are missing, foreign or cut off. With ``lenient`` such a set opens as far as it can be read, and
        its findings tell what is not there.
        """
        image = cls(path, segments_in=segments_in, known=known)
        if not lenient:
            try:
                image._refuse_incomplete(path)
            except ImageFormatError:
                image.close()
                raise
        return image

    def _refuse_incomplete(self, path: Path) -> None:
        hint = "`forensiq verify` tells what is there; --segments-in names further folders"
        if self.missing_segments:
            names = list(self._set.expected) or [self._set.next_name]
            raise MissingSegmentError(
                f"{path.name}: {', '.join(names[:5])}{' …' if len(names) > 5 else ''} is missing",
                hint=hint,
                path=str(path),
                missing=names,
                numbers=list(self.missing_segments),
            )
        for finding in self._report.findings:
            if finding.code in ("ewf.segment.foreign", "ewf.segment.unfinished", "ewf.segment.truncated"):
                kind = MissingSegmentError if finding.code == "ewf.segment.foreign" else ImageFormatError
                raise kind(
                    f"{finding.segment}: {finding.message}",
                    hint=hint,
                    path=str(path),
                    segment=finding.segment,
                    code=finding.code,
                )

    @property
    def identity(self) -> SourceIdentity:
        """The image as a source: where it is, and the drive that it says it was made from."""
        unavailable = {
            name: "not available: the image does not say" for name in ("model", "serial") if not self._drive(name)
        }
        return SourceIdentity(
            SourceKind.IMAGE,
            str(self._files.paths[0]),
            self.size,
            self.sector_size,
            model=self._drive("model"),
            serial=self._drive("serial"),
            unavailable=unavailable,
        )

    def _drive(self, name: str) -> str | None:
        text: str = getattr(self.metadata, name)
        return text or None

    @property
    def compression(self) -> str | None:
        """``none``, ``fast`` or ``best``, as the volume section says; each chunk says itself how it is stored."""
        return _COMPRESSION.get(self._scan.volume.compression)

    @property
    def flavour(self) -> str:
        """Which program's kind of EWF this is, as far as its sections tell."""
        return describe_flavour(self._scan)

    @property
    def set_identifier(self) -> str | None:
        """The identifier that all segments share, as hexadecimal text; ``None`` where it is all zeros."""
        identifier = self._scan.volume.set_identifier
        return identifier.hex() if any(identifier) else None

    @property
    def metadata(self) -> ImageMetadata:
        """Case fields of ``header2``, completed by ``header``."""
        return self._scan.statements.metadata

    @property
    def stored_digests(self) -> DigestSet:
        """Digests in ``hash``, ``digest`` and ``xhash`` sections."""
        return self._scan.statements.digests

    @property
    def segments(self) -> Sequence[Segment]:
        """The files, in order, with the bytes of the medium that each holds."""
        return self._segments

    @property
    def paths(self) -> Sequence[Path]:
        """The files, in order."""
        return self._files.paths

    @property
    def acquisition_errors(self) -> Sequence[Extent]:
        """The ranges of ``error2``, in bytes of the medium."""
        return self._scan.statements.unreadable

    @property
    def missing_segments(self) -> Sequence[int]:
        """Numbers of the segments that are not there; behind the last known one only the next is named."""
        return self._scan.missing

    @property
    def missing_media(self) -> Sequence[Damage]:
        """Ranges of the medium that no table holds, and why."""
        return self._chunks.missing

    @property
    def finished(self) -> bool:
        """Whether the last segment that is there closes the image."""
        return self._scan.ended

    def findings(self) -> Sequence[Finding]:
        """What was found when the files were opened."""
        return (*self._set.findings, *self._report.findings)

    def check_structure(self) -> Iterator[Finding]:
        """Yield what was found on opening, then check every table; the chunks are checked by reading them."""
        yield from self.findings()
        report = FindingList([file.name for file in self._files.paths])
        given = 0
        for _ in self._index.check(report):
            found = report.findings
            yield from found[given:]
            given = len(found)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from byte ``offset`` of the medium; see :class:`~forensiq.images.base.EvidenceImage`."""
        if len(buffer) <= _CACHED_READ_CHUNKS * self.chunk_size and self.chunk_size <= _CACHE_BYTES // 8:
            return self._read_cached(offset, buffer)
        count, damage = self.read_checked(offset, buffer)
        if damage:
            raise _damaged(damage[0])
        return count

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """The same as :meth:`read_into`."""
        return self.read_into(offset, buffer)

    def read_checked(self, offset: int, buffer: memoryview) -> tuple[int, Sequence[Damage]]:
        """Fill ``buffer`` as far as possible and tell what of it is damaged."""
        return self._chunks.read(offset, buffer)

    def _read_cached(self, offset: int, buffer: memoryview) -> int:
        wanted = max(0, min(len(buffer), self.size - offset))
        done = 0
        while done < wanted:
            number, inside = divmod(offset + done, self.chunk_size)
            data = self._cache.get(number)
            if data is None:
                data = self._chunks.sound_chunk(number)
                self._cache.put(number, data, len(data))
            piece = memoryview(data)[inside : inside + wanted - done]
            buffer[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def _list_segments(self) -> tuple[Segment, ...]:
        media: dict[int, Extent] = {}
        for group in self._index.groups:
            first, last = group.first * self.chunk_size, (group.first + group.count) * self.chunk_size
            start = media[group.segment].offset if group.segment in media else min(first, self.size)
            media[group.segment] = Extent.between(start, min(last, self.size))
        folder = self._files.paths[0].parent
        return tuple(
            Segment(
                number,
                path.name if path.parent == folder else str(path.absolute()),
                self._files.size(index),
                media=media.get(index),
            )
            for index, (number, path) in enumerate(self._set.paths.items())
        )

    def close(self) -> None:
        """Close all files; may be called twice."""
        self._files.close()


def _damaged(damage: Damage) -> ImageDamageError:
    return ImageDamageError(
        f"{damage.media.length} bytes at offset {damage.media.offset} of the medium are damaged: {damage.reason}",
        offset=damage.media.offset,
        length=damage.media.length,
        segment=damage.segment,
        code=damage.code,
        reason=damage.reason,
    )


def open_e01(request: OpenRequest) -> EwfImage:
    """Open an EWF version 1 image; see :meth:`EwfImage.open`."""
    return EwfImage.open(request.path, segments_in=request.folders, known=request.known, lenient=request.lenient)
