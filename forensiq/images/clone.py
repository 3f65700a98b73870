"""Writes a medium to a drive or a file, every byte at its own address: a clone.

A drive, or a file that is there already, is written in place: nothing of it is removed before, and what lies behind the
medium (the excess) stays as it is unless it is to be filled. A new file is called ``….part`` until it is complete.
Every byte of the medium is written, zeros too: nothing that was on the target before is left inside it.

It takes what a rescue gets at its own address too (``RescueTarget`` in :mod:`forensiq.images.base`): a clone of a
failing drive needs no room besides the target. What the rescue could not get is cleared before its turn comes.

What the target holds, and whether it may be written to at all, is decided before this is called.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from msgspec import Struct

from forensiq.devices.ioctls import flush_buffers
from forensiq.errors import DestinationError, DestinationExistsError
from forensiq.images.in_order import WrittenInOrder
from forensiq.images.output import FileCalls, OutputFile, part_path, publish, remove, sync_folder
from forensiq.images.raw_stored import StoredRaw
from forensiq.images.sparse import read_sparse
from forensiq.model.chunk import Batch
from forensiq.model.extent import Extent
from forensiq.model.image import ClosingFacts, ImageManifest, Segment
from forensiq.streams.durable import destination_error

__all__ = ["CloneTarget", "CloneWriter"]

_PIECE = 1 << 20


class CloneTarget(Struct, frozen=True):
    """Where a clone is written. ``in_place``: ``path`` is there and is overwritten. ``fill`` bytes of zeros follow the
    medium."""

    path: Path
    in_place: bool
    fill: int = 0


class CloneWriter(WrittenInOrder):
    """An :class:`~forensiq.images.base.ImageWriter`; ``written`` bytes of the medium are on the target, in order."""

    chunk_size = 64 << 10
    in_place = True

    def __init__(
        self, target: CloneTarget, media_size: int, *, sector_size: int = 512, calls: FileCalls | None = None
    ) -> None:
        super().__init__()
        self.target = target
        self._media_size = media_size
        self._sector_size = sector_size
        self._calls = calls or FileCalls()
        self._made: Path | None = None

    def begin(self) -> None:
        """Open the target for writing; a new file is made exclusively, and none is replaced."""
        if self.target.in_place:
            self._open_in_place()
            return
        if os.path.lexists(self.target.path):
            raise DestinationExistsError(
                f"{self.target.path} exists already and is not replaced", path=str(self.target.path)
            )
        self._output = OutputFile.create(part_path(self.target.path), calls=self._calls)
        self._made = part_path(self.target.path)

    @classmethod
    def resumed(
        cls,
        target: CloneTarget,
        media_size: int,
        durable: int,
        *,
        rescued: bool = False,
        sector_size: int = 512,
        calls: FileCalls | None = None,
    ) -> CloneWriter:
        """Return a writer that goes on behind the ``durable`` bytes of the medium that are on the target.

        What is behind them in a new file is cut off, but for what a rescue put there (``rescued``).
        """
        writer = cls(target, media_size, sector_size=sector_size, calls=calls)
        part = part_path(target.path)
        if target.in_place:
            writer.written = writer._durable = durable
            writer._open_in_place()
        elif part.exists():
            output = OutputFile.reopen(part, calls=writer._calls)
            have = min(durable, output.end)
            have = have if have == media_size else have // cls.chunk_size * cls.chunk_size
            if rescued:
                output.end = have
            else:
                output.truncate(have)
            writer._output, writer._made = output, part
            writer.written = writer._durable = have
        else:
            writer.begin()
        return writer

    def _open_in_place(self) -> None:
        try:
            descriptor = self._calls.open(self.target.path, os.O_RDWR)
        except OSError as error:
            raise destination_error(error, self.target.path, f"opening {self.target.path} for writing") from error
        self._output = OutputFile(self.target.path, descriptor, self.written, self._calls, keep_cached=False)

    def stored_media(self) -> StoredRaw:
        """Return what is on the target, as a source."""
        path = self.target.path if self.target.in_place else part_path(self.target.path)
        return StoredRaw([path], self.written, self._sector_size)

    def encode(self, batch: Batch) -> Batch:
        """A clone stores what it is given."""
        return batch

    def write(self, encoded: Batch) -> None:
        """See :meth:`forensiq.images.base.ImageWriter.write`."""
        if encoded.offset != self.written:
            raise ValueError(f"expected the batch at byte {self.written}, not at {encoded.offset}")
        with self._lock:
            if self._rescued_from is None or encoded.offset < self._rescued_from:
                self._opened.append([encoded.data])
            else:
                self._opened.skip(len(encoded.data))
            self.written += len(encoded.data)

    def finish(self, facts: ClosingFacts) -> ImageManifest:
        """Fill the excess where that was asked for, make all of it durable, and empty the kernel's cache of it."""
        del facts
        if self.written != self._media_size:
            raise ValueError(f"{self.written} of {self._media_size} bytes were written")
        with self._lock:
            output = self._opened
            for piece in Extent(0, self.target.fill).pieces(_PIECE):
                output.append([bytes(piece.length)])
            self._sync(output)
            output.close()
            self._output = None
        if self._made is not None:
            publish(self._made, self.target.path, calls=self._calls)
            sync_folder(self.target.path.parent, calls=self._calls)
            self._made = self.target.path
        self._forget_cache()
        path = self.target.path.absolute()
        return ImageManifest(
            format="clone",
            segments=(Segment(1, str(path), self._media_size, None, Extent(0, self._media_size)),),
            media_size=self._media_size,
            sector_size=self._sector_size,
            compression="none",
        )

    def _forget_cache(self) -> None:
        try:
            descriptor = os.open(self.target.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if stat.S_ISBLK(os.fstat(descriptor).st_mode):
                    flush_buffers(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise destination_error(error, self.target.path, f"flushing {self.target.path}") from error

    # --- as the target of a rescue: every byte goes where it belongs

    def store_at(self, offset: int, data: memoryview) -> None:
        """See :meth:`forensiq.images.base.RescueTarget.store_at`; zeros are written too: old data may be there."""
        self._opened.patch(offset, data)

    def clear(self, extent: Extent) -> None:
        """See :meth:`forensiq.images.base.RescueTarget.clear`."""
        for piece in extent.pieces(_PIECE):
            self._opened.patch(piece.offset, bytes(piece.length))

    def read_stored(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`forensiq.images.base.RescueTarget.read_stored`."""
        read_sparse(self._opened, offset, buffer)

    def sync_stored(self) -> None:
        """See :meth:`forensiq.images.base.RescueTarget.sync_stored`."""
        self._opened.sync()

    def stored_size(self) -> int:
        """See :meth:`forensiq.images.base.RescueTarget.stored_size`."""
        return self._opened.size()

    @property
    def _opened(self) -> OutputFile:
        if self._output is None:
            raise DestinationError(f"{self.target.path} is not open", path=str(self.target.path))
        return self._output

    def suspend(self) -> None:
        """See :meth:`forensiq.images.base.ImageWriter.suspend`."""
        if self._output is not None:
            output, self._output = self._output, None
            try:
                self._sync(output)
            finally:
                output.close()

    def abort(self) -> None:
        """Stop; a file that was made is removed, a target that was there stays as it is now."""
        if self._output is not None:
            self._output.close()
            self._output = None
        if self._made is not None:
            remove(self._made, calls=self._calls)
            self._made = None
