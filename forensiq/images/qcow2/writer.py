"""Writes QCOW2 images (version 3), front to back, plain or compressed. Numbers are big-endian.

===================== =========================================================================================
where (64 KiB each)   what
===================== =========================================================================================
cluster 0             header (104 bytes), extensions, the name of the backing file where there is one
then                  L1 table, of known size; its entries are patched when the medium is complete
then, for 512 MiB     the clusters of the medium that are not zero, and behind them the L2 table that lists them
end                   refcount blocks and the refcount table
===================== =========================================================================================

L2 entry of a plain cluster: bit 63 (its refcount is 1) and its offset. Of a compressed one: bit 62, offset in the bits
below 54, and above them how many sectors of 512 bytes follow the one that it begins in. Compressed clusters are raw
deflate streams with a window of 4 KiB and stand one behind the other, so several share a cluster of the file, whose
refcount counts them. Source: the QEMU project's ``docs/interop/qcow2.txt``.
"""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

from forensiq.images.container_blocks import RAW_DEFLATE_4K, BlockEncoder, EncodedBlocks, deflate_for
from forensiq.images.container_file import ContainerConfig, ContainerWriter
from forensiq.images.output import FileCalls, OutputFile
from forensiq.images.tables import big_endian
from forensiq.model.image import ClosingFacts

__all__ = ["CLUSTER", "Qcow2Writer", "largest_qcow2", "worst_qcow2", "write_overlay"]

CLUSTER = 64 << 10
_L2_ENTRIES = CLUSTER // 8
_SPAN = _L2_ENTRIES * CLUSTER
_REFCOUNTS = CLUSTER // 2
_COPIED = 1 << 63
_COMPRESSED = 1 << 62
_SECTORS_SHIFT = 54
_LARGEST_L1 = 32 << 20
_BACKING_FORMAT = 0xE2792ACA
_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")


def largest_qcow2() -> int:
    """Return the largest medium in bytes: QEMU takes L1 tables of 32 MiB."""
    return _LARGEST_L1 // 8 * _SPAN


def worst_qcow2(media_size: int) -> int:
    """Return the size of the file in bytes when nothing is zero or gets smaller."""
    data = -(-media_size // CLUSTER)
    tables = -(-media_size // _SPAN) + _l1_clusters(media_size)
    clusters = 2 + data + tables
    return (clusters + 2 * (-(-clusters // _REFCOUNTS) + 2)) * CLUSTER


def _l1_clusters(media_size: int) -> int:
    return max(1, -(-(-(-media_size // _SPAN) * 8) // CLUSTER))


def _header(media_size: int, refcount_table: int, refcount_clusters: int, backing: bytes = b"") -> bytes:
    extensions = struct.pack(">II8s", _BACKING_FORMAT, 3, b"raw") if backing else b""
    extensions += bytes(8)
    name_at = _HEADER.size + len(extensions) if backing else 0
    fixed = _HEADER.pack(
        b"QFI\xfb",
        3,
        name_at,
        len(backing),
        16,
        media_size,
        0,  # not encrypted
        -(-media_size // _SPAN),
        CLUSTER,
        refcount_table,
        refcount_clusters,
        0,
        0,  # no snapshots
        0,
        0,
        0,  # no features
        4,  # refcounts of 16 bits
        _HEADER.size,
    )
    return fixed + extensions + backing


class Qcow2Writer(ContainerWriter):
    """Memory: the L2 table of 512 MiB, 8 bytes for each 512 MiB, 2 bytes for each cluster of the file."""

    format = "qcow2"

    def __init__(self, config: ContainerConfig, *, calls: FileCalls | None = None) -> None:
        packed = config.compression != "none"
        deflate = deflate_for(config.compression, RAW_DEFLATE_4K) if packed else None
        super().__init__(config, BlockEncoder(CLUSTER, deflate, whole=True), calls=calls)
        self._l1 = array("Q")
        self._l2 = array("Q", bytes(CLUSTER))
        self._counts = array("H")

    def _start(self) -> None:
        self.file.skip((1 + _l1_clusters(self._config.media_size)) * CLUSTER)
        self._count_clusters()

    def _store(self, encoded: EncodedBlocks) -> None:
        parts: list[bytes | memoryview] = []
        end = self.file.end
        for number, block in enumerate(encoded.blocks, encoded.offset // CLUSTER):
            if block is not None:
                padding = -end % CLUSTER if isinstance(block, memoryview) else 0
                if padding:
                    parts.append(bytes(padding))
                    end += padding
                self._l2[number % _L2_ENTRIES] = self._place(block, end)
                parts.append(block)
                end += len(block)
            if number % _L2_ENTRIES == _L2_ENTRIES - 1:
                self.file.append(parts)
                self._close_span()
                parts, end = [], self.file.end
        self.file.append(parts)

    def _place(self, block: bytes | memoryview, at: int) -> int:
        """Return the L2 entry of a block that is going to stand at byte ``at`` of the file, and count it."""
        if isinstance(block, memoryview):
            self._count(at // CLUSTER, at // CLUSTER)
            return _COPIED | at
        more = (at + len(block) - 1) // 512 - at // 512
        self._count(at // CLUSTER, (at // 512 + more) * 512 // CLUSTER)
        return _COMPRESSED | more << _SECTORS_SHIFT | at

    def _count(self, first: int, last: int) -> None:
        if last >= len(self._counts):
            self._counts.frombytes(bytes(2 * (last + 1 - len(self._counts))))
        for cluster in range(first, last + 1):
            self._counts[cluster] += 1

    def _count_clusters(self) -> None:
        """Count every cluster up to the end of the file that is not counted yet, once."""
        missing = self.file.end // CLUSTER - len(self._counts)
        self._counts.extend([1] * missing)

    def _align(self) -> None:
        self.file.skip(-self.file.end % CLUSTER)

    def _close_span(self) -> None:
        self._align()
        if any(self._l2):
            self._l1.append(_COPIED | self.file.end)
            self._count(self.file.end // CLUSTER, self.file.end // CLUSTER)
            self.file.append([big_endian(self._l2)])
            self._l2 = array("Q", bytes(CLUSTER))
        else:
            self._l1.append(0)

    def _end(self, facts: ClosingFacts) -> None:
        del facts
        media_size = self._config.media_size
        if media_size % _SPAN:
            self._close_span()
        table_at, table_clusters = _write_refcounts(self.file, self._counts)
        self.file.patch(CLUSTER, big_endian(self._l1))
        self.file.patch(0, _header(media_size, table_at, table_clusters))


def _write_refcounts(file: OutputFile, counts: array[int]) -> tuple[int, int]:
    """Append refcount blocks and table, which count themselves too; return the table's offset and its clusters."""
    used = file.end // CLUSTER
    blocks = table = 0
    while True:
        needed = -(-(used + blocks + table) // _REFCOUNTS)
        if needed == blocks:
            break
        blocks, table = needed, -(-needed * 8 // CLUSTER)
    counts.extend([1] * (used + blocks + table - len(counts)))
    counts.frombytes(bytes(2 * (blocks * _REFCOUNTS - len(counts))))
    first = file.append([big_endian(counts)])
    entries = array("Q", [first + index * CLUSTER for index in range(blocks)])
    table_at = file.append([big_endian(entries)])
    file.skip(-file.end % CLUSTER)
    return table_at, table


def write_overlay(path: Path, media_size: int, backing: str) -> None:
    """Write an empty image of ``media_size`` bytes over the raw medium that QEMU finds under ``backing`` (a URI).

    ``path`` is made; one that exists is a :class:`~forensiq.errors.DestinationExistsError`.
    """
    name = backing.encode()
    if len(name) > 1023:
        raise ValueError("the name of a backing file has at most 1023 bytes")
    file = OutputFile.create(path)
    try:
        file.skip((1 + _l1_clusters(media_size)) * CLUSTER)
        table_at, clusters = _write_refcounts(file, array("H", [1] * (file.end // CLUSTER)))
        file.patch(0, _header(media_size, table_at, clusters, name))
        file.truncate(file.end)
        file.sync()
    finally:
        file.close()
