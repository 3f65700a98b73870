"""Reads raw images: one file, a split set, a device. They hold media bytes and nothing else: no digest, no checksum."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from forensiq.errors import ImageDamageError, ImageFormatError, SourceReadError
from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Damage, Finding, Severity
from forensiq.model.image import ImageMetadata, Segment
from forensiq.model.source import SourceIdentity, SourceKind
from forensiq.model.split_names import first_parts, is_first_part, is_part
from forensiq.streams.closing import Closing
from forensiq.streams.files import FileSequence, find_parts

__all__ = ["RawImage"]

_STEP = 64 << 10


class RawImage(Closing):
    """An :class:`~forensiq.images.base.EvidenceImage` over raw files.

    What it cannot give is what the disk under it cannot read; that the bytes are right, only a digest can say.
    """

    format = "raw"
    chunk_size = None
    compression = None
    metadata = ImageMetadata()
    stored_digests = DigestSet()
    acquisition_errors: tuple[Extent, ...] = ()
    parallel_reads = 1

    def __init__(
        self,
        path: Path,
        *,
        sector_size: int = 512,
        folders: Sequence[Path] = (),
        known: Sequence[Path] = (),
        medium_size: int | None = None,
    ) -> None:
        """Open the image that ``path`` is of; ``sector_size`` (bytes) is not in it and has to be said.

        Where ``path`` is a later part of a numbered set whose first one lies beside it, the image is the whole set.
        Later parts are looked for in ``folders`` and among the ``known`` paths, besides the folder of the first one.
        With ``medium_size`` (bytes) the image is the start of this one file or device, whatever its name.

        Raises :class:`ImageFormatError` where there are no bytes, :class:`~forensiq.errors.MissingSegmentError` where a
        part of a set is missing, :class:`~forensiq.errors.SourceError` where it cannot be opened.
        """
        if path.is_dir():
            raise ImageFormatError(f"{path} is a folder, not an image", path=str(path))
        first = path if medium_size is not None else _first_of_set(path)
        self._files = FileSequence(
            find_parts(first, folders, known) if is_first_part(first.name) and medium_size is None else [path]
        )
        self.size = self._files.size if medium_size is None else min(self._files.size, medium_size)
        self.sector_size = sector_size
        if not self.size:
            self._files.close()
            raise ImageFormatError(f"{path} is empty: not an image", path=str(path))
        self.segments = self._list_segments()
        reason = "not applicable: a raw image does not hold it"
        self.identity = SourceIdentity(
            SourceKind.IMAGE, str(path), self.size, sector_size, unavailable={"model": reason, "serial": reason}
        )

    def _list_segments(self) -> tuple[Segment, ...]:
        position = 0
        result: list[Segment] = []
        for number, (path, size) in enumerate(zip(self._files.paths, self._files.sizes, strict=True), 1):
            name = path.name if path.parent == self._files.paths[0].parent else str(path.absolute())
            size = min(size, self.size - position)
            result.append(Segment(number, name, size, media=Extent(position, size)))
            position += size
        return tuple(result)

    def findings(self) -> Sequence[Finding]:
        """See :meth:`forensiq.images.base.EvidenceImage.findings`."""
        found: list[Finding] = []
        usual = self._files.sizes[0]
        for segment in self.segments[1:]:
            last = segment.number == len(self.segments)
            if segment.size == usual or (last and segment.size < usual):
                continue
            found.append(
                Finding(
                    Severity.WARNING,
                    Cause.METADATA,
                    "raw.part.size",
                    "the parts of the set differ in size: one may be cut short, or of another set",
                    where=segment.path,
                    expected=str(usual),
                    found=str(segment.size),
                    segment=os.path.basename(segment.path),
                    media=segment.media,
                )
            )
        if self.size % self.sector_size:
            found.append(
                Finding(
                    Severity.INFO,
                    Cause.NOTE,
                    "raw.size",
                    f"the size is not a multiple of the sector size of {self.sector_size} bytes",
                    found=str(self.size),
                )
            )
        return found

    def check_structure(self) -> Iterator[Finding]:
        """A raw image has no structure beyond its files: the same as :meth:`findings`."""
        yield from self.findings()

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """See :meth:`forensiq.images.base.EvidenceImage.read_into`."""
        try:
            return self._files.read_into(offset, buffer[: max(0, self.size - offset)])
        except SourceReadError as error:
            raise ImageDamageError(
                f"{error.length} bytes at offset {offset} of the image cannot be read: {os.strerror(error.errno)}",
                offset=offset,
                length=error.length,
                reason="the image file cannot be read",
                errno=error.errno,
            ) from error

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """The same as :meth:`read_into`."""
        return self.read_into(offset, buffer)

    def read_checked(self, offset: int, buffer: memoryview) -> tuple[int, Sequence[Damage]]:
        """See :meth:`forensiq.images.base.EvidenceImage.read_checked`; damage is what the disk cannot read."""
        wanted = Extent.between(offset, min(offset + len(buffer), self.size))
        damage: list[Damage] = []
        self._read_piece(wanted, buffer[: wanted.length], max(_STEP, self.sector_size), damage)
        return wanted.length, damage

    def _read_piece(self, piece: Extent, buffer: memoryview, step: int, damage: list[Damage]) -> None:
        try:
            self._files.read_into(piece.offset, buffer)
        except SourceReadError as error:
            if piece.length > self.sector_size:
                for part in piece.pieces(step):
                    view = buffer[part.offset - piece.offset : part.end - piece.offset]
                    self._read_piece(part, view, self.sector_size, damage)
                return
            buffer[:] = bytes(len(buffer))
            self._add_damage(damage, piece, error.errno or errno.EIO)

    def _add_damage(self, damage: list[Damage], piece: Extent, code: int) -> None:
        if damage and damage[-1].media.end == piece.offset:
            piece = Extent.between(damage.pop().media.offset, piece.end)
        segment = next(each for each in self.segments if each.media is not None and piece.offset in each.media)
        damage.append(
            Damage(piece, os.path.basename(segment.path), "file.read", f"cannot be read: {os.strerror(code)}")
        )

    def close(self) -> None:
        """See :meth:`forensiq.images.base.EvidenceImage.close`."""
        self._files.close()


def _first_of_set(path: Path) -> Path:
    beside = (path.with_name(name) for name in first_parts(path.name))
    return next((each for each in beside if each.is_file() and is_part(each.name, path.name)), path)
