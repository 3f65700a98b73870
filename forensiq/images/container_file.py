"""What the writers of disk images in one file have in common: the file, its names, its digest, its manifest.

While it is written the file is called ``….part``. It is on disk before it gets its final name, and nothing is replaced.
The bytes by which it is known as an image are written last: what an interruption leaves opens nowhere, under any name.
An image of this kind cannot be taken up where it was left: its tables are written when the medium is complete. A later
sitting begins it anew.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from pathlib import Path

from msgspec import Struct, field

from forensiq.errors import DestinationError, DestinationExistsError
from forensiq.images.container_blocks import BlockEncoder, EncodedBlocks
from forensiq.images.output import FileCalls, OutputFile, part_path, publish, remove, sync_folder
from forensiq.images.raw_stored import StoredRaw
from forensiq.model.chunk import Batch
from forensiq.model.extent import Extent
from forensiq.model.finding import Finding
from forensiq.model.image import ClosingFacts, ImageManifest, ImageMetadata, Segment

__all__ = ["ContainerConfig", "ContainerWriter"]

_PIECE = 4 << 20


class ContainerConfig(Struct, frozen=True, kw_only=True):
    """What one image is to be. Sizes in bytes; ``identifier`` (16 bytes) makes the image unique where the format wants
    that, ``created`` is seconds since 1970, ``metadata`` is for formats with case fields."""

    path: Path
    media_size: int
    sector_size: int = 512
    compression: str = "none"
    segment_hash: bool = True
    identifier: bytes = bytes(16)
    created: int = 0
    metadata: ImageMetadata = field(default_factory=ImageMetadata)


class ContainerWriter(ABC):
    """An :class:`~forensiq.images.base.ImageWriter` of one file; a format fills in what is abstract here.

    ``written`` counts bytes of the medium.
    """

    format: str
    notes: tuple[Finding, ...] = ()

    def __init__(self, config: ContainerConfig, encoder: BlockEncoder, *, calls: FileCalls | None = None) -> None:
        self._config = config
        self._encoder = encoder
        self._calls = calls or FileCalls()
        self._output: OutputFile | None = None
        self._made: Path | None = None
        self.written = 0

    # --- what a format says

    @abstractmethod
    def _start(self) -> None:
        """Write what stands before the media data."""

    @abstractmethod
    def _store(self, encoded: EncodedBlocks) -> None:
        """Write a batch; it follows the one before."""

    @abstractmethod
    def _end(self, facts: ClosingFacts) -> None:
        """Write what stands behind the media data, and patch what stands before it."""

    def _seal(self) -> None:  # noqa: B027 most formats have nothing to add
        """Write what makes it an image, where :meth:`_end` did not; everything else is on disk."""

    # --- the contract

    @property
    def chunk_size(self) -> int:
        """See :class:`forensiq.images.base.ImageWriter`."""
        return self._encoder.block_size

    @property
    def file(self) -> OutputFile:
        """The file, which is open."""
        if self._output is None:
            raise DestinationError(f"{self._config.path} is not open", path=str(self._config.path))
        return self._output

    def begin(self) -> None:
        """See :meth:`forensiq.images.base.ImageWriter.begin`."""
        path = self._config.path
        for each in (path, part_path(path)):
            if os.path.lexists(each):
                raise DestinationExistsError(f"{each} exists already and is not replaced", path=str(each))
        self._output = OutputFile.create(part_path(path), calls=self._calls)
        self._made = part_path(path)
        self._start()

    def begin_again(self) -> None:
        """Begin from the start, instead of what an earlier sitting left; a finished image is refused."""
        path = self._config.path
        if os.path.lexists(path):
            raise DestinationExistsError(
                f"{path} exists already; nothing is replaced",
                hint="a finished image is verified, not resumed",
                path=str(path),
            )
        remove(part_path(path), calls=self._calls)
        self.begin()

    def stored_media(self) -> StoredRaw:
        """Return what an earlier sitting stored as a source: nothing."""
        return StoredRaw([], 0, self._config.sector_size)

    def encode(self, batch: Batch) -> EncodedBlocks:
        """See :meth:`forensiq.images.base.ImageWriter.encode`."""
        return self._encoder.encode(batch)

    def write(self, encoded: EncodedBlocks) -> None:
        """See :meth:`forensiq.images.base.ImageWriter.write`."""
        if encoded.offset != self.written:
            raise ValueError(f"expected the batch at byte {self.written}, not at {encoded.offset}")
        self._store(encoded)
        self.written += encoded.length

    def finish(self, facts: ClosingFacts) -> ImageManifest:
        """See :meth:`forensiq.images.base.ImageWriter.finish`."""
        config = self._config
        if self.written != config.media_size:
            raise ValueError(f"{self.written} of {config.media_size} bytes were written")
        self._end(facts)
        output = self.file
        output.truncate(output.end)
        output.sync()
        self._seal()
        output.sync()
        digest = self._digest(output) if config.segment_hash else None
        size = output.end
        output.close()
        self._output = None
        publish(part_path(config.path), config.path, calls=self._calls)
        self._made = config.path
        sync_folder(config.path.parent, calls=self._calls)
        return ImageManifest(
            format=self.format,
            segments=(Segment(1, config.path.name, size, digest, Extent(0, config.media_size)),),
            media_size=config.media_size,
            sector_size=config.sector_size,
            chunk_size=self.chunk_size,
            compression=config.compression,
            findings=self.notes,
        )

    def _digest(self, output: OutputFile) -> str:
        # Tables are patched when the medium is complete: a digest of the file cannot be taken while it is written.
        digest = hashlib.sha256()
        buffer = memoryview(bytearray(_PIECE))
        position = 0
        while count := output.read_into(position, buffer):
            digest.update(buffer[:count])
            position += count
        return digest.hexdigest()

    def suspend(self) -> None:
        """Stop; what is there keeps its unfinished name."""
        if self._output is not None:
            self._output.close()
            self._output = None

    def abort(self) -> None:
        """See :meth:`forensiq.images.base.ImageWriter.abort`."""
        self.suspend()
        if self._made is not None:
            remove(self._made, calls=self._calls)
            self._made = None
