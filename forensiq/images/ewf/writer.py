"""Writes E01 images in the layout of EnCase 6; satisfies :class:`forensiq.images.base.ImageWriter`.

While it is being written every file is called ``NAME.E01.part`` …; :meth:`EwfWriter.finish` syncs all of them, gives
the later segments their names, syncs the folders, and names the first one last: nothing unfinished opens as an image.

When the destination is full, a small reserve is given up so that the section that is open can still get its tables.
Then either the caller named another folder for the rest (``spill``), or the error goes up and everything stored so far
can be resumed. See ``docs/design/ewf-writer.md``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import structs

from forensiq.errors import DestinationError, DestinationExistsError, DestinationFullError, ForensiqError
from forensiq.images.ewf import header
from forensiq.images.ewf.chunk import ChunkEncoder, EncodedBatch
from forensiq.images.ewf.closing import closing_sections, error_ranges
from forensiq.images.ewf.config import (
    EwfConfig,
    front_of_first_segment,
    front_of_later_segment,
    segment_count_worst_case,
)
from forensiq.images.ewf.seal import Sealer
from forensiq.images.ewf.segment import parse_segment_path, segment_path
from forensiq.images.ewf.segment_file import SegmentFile
from forensiq.images.ewf.stored_media import StoredMedia
from forensiq.images.ewf.unfinished import StoredSection, find_left, read_identifier, scan_left
from forensiq.images.output import (
    PART_SUFFIX,
    FileCalls,
    OutputFile,
    Reserve,
    part_path,
    publish,
    remove,
    sync_folder,
)
from forensiq.model.chunk import Batch
from forensiq.model.extent import Extent
from forensiq.model.finding import Finding
from forensiq.model.image import ClosingFacts, ImageManifest, Segment
from forensiq.streams.durable import destination_error

__all__ = ["RESERVE_SIZE", "EwfWriter", "Spill"]

RESERVE_SIZE = 512 * 1024
"""Enough for two tables, digests and some thousand unreadable ranges."""

CHECKED_TAIL = 1024 * 1024 * 1024
"""Bytes of the medium whose chunks are checked when a writer is resumed: what a crash may have torn."""

Spill = Callable[[int, DestinationFullError], Path | None]
"""Called with the number of a segment that met a full destination: the folder for the rest, ``None``: no other."""


class EwfWriter:
    """One E01 on its way to the disk. The order of calls is that of the contract."""

    def __init__(self, config: EwfConfig, *, spill: Spill | None = None, calls: FileCalls | None = None) -> None:
        """Check ``config`` (``UsageError``); touch nothing yet. ``calls`` is for tests that let the disk fail."""
        config.check()
        self.config = structs.replace(config, set_identifier=config.set_identifier or uuid.uuid4())
        self._spill = spill
        self._calls = calls or FileCalls()
        self._encoder = ChunkEncoder(config.chunk_size, config.compression)
        self._folder = config.stem.parent
        self._reserve: Reserve | None = None
        self._sealer = Sealer(hash_segments=config.hash_segments)
        self._segments: list[SegmentFile] = []
        self._current: SegmentFile | None = None
        self._chunks = 0
        self._made: list[Path] = []
        self._taken_up: tuple[StoredSection, ...] = ()

    @property
    def chunk_size(self) -> int:
        """Bytes of the medium in one chunk."""
        return self.config.chunk_size

    @property
    def stored(self) -> int:
        """Bytes of the medium that were stored; after :meth:`suspend` this is where to go on."""
        return min(self._chunks * self.chunk_size, self.config.media_size)

    def begin(self) -> None:
        """Refuse where any segment of this name exists; take the reserve and make the first file."""
        self._refuse_existing(self._folder)
        try:
            self._reserve = Reserve(self._folder, RESERVE_SIZE, calls=self._calls)
            self._open_segment()
        except DestinationFullError as error:
            self._go_on_elsewhere(error)
            self._open_segment()
        except (DestinationError, DestinationExistsError):
            self._release_reserve()
            raise

    @classmethod
    def resume(
        cls,
        config: EwfConfig,
        *,
        folders: Sequence[Path] = (),
        limit: int | None = None,
        spill: Spill | None = None,
        calls: FileCalls | None = None,
    ) -> EwfWriter:
        """Take up what an interrupted writer of the same settings left, cut to its last complete section.

        ``folders`` are those that it spilled into. ``limit`` (bytes of the medium) drops sections that end beyond it,
        because what they hold was found damaged. The last GiB is read and checked here; the rest when the caller reads
        :meth:`stored_media` to rebuild the digests. With nothing to resume this begins. Go on at :attr:`stored`.
        """
        calls = calls or FileCalls()
        config.check()
        paths = find_left(config, folders, calls)
        if paths and config.set_identifier is None:
            config = structs.replace(config, set_identifier=read_identifier(paths[0]))
        writer = cls(config, spill=spill, calls=calls)
        left = scan_left(writer.config, paths)
        sections = [section for segment in left for section in segment.sections]
        if limit is not None:
            sections = [item for item in sections if (item.first_chunk + item.chunks) * config.chunk_size <= limit]
        with StoredMedia(writer.config, sections) as media:
            damaged = media.first_damage(max(0, media.size - CHECKED_TAIL))
        if damaged is not None:
            sections = [item for item in sections if item.first_chunk * config.chunk_size < damaged]
        writer._take_up(paths, sections)
        return writer

    def stored_media(self) -> StoredMedia:
        """Return what a resumed writer had stored before, as a source; valid as long as the files are."""
        return StoredMedia(self.config, self._taken_up)

    def encode(self, batch: Batch) -> EncodedBatch:
        """Compress and checksum ``batch``; pure and thread-safe."""
        return self._encoder.encode(batch)

    def write(self, encoded: EncodedBatch) -> None:
        """Store the next batch. After an error :attr:`stored` says how much of it is stored."""
        self._check_order(encoded.media)
        self._sealer.raise_failure()
        first = 0
        while first < len(encoded.lengths):
            try:
                segment = self._current or self._open_segment()
                count = segment.append(encoded, first)
                if not count:
                    self._end_segment(segment)
            except DestinationFullError as error:
                self._go_on_elsewhere(error)
                continue
            self._chunks += count
            first += count
            self._sealer.hash_complete(segment)

    def flush_section(self) -> None:
        """Close the open section now, so that a crash from here on loses nothing that was stored."""
        if self._current is not None:
            self._closing(self._current.close_section)
            self._sealer.hash_complete(self._current)

    def finish(self, facts: ClosingFacts) -> ImageManifest:
        """Close the image, make it durable, name its files, and say what was written."""
        if self._chunks != self.config.chunks or self._current is None:
            raise ForensiqError(
                "an image was to be finished before all of it was stored",
                stored=self.stored,
                size=self.config.media_size,
            )
        last = self._current
        sections = closing_sections(self.config, facts, one_segment=last.number == 1)
        self._closing(lambda: last.close(sections, "done"))
        self._current = None
        self._sealer.seal(last)
        self._sealer.wait()
        self._release_reserve()
        self._publish()
        _, findings = error_ranges(facts.unreadable, self.config.sector_size)
        return self._manifest((*header.truncation_findings(self.config.metadata), *findings))

    def suspend(self) -> None:
        """Close the open section, sync everything and keep the ``.part`` files; nothing that was stored is lost."""
        try:
            if self._current is not None:
                self._closing(self._current.close_section)
                self._current.mend()
                self._sealer.seal(self._current)
            self._sealer.wait()
            for folder in self._folders():
                sync_folder(folder, calls=self._calls)
        finally:
            self._close_files()

    def abort(self) -> None:
        """Stop and remove the files that this writer made."""
        self._close_files()
        for path in self._made:
            remove(path, calls=self._calls)

    def _take_up(self, paths: Sequence[Path], sections: Sequence[StoredSection]) -> None:
        """Cut the files to ``sections``, remove those that hold none of them, and stand behind the last one."""
        self._taken_up = tuple(sections)
        kept = list(dict.fromkeys(section.path for section in sections))
        for path in reversed(paths):
            if path not in kept:
                remove(path, calls=self._calls)
        if not sections:
            self.begin()
            return
        for number, path in enumerate(kept, 1):
            own = [section for section in sections if section.path == path]
            output = OutputFile.reopen(path, calls=self._calls, keep_cached=self.config.hash_segments)
            final = path.with_name(path.name.removesuffix(PART_SUFFIX))
            segment = SegmentFile(number, own[0].first_chunk, final, output, self.config)
            segment.chunks = sum(section.chunks for section in own)
            self._segments.append(segment)
            if path == kept[-1]:
                output.truncate(own[-1].tables_end)
                self._current = segment
            segment.complete = output.end
            self._chunks += segment.chunks
            if path != kept[-1]:
                self._sealer.seal(segment)
        self._folder = kept[-1].parent
        try:
            self._reserve = Reserve(self._folder, RESERVE_SIZE, calls=self._calls)
        except DestinationFullError as error:
            self._go_on_elsewhere(error)
        if self._current is not None:
            self._sealer.hash_complete(self._current)

    def _open_segment(self) -> SegmentFile:
        number = len(self._segments) + 1
        final = segment_path(self._folder / self.config.stem.name, number)
        path = part_path(final)
        try:
            if os.path.lexists(final):
                raise _exists(final)
            output = OutputFile.create(path, calls=self._calls, keep_cached=self.config.hash_segments)
        except DestinationExistsError as error:
            if number == 1:
                raise
            raise DestinationError(error.message, path=str(path), errno=errno.EEXIST) from error
        self._made.append(path)
        front = front_of_first_segment(self.config) if number == 1 else front_of_later_segment(self.config, number)
        try:
            output.append([front])
        except DestinationError:
            self._discard(output)
            raise
        self._current = SegmentFile(number, self._chunks, final, output, self.config)
        self._segments.append(self._current)
        return self._current

    def _end_segment(self, segment: SegmentFile) -> None:
        self._closing(lambda: segment.close([], "next"))
        self._sealer.seal(segment)
        self._current = None

    def _closing(self, operation: Callable[[], None]) -> None:
        """Do what closes a section or a segment, once more with the reserve given up where there is no room."""
        try:
            operation()
        except DestinationFullError:
            if self._reserve is None:
                raise
            self._release_reserve()
            operation()

    def _go_on_elsewhere(self, error: DestinationFullError) -> None:
        """Close what is stored here and go on in the next folder; raise ``error`` where there is none."""
        while True:
            segment = self._current
            number = segment.number if segment else len(self._segments) + 1
            folder = self._spill(number, error) if self._spill else None
            if folder is None:
                raise error
            if segment is not None and segment.chunks:
                self._end_segment(segment)
            elif segment is not None:
                self._segments.pop()
                self._current = None
                self._discard(segment.output)
            self._release_reserve()
            try:
                self._reserve = Reserve(folder, RESERVE_SIZE, calls=self._calls)
            except DestinationFullError as next_error:
                error = next_error
            else:
                self._folder = folder
                return

    def _discard(self, output: OutputFile) -> None:
        output.close()
        self._made.remove(output.path)
        remove(output.path, calls=self._calls)

    def _publish(self) -> None:
        """Give the files their names, the first one last, each step durable before the next."""
        for folder in self._folders():
            sync_folder(folder, calls=self._calls)
        first, *later = self._segments
        for segment in reversed(later):
            self._name(segment)
        for folder in self._folders():
            sync_folder(folder, calls=self._calls)
        self._name(first)
        sync_folder(first.final.parent, calls=self._calls)

    def _name(self, segment: SegmentFile) -> None:
        publish(segment.output.path, segment.final, calls=self._calls)
        if segment.output.path in self._made:
            self._made.remove(segment.output.path)
            self._made.append(segment.final)

    def _manifest(self, findings: tuple[Finding, ...]) -> ImageManifest:
        config = self.config
        home = config.stem.parent
        segments = tuple(
            Segment(
                number=segment.number,
                path=segment.final.name if segment.final.parent == home else str(segment.final.absolute()),
                size=segment.output.end,
                sha256=segment.sha256.hexdigest() if config.hash_segments else None,
                media=Extent.between(
                    segment.first_chunk * config.chunk_size,
                    min((segment.first_chunk + segment.chunks) * config.chunk_size, config.media_size),
                ),
            )
            for segment in self._segments
        )
        return ImageManifest(
            format="e01",
            segments=segments,
            media_size=config.media_size,
            sector_size=config.sector_size,
            chunk_size=config.chunk_size,
            compression=config.compression.value,
            set_identifier=str(config.set_identifier),
            findings=findings,
        )

    def _folders(self) -> list[Path]:
        return list(dict.fromkeys(segment.final.parent for segment in self._segments))

    def _check_order(self, media: Extent) -> None:
        whole = media.length % self.chunk_size == 0 or media.end == self.config.media_size
        if media.offset != self.stored or media.end > self.config.media_size or not whole:
            raise ForensiqError(
                "a batch was to be stored out of order", offset=media.offset, length=media.length, stored=self.stored
            )

    def _refuse_existing(self, folder: Path) -> None:
        """Refuse where a file has a name that this image may need, finished or not."""
        try:
            names = sorted(path.name for path in folder.iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            raise destination_error(error, folder, f"listing {folder}") from error
        for name in names:
            with contextlib.suppress(ValueError):
                stem, number, _ = parse_segment_path(folder / name.removesuffix(PART_SUFFIX))
                # Beyond what may be needed, names are others' ("x.map", "x.raw" could be segments by their names).
                if stem.name == self.config.stem.name and number <= max(99, segment_count_worst_case(self.config)):
                    raise _exists(folder / name)

    def _release_reserve(self) -> None:
        if self._reserve is not None:
            self._reserve.release()
            self._reserve = None

    def _close_files(self) -> None:
        self._sealer.cancel()
        self._release_reserve()
        for segment in self._segments:
            segment.output.close()
        self._current = None


def _exists(path: Path) -> DestinationExistsError:
    return DestinationExistsError(f"{path} exists already; nothing is replaced", path=str(path), errno=errno.EEXIST)
