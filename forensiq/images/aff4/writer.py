"""Writes AFF4 images (version 1.0): a zip file with an image stream, a map, digests and their description.

=============================== ==================================================================================
member                          what
=============================== ==================================================================================
``container.description``       the name of the volume
``version.txt``                 version and program
``STREAM/00000000`` …           bevies: 2048 chunks of 32 KiB, as zlib streams or, where these are not smaller, plain
``STREAM/00000000.index`` …     for each chunk its offset in the bevy (8 bytes) and its length (4)
``STREAM/…blockHash.sha256`` …  for each chunk the SHA-256 of its 32 KiB
``MAP/map``, ``MAP/idx``        entries of 28 bytes: place on the medium, length, place in the target, its number; the
                                names of the targets
``information.turtle``          what all of it is; digests of the medium with the map, digests of the tables
=============================== ==================================================================================

Chunks of zeros are not stored: the map has ``aff4:Zero`` there. What could not be read is mapped to ``aff4:Zero`` too:
``aff4:UnreadableData`` reads as a text, and the digests of the medium would no longer be those of its copy. Source:
Schatz, "AFF4 Standard v1.0".
"""

from __future__ import annotations

import hashlib
import struct
import uuid
from collections.abc import Sequence

from forensiq import __version__
from forensiq.images.aff4.description import Described, MapDigests, describe, zip_name
from forensiq.images.aff4.zip_writer import ZipWriter
from forensiq.images.container_blocks import ZLIB, BlockEncoder, EncodedBlocks, deflate_for
from forensiq.images.container_file import ContainerConfig, ContainerWriter
from forensiq.images.output import FileCalls
from forensiq.model.chunk import Batch
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.image import ClosingFacts

__all__ = ["CHUNK", "Aff4Writer", "worst_aff4"]

CHUNK = 32 << 10
_CHUNKS_IN_BEVY = 2048
_ENTRY = struct.Struct("<QQQI")
_INDEX = struct.Struct("<QI")
_STREAM, _ZERO = 0, 1


class _Encoded(EncodedBlocks, frozen=True):
    """``digests`` has the SHA-256 of each stored chunk."""

    digests: Sequence[bytes]


def worst_aff4(media_size: int) -> int:
    """Return the size of the file in bytes when nothing is zero or gets smaller."""
    chunks = -(-media_size // CHUNK)
    return chunks * (CHUNK + _INDEX.size + 32 + 2 * _ENTRY.size) + (chunks // _CHUNKS_IN_BEVY + 3) * 1024 + 65536


class Aff4Writer(ContainerWriter):
    """Memory: the index and the digests of one bevy, and 28 bytes for each run of the map."""

    format = "aff4"

    def __init__(self, config: ContainerConfig, *, calls: FileCalls | None = None) -> None:
        super().__init__(config, BlockEncoder(CHUNK, deflate_for(config.compression, ZLIB), whole=True), calls=calls)
        names = (uuid.UUID(bytes=hashlib.sha256(config.identifier + each).digest()[:16]) for each in _KINDS)
        self._volume, self._image, self._map, self._stream = (f"aff4://{each}" for each in names)
        self._zip: ZipWriter | None = None
        self._index: list[bytes] = []
        self._digests: list[bytes] = []
        self._bevies = self._chunks = self._in_bevy = 0
        self._block_digest = hashlib.sha512()
        self._entries = bytearray()
        self._run: tuple[int, int, int, int] = (0, 0, 0, _ZERO)

    @property
    def _archive(self) -> ZipWriter:
        if self._zip is None:
            self._zip = ZipWriter(self.file, self._config.created)
        return self._zip

    def encode(self, batch: Batch) -> EncodedBlocks:
        """See :meth:`forensiq.images.base.ImageWriter.encode`."""
        made = self._encoder.encode(batch)
        digests = []
        for number, block in enumerate(made.blocks):
            if block is not None:
                plain = made.data[number * CHUNK : (number + 1) * CHUNK]
                digest = hashlib.sha256(plain)
                digest.update(bytes(CHUNK - len(plain)))
                digests.append(digest.digest())
        return _Encoded(made.offset, made.length, made.data, made.blocks, digests)

    def _start(self) -> None:
        self._archive.add("container.description", self._volume.encode())
        self._archive.add("version.txt", f"major=1\nminor=0\ntool=forensiq {__version__}\n".encode())

    def _store(self, encoded: EncodedBlocks) -> None:
        assert isinstance(encoded, _Encoded)
        digests = iter(encoded.digests)
        parts: list[bytes | memoryview] = []
        for number, block in enumerate(encoded.blocks):
            place = encoded.offset + number * CHUNK
            length = min(CHUNK, encoded.length - number * CHUNK)
            if block is None:
                self._extend(place, length, 0, _ZERO)
                continue
            self._extend(place, length, self._chunks * CHUNK, _STREAM)
            if not self._index:
                self._archive.open(f"{zip_name(self._stream)}/{self._bevies:08d}")
            padding = bytes(CHUNK - len(block)) if isinstance(block, memoryview) else b""
            stored = len(block) + len(padding)
            parts += [block, padding] if padding else [block]
            self._index.append(_INDEX.pack(self._in_bevy, stored))
            self._digests.append(next(digests))
            self._in_bevy += stored
            self._chunks += 1
            if len(self._index) == _CHUNKS_IN_BEVY:
                self._archive.write(parts)
                parts = []
                self._close_bevy()
        if parts:
            self._archive.write(parts)

    def _close_bevy(self) -> None:
        if not self._index:
            return
        name = f"{zip_name(self._stream)}/{self._bevies:08d}"
        digests = b"".join(self._digests)
        self._archive.close()
        self._archive.add(f"{name}.index", b"".join(self._index))
        self._archive.add(f"{name}.blockHash.sha256", digests)
        self._block_digest.update(digests)
        self._index, self._digests = [], []
        self._bevies += 1
        self._in_bevy = 0

    def _extend(self, place: int, length: int, target: int, number: int) -> None:
        """Add a piece to the map: to the last run where it goes on there."""
        start, run, at, kind = self._run
        if kind == number and start + run == place and (kind == _ZERO or at + run == target):
            self._run = (start, run + length, at, kind)
            return
        self._flush_run()
        self._run = (place, length, target, number)

    def _flush_run(self) -> None:
        start, run, at, kind = self._run
        if run:
            self._entries += _ENTRY.pack(start, run, at, kind)

    def _end(self, facts: ClosingFacts) -> None:
        self._close_bevy()
        self._flush_run()
        targets = f"{self._stream}\nhttp://aff4.org/Schema#Zero\n".encode()
        folder = zip_name(self._map)
        self._archive.add(f"{folder}/map", bytes(self._entries))
        self._archive.add(f"{folder}/idx", targets)
        described = Described(
            volume=self._volume,
            image=self._image,
            map=self._map,
            stream=self._stream,
            stream_size=self._chunks * CHUNK,
            chunk_size=CHUNK,
            chunks_in_bevy=_CHUNKS_IN_BEVY,
            digests=facts.digests,
            tables=MapDigests.of(bytes(self._entries), targets, self._block_digest.digest()),
        )
        self._archive.add("information.turtle", describe(described, self._config).encode())
        self._archive.finish(self._volume.encode())
        if facts.unreadable:
            words = "AFF4 holds the zeros that stand for unreadable areas as zeros; which they are is in the record"
            self.notes += (Finding(Severity.INFO, Cause.NOTE, "container.aff4.unreadable", words),)


_KINDS = (b"volume", b"image", b"map", b"stream")
