"""Writes what changed since an earlier image: a QCOW2 file whose backing file is that image.

Layout (QEMU, ``docs/interop/qcow2.txt``, version 3): header with the name of the backing file, the clusters of data in
media order, then L2 tables, L1 table, refcount blocks and refcount table. The file is called ``….part`` until all of it
is on disk, and its header is written last: what was not finished opens as nothing.

A block whose digest is that of the earlier acquisition is not stored. Of a block that differs, the clusters are stored
that differ from the earlier image; a cluster of zeros takes no room (bit 0 of its L2 entry).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from forensiq.errors import DestinationExistsError, ImageDamageError
from forensiq.images.base import EvidenceImage
from forensiq.images.output import FileCalls, OutputFile, part_path, publish, remove, sync_folder
from forensiq.model.chunk import Batch
from forensiq.model.finding import Cause, Finding, Severity
from forensiq.model.image import ClosingFacts, ImageManifest, Segment

__all__ = ["CLUSTER", "DeltaBase", "DeltaWriter"]

_BITS = 16
CLUSTER = 1 << _BITS
"""Bytes of a cluster: QEMU's default."""
_L2_ENTRIES = CLUSTER // 8
_REFCOUNTS = CLUSTER // 2
_COPIED = 1 << 63
_ZERO = 1
_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_BACKING_FORMAT = 0xE2792ACA
_ZEROS = bytes(CLUSTER)


class DeltaBase(Struct, frozen=True):
    """The earlier image: ``name`` is that of its file, which lies beside the new one; ``format`` ``raw`` or ``qcow2``.

    ``packed`` are the SHA-256 of its blocks of ``block_size`` bytes (a multiple of a cluster), back to back. ``open``
    opens it; the writer closes it.
    """

    name: str
    format: str
    block_size: int
    packed: bytes
    open: Callable[[], EvidenceImage]


class DeltaWriter:
    """An :class:`~forensiq.images.base.ImageWriter`. Memory: a block, and 8 bytes for each cluster of the medium.

    It cannot go on after an interruption: what it has is removed, and the acquisition starts anew.
    """

    chunk_size = CLUSTER

    def __init__(
        self, stem: Path, media_size: int, base: DeltaBase, *, sector_size: int = 512, calls: FileCalls | None = None
    ) -> None:
        self.path = stem.with_name(stem.name + ".qcow2")
        self._media_size = media_size
        self._base = base
        self._sector_size = sector_size
        self._calls = calls or FileCalls()
        self._output: OutputFile | None = None
        self._before_image: EvidenceImage | None = None
        self._block = bytearray()
        self._at = 0  # byte of the medium at which the present block begins
        self._entries: dict[int, int] = {}  # cluster of the medium → L2 entry
        self._changed = 0
        self._zeros = 0

    def begin(self) -> None:
        """See :meth:`forensiq.images.base.ImageWriter.begin`."""
        for each in (self.path, part_path(self.path)):
            if each.exists() or each.is_symlink():
                raise DestinationExistsError(f"{each} exists already and is not replaced", path=str(each))
        self._before_image = self._base.open()
        self._output = OutputFile.create(part_path(self.path), calls=self._calls)
        self._output.append([_ZEROS])  # the header comes last

    def encode(self, batch: Batch) -> Batch:
        """Blocks are compared in order: nothing is done here."""
        return batch

    def write(self, encoded: Batch) -> None:
        """See :meth:`forensiq.images.base.ImageWriter.write`."""
        data = encoded.data
        while len(data):
            room = min(self._base.block_size, self._media_size - self._at) - len(self._block)
            self._block += data[:room]
            data = data[room:]
            if len(self._block) == min(self._base.block_size, self._media_size - self._at):
                self._store_block()

    def _store_block(self) -> None:
        index = self._at // self._base.block_size
        block = memoryview(self._block)
        if hashlib.sha256(block).digest() != self._base.packed[32 * index : 32 * index + 32]:
            self._changed += 1
            before = self._before(len(block))
            for start in range(0, len(block), CLUSTER):
                piece = block[start : start + CLUSTER]
                if before is None or bytes(piece) != bytes(before[start : start + CLUSTER]):
                    self._store_cluster((self._at + start) // CLUSTER, piece)
        self._at += len(block)
        del block
        self._block = bytearray()

    def _before(self, length: int) -> memoryview | None:
        """Return what the earlier image holds there; ``None`` where it cannot be read: then all is stored."""
        assert self._before_image is not None
        buffer = memoryview(bytearray(length))
        try:
            return buffer if self._before_image.read_into(self._at, buffer) == length else None
        except ImageDamageError:
            return None

    def _store_cluster(self, number: int, data: memoryview) -> None:
        if _ZEROS.startswith(data):
            self._zeros += 1
            self._entries[number] = _ZERO
            return
        place = self._open.append([data, _ZEROS[len(data) :]])
        self._entries[number] = place | _COPIED

    @property
    def _open(self) -> OutputFile:
        assert self._output is not None
        return self._output

    def finish(self, facts: ClosingFacts) -> ImageManifest:
        """See :meth:`forensiq.images.base.ImageWriter.finish`; QCOW2 has no place for digests."""
        del facts
        output = self._open
        stored = output.end // CLUSTER - 1
        l1_at, l1_entries = self._write_tables()
        refcount_at, refcount_clusters = self._write_refcounts()
        output.patch(0, self._header(l1_at, l1_entries, refcount_at, refcount_clusters))
        output.sync()
        size = output.end
        output.close()
        self._close_base()
        publish(part_path(self.path), self.path, calls=self._calls)
        sync_folder(self.path.parent, calls=self._calls)
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        blocks = -(-self._media_size // self._base.block_size)
        message = (
            f"{self._changed:,} of {blocks:,} blocks of {self._base.block_size:,} bytes differ from {self._base.name}: "
            f"{(stored + self._zeros) * CLUSTER:,} bytes of them changed, {stored * CLUSTER:,} are stored, the rest of "
            "those is zeros"
        )
        return ImageManifest(
            format="qcow2",
            segments=(Segment(1, self.path.name, size, digest),),
            media_size=self._media_size,
            sector_size=self._sector_size,
            chunk_size=CLUSTER,
            compression="none",
            findings=(Finding(Severity.INFO, Cause.NOTE, "since.stored", message),),
        )

    def _write_tables(self) -> tuple[int, int]:
        """Write the L2 tables and the L1 table; return where that is, and how many entries it has."""
        tables = -(-self._media_size // (CLUSTER * _L2_ENTRIES))
        level1 = [0] * tables
        by_table: dict[int, list[tuple[int, int]]] = {}
        for number, entry in self._entries.items():
            by_table.setdefault(number // _L2_ENTRIES, []).append((number % _L2_ENTRIES, entry))
        for table, entries in sorted(by_table.items()):
            level2 = [0] * _L2_ENTRIES
            for index, entry in entries:
                level2[index] = entry
            level1[table] = self._open.append([struct.pack(f">{_L2_ENTRIES}Q", *level2)]) | _COPIED
        return self._append_padded(struct.pack(f">{tables}Q", *level1)), tables

    def _write_refcounts(self) -> tuple[int, int]:
        """Count each cluster of the file once, those of the counts themselves too."""
        used = self._open.end // CLUSTER
        blocks = table = 1
        while True:
            needed = -(-(used + blocks + table) // _REFCOUNTS)
            wanted = -(-needed * 8 // CLUSTER)
            if needed <= blocks and wanted <= table:
                break
            blocks, table = max(blocks, needed), max(table, wanted)
        left = used + blocks + table
        places = []
        for _ in range(blocks):
            counted = min(_REFCOUNTS, left)
            left -= counted
            places.append(self._open.append([(b"\0\x01" * counted).ljust(CLUSTER, b"\0")]))
        return self._open.append([struct.pack(f">{blocks}Q", *places).ljust(table * CLUSTER, b"\0")]), table

    def _append_padded(self, data: bytes) -> int:
        return self._open.append([data, bytes(-len(data) % CLUSTER)])

    def _header(self, l1_at: int, l1_entries: int, refcount_at: int, refcount_clusters: int) -> bytes:
        name, kind = self._base.name.encode("utf-8", "surrogateescape"), self._base.format.encode("ascii")
        extension = struct.pack(">II", _BACKING_FORMAT, len(kind)) + kind + bytes(-len(kind) % 8) + bytes(8)
        at = _HEADER.size + len(extension)
        fixed = _HEADER.pack(
            b"QFI\xfb", 3, at, len(name), _BITS, self._media_size, 0, l1_entries, l1_at, refcount_at,
            refcount_clusters, 0, 0, 0, 0, 0, 4, _HEADER.size,
        )  # fmt: skip
        return fixed + extension + name

    def _close_base(self) -> None:
        if self._before_image is not None:
            self._before_image.close()
            self._before_image = None

    def suspend(self) -> None:
        """See :meth:`abort`: the acquisition starts anew."""
        self.abort()

    def abort(self) -> None:
        """See :meth:`forensiq.images.base.ImageWriter.abort`."""
        self._close_base()
        if self._output is not None:
            self._output.close()
            remove(part_path(self.path), calls=self._calls)
            self._output = None
