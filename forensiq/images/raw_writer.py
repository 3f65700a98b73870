"""Writes raw images: one file ``X.dd``, or parts ``X.001``, ``X.002`` …; holes where the medium is zero.

While it is written every file is called ``….part``. All are on disk before the first one gets its name, and part 1 gets
its name last.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from forensiq.errors import DestinationError, DestinationExistsError, DestinationFullError, UsageError
from forensiq.images.base import RescueTarget
from forensiq.images.in_order import WrittenInOrder
from forensiq.images.output import FileCalls, OutputFile, part_path, publish, remove, sync_folder
from forensiq.images.raw_batch import UNIT, RawBatch, sparse_batch
from forensiq.images.raw_parts import RawParts
from forensiq.images.raw_stored import StoredRaw
from forensiq.images.sparse import SparseTarget, copy_start
from forensiq.model.chunk import Batch
from forensiq.model.digest import HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.model.image import ClosingFacts, ImageManifest, Segment

__all__ = ["RawWriter"]

_MOST_PARTS = 99_999


class RawWriter(WrittenInOrder, SparseTarget):
    """An :class:`~forensiq.images.base.ImageWriter`. Memory: nothing but what is passed in.

    ``segment_size`` (bytes) splits the image into parts of at most that size; ``segment_hash`` digests each part while
    it is written (of a single file, the digest of the medium is the digest of the file). ``written`` bytes of the
    medium are in the files; after :meth:`suspend` all of them are durable, and :meth:`resume` goes on there.

    Where the destination is full, ``spill`` is asked with the number of the part for another folder: the open part
    moves there as a whole, and the rest of an image in parts follows it. ``folders`` are where parts of an earlier
    sitting may be besides. A single file cannot go on elsewhere.
    """

    chunk_size = UNIT
    in_place = True

    def __init__(
        self,
        stem: Path,
        media_size: int,
        *,
        sector_size: int = 512,
        segment_size: int | None = None,
        segment_hash: bool = True,
        spill: Callable[[int, DestinationFullError], Path | None] | None = None,
        folders: Sequence[Path] = (),
        calls: FileCalls | None = None,
    ) -> None:
        if (spill is not None or folders) and segment_size is None:
            raise UsageError(
                "a raw image in one file cannot go on in another folder",
                hint="split it with --segment-size, or choose the format e01",
            )
        if segment_size is not None and segment_size < sector_size:
            raise UsageError(f"parts of {segment_size} bytes are smaller than a sector")
        if segment_size is not None and -(-media_size // segment_size) > _MOST_PARTS:
            raise UsageError(
                f"parts of {segment_size} bytes would be more than {_MOST_PARTS}", hint="choose a larger --segment-size"
            )
        super().__init__()
        self._stem = stem
        self._media_size = media_size
        self._sector_size = sector_size
        self._segments = tuple(Extent(0, media_size).pieces(segment_size or max(1, media_size)))
        self._split = segment_size is not None
        self._parts = RawParts(stem, len(self._segments), split=self._split, folders=folders)
        self._spill = spill
        self._calls = calls or FileCalls()
        self._hasher = hashlib.sha256() if segment_hash and self._split else None
        self._segment_hash = segment_hash
        self._digests: list[str | None] = []
        self._made: list[Path] = []

    @property
    def paths(self) -> tuple[Path, ...]:
        """The final names of all files, in order."""
        return self._parts.paths

    def begin(self) -> None:
        """See :meth:`forensiq.images.base.ImageWriter.begin`; refuses where any file of the image is there already."""
        for path in self.paths:
            for each in (path, part_path(path)):
                if each.exists() or each.is_symlink():
                    raise DestinationExistsError(f"{each} exists already and is not replaced", path=str(each))
        self._open_somewhere(0)

    def resume(self, written: int, *, rescued: bool = False) -> None:
        """Go on, instead of :meth:`begin`, behind the first ``written`` bytes of the medium, which are in the files.

        What is behind them is cut off, but for a single file that holds what a rescue got (``rescued``). The digests of
        parts are computed anew from the files. A part that is not there, or is too short, is a
        :class:`DestinationError`.
        """
        for index, segment in enumerate(self._segments):
            have = segment.intersect(Extent(0, written)).length
            path = part_path(self._parts.path(index))
            keep = rescued and not self._split
            if not have and not keep:
                remove(path, calls=self._calls)
                continue
            if have == segment.length and self._parts.path(index).exists():
                path = self._parts.path(index)
            self._take_up(index, path, have, keep=keep)
            self._made.append(path)
        self.written = self._durable = written
        if self._output is None and written < self._media_size:
            self._open_somewhere(self._index(written))

    @classmethod
    def resumed(cls, stem: Path, media_size: int, written: int, rescued: bool, **settings: Any) -> RawWriter:  # noqa: ANN401
        """Return a writer that goes on behind ``written`` bytes (see :meth:`resume`); ``settings`` as for a new one."""
        writer = cls(stem, media_size, **settings)
        writer._parts.locate(writer._calls)
        if writer.paths[0].exists():
            raise DestinationExistsError(
                f"{writer.paths[0]} exists already; nothing is replaced",
                hint="a finished image is verified, not resumed",
                path=str(writer.paths[0]),
            )
        for path in writer.paths:
            # Stopped while it named its files: the unfinished names come back.
            if path.exists():
                publish(path, part_path(path), calls=writer._calls)
        have = writer._sizes_left()
        writer.resume(min(written, have), rescued=rescued)
        return writer

    def stored_media(self) -> StoredRaw:
        """Return what is in the files, as a source."""
        held = [segment for segment in self._segments if segment.offset < self.written]
        paths = [part if (part := part_path(path)).exists() else path for path in self.paths[: len(held)]]
        return StoredRaw(paths, self.written, self._sector_size)

    def _sizes_left(self) -> int:
        """Return how many bytes of the medium the files that are there can hold, in order from its start."""
        total = 0
        for path, segment in zip(self.paths, self._segments, strict=True):
            found = next((each for each in (part_path(path), path) if each.exists()), None)
            size = 0 if found is None else min(found.stat().st_size, segment.length)
            total += size
            if size < segment.length:
                break
        return total

    def _take_up(self, index: int, path: Path, have: int, *, keep: bool) -> None:
        output = OutputFile.reopen(path, calls=self._calls)
        if output.end < have:
            output.close()
            raise DestinationError(
                f"{path} has {output.end} bytes, and {have} were written",
                path=str(path),
                size=output.end,
                expected=have,
            )
        if keep:
            output.end = have
        elif output.end > have:
            output.truncate(have)
        if self._hasher is not None:
            for piece in Extent(0, have).pieces(1 << 20):
                data = memoryview(bytearray(piece.length))
                if output.read_into(piece.offset, data) != piece.length:
                    raise DestinationError(f"{path} cannot be read back", path=str(path))
                self._hasher.update(data)
        self._output = output
        if have == self._segments[index].length:
            self._close_segment(index)

    def encode(self, batch: Batch) -> RawBatch:
        """Find what of ``batch`` is zero and need not be written."""
        return sparse_batch(batch)

    def write(self, encoded: RawBatch) -> None:
        """See :meth:`forensiq.images.base.ImageWriter.write`."""
        if encoded.offset != self.written:
            raise ValueError(f"expected the batch at byte {self.written}, not at {encoded.offset}")
        with self._lock:
            self._write(encoded)

    def _write(self, encoded: RawBatch) -> None:
        here = Extent(encoded.offset, len(encoded.data))
        while here:
            index = self._index(here.offset)
            part, rest = here.split_at(self._segments[index].end)
            try:
                if self._output is None:
                    self._open_segment(index)
                self._write_part(index, part, encoded)
            except DestinationFullError as error:
                self._go_on_elsewhere(index, error)
                continue
            here = rest
            self.written = part.end
            if part.end == self._segments[index].end:
                self._close_segment(index)

    def _index(self, position: int) -> int:
        return position // self._segments[0].length

    def _write_part(self, index: int, part: Extent, encoded: RawBatch) -> None:
        output = self._open_output
        start = self._segments[index].offset
        in_place = self._rescued_from is not None and part.offset >= self._rescued_from
        for run in encoded.runs if not in_place else ():
            piece = run.shifted(encoded.offset).intersect(part)
            if piece:
                output.skip(piece.offset - start - output.end)
                output.append([encoded.data[piece.offset - encoded.offset : piece.end - encoded.offset]])
        output.skip(part.end - start - output.end)
        if self._hasher is not None:
            self._hasher.update(encoded.data[part.offset - encoded.offset : part.end - encoded.offset])

    def _open_segment(self, index: int) -> None:
        folder = self._parts.current
        final = self._parts.path_in(index, folder)
        if os.path.lexists(final):
            raise DestinationExistsError(f"{final} exists already and is not replaced", path=str(final))
        self._output = OutputFile.create(part_path(final), calls=self._calls)
        self._parts.place(index, folder)
        self._made.append(part_path(final))

    def _open_somewhere(self, index: int) -> None:
        try:
            self._open_segment(index)
        except DestinationFullError as error:
            self._go_on_elsewhere(index, error)

    def _go_on_elsewhere(self, index: int, error: DestinationFullError) -> None:
        """Move the open part to the next folder; raise ``error`` where there is none."""
        while True:
            folder = self._spill(index + 1, error) if self._spill is not None else None
            if folder is None:
                raise error
            try:
                self._move_part(index, folder)
            except DestinationFullError as again:
                error = again
            else:
                return

    def _move_part(self, index: int, folder: Path) -> None:
        """Copy what the open part holds to ``folder``, make that durable, and remove it where it was."""
        before, self._output = self._output, None
        earlier = self._parts.current
        self._parts.current = folder
        try:
            self._open_segment(index)
            moved = self._open_output
            if before is not None:
                copy_start(before, moved, self.written - self._segments[index].offset)
                moved.sync()
                sync_folder(folder, calls=self._calls)
        except (DestinationError, DestinationExistsError):
            self._drop(self._output)
            self._output = before
            self._parts.place(index, earlier)
            raise
        self._drop(before)

    def _drop(self, output: OutputFile | None) -> None:
        if output is not None:
            output.close()
            self._made.remove(output.path)
            remove(output.path, calls=self._calls)

    def _close_segment(self, index: int) -> None:
        output = self._open_output
        output.truncate(self._segments[index].length)
        self._sync(output)
        output.close()
        self._output = None
        if self._hasher is not None:
            self._digests.append(self._hasher.hexdigest())
            self._hasher = hashlib.sha256()
        else:
            self._digests.append(None)

    def finish(self, facts: ClosingFacts) -> ImageManifest:
        """See :meth:`forensiq.images.base.ImageWriter.finish`."""
        if self.written != self._media_size:
            raise ValueError(f"{self.written} of {self._media_size} bytes were written")
        if not self._split and self._segment_hash:
            self._digests[0] = facts.digests.get(HashAlgorithm.SHA256)
        for path in reversed(self.paths):
            if part_path(path) in self._made:
                if path == self.paths[0]:
                    self._sync_folders()
                publish(part_path(path), path, calls=self._calls)
        self._made = list(self.paths)
        self._sync_folders()
        return ImageManifest(
            format="raw",
            segments=tuple(
                Segment(index + 1, self._parts.name_in_record(index), media.length, digest, media)
                for index, (media, digest) in enumerate(zip(self._segments, self._digests, strict=True))
            ),
            media_size=self._media_size,
            sector_size=self._sector_size,
            compression="none",
        )

    def _sync_folders(self) -> None:
        for folder in self._parts.used_folders():
            sync_folder(folder, calls=self._calls)

    # --- as the target of a rescue: the single file takes the bytes where they belong

    def rescue_target(self) -> RescueTarget | None:
        """Return this writer as a :class:`~forensiq.images.base.RescueTarget`; ``None`` for an image in parts."""
        return None if self._split else self

    @property
    def _sparse(self) -> OutputFile:
        return self._open_output

    @property
    def _open_output(self) -> OutputFile:
        if self._output is None:
            raise DestinationError(f"{self._stem.name} is not open", path=str(self._stem))
        return self._output

    def suspend(self) -> None:
        """See :meth:`forensiq.images.base.ImageWriter.suspend`."""
        if self._output is not None:
            output, self._output = self._output, None
            try:
                if self._rescued_from is None:
                    output.truncate(output.end)
                self._sync(output)
            finally:
                output.close()

    def abort(self) -> None:
        """See :meth:`forensiq.images.base.ImageWriter.abort`."""
        if self._output is not None:
            self._output.close()
            self._output = None
        for path in self._made:
            remove(path, calls=self._calls)
        self._made = []
