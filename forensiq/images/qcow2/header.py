"""The header of a QCOW2 file, its extensions and its list of snapshots, as QEMU's ``docs/interop/qcow2.txt`` has them.

====== ===== ===============================================
offset bytes field (big-endian)
====== ===== ===============================================
0      4     ``QFI 0xfb``
4      4     version: 2 or 3
8      8     where the name of the backing file is, 0: none
16     4     length of that name
20     4     bits of a cluster's size
24     8     size of the medium in bytes
32     4     encryption: 0 none, 1 AES, 2 LUKS
36     4     entries of the L1 table
40     8     where the L1 table is
48     8     where the refcount table is
56     4     clusters of the refcount table
60     4     number of snapshots
64     8     where the list of snapshots is
72     8     incompatible features (version 3)
80     8     compatible features
88     8     features that other programs clear
96     4     refcount order
100    4     length of the header
104    1     compression: 0 deflate, 1 zstd
====== ===== ===============================================
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct, field

from forensiq.clock import rfc3339
from forensiq.errors import ImageFormatError, UnsupportedContentError
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.mapped import check_size

__all__ = ["Qcow2Header", "Snapshot", "read_header", "read_snapshots"]

_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_FEATURES = struct.Struct(">QQQII")
_SNAPSHOT = struct.Struct(">QIHHIIQII")
_MAX_L1 = 32 << 20
_MAX_SNAPSHOTS = 65_536
_MAX_SNAPSHOT_LIST = 64 << 20
_DIRTY, _CORRUPT, _EXTERNAL, _COMPRESSION, _EXTENDED = 1, 2, 4, 8, 16
_BACKING_FORMAT, _DATA_FILE = 0xE2792ACA, 0x44415441


class Snapshot(Struct, frozen=True):
    """An internal snapshot: another state of the medium in the same file. Sizes in bytes."""

    identifier: str
    name: str
    taken: str | None
    medium_size: int | None
    vm_state_size: int

    def __str__(self) -> str:
        when = f", {self.taken}" if self.taken else ""
        return f"{self.identifier} {self.name!r}{when}, VM state {self.vm_state_size:,} bytes"


class Qcow2Header(Struct, frozen=True):
    """What the first cluster says; names are hostile text. Sizes and places in bytes."""

    version: int
    size: int
    cluster_bits: int
    l1_entries: int
    l1_at: int
    refcount_at: int
    refcount_clusters: int
    refcount_order: int
    snapshots: int
    snapshots_at: int
    backing: str
    features: int
    zstd: bool
    extensions: dict[int, bytes] = field(default_factory=dict)

    @property
    def cluster_size(self) -> int:
        """Size of a cluster in bytes."""
        return 1 << self.cluster_bits

    @property
    def extended(self) -> bool:
        """Whether L2 entries have 16 bytes and 32 subclusters."""
        return bool(self.features & _EXTENDED)

    @property
    def dirty(self) -> bool:
        """Whether the file says that it was not closed in order."""
        return bool(self.features & _DIRTY)

    @property
    def corrupt(self) -> bool:
        """Whether the file says of itself that it is corrupt."""
        return bool(self.features & _CORRUPT)

    @property
    def backing_format(self) -> str:
        """The format of the backing file, as it is stated; empty where it is not."""
        return _text(self.extensions.get(_BACKING_FORMAT, b""))

    @property
    def data_file(self) -> str | None:
        """The name of the file that holds the data, where it is not this one; empty where it is not named."""
        return _text(self.extensions.get(_DATA_FILE, b"")) if self.features & _EXTERNAL else None


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _refuse(path: Path, reason: str) -> ImageFormatError:
    return ImageFormatError(f"{path}: {reason}", path=str(path), format="qcow2")


def read_header(path: Path, files: SegmentFiles) -> Qcow2Header:
    """Return the header of the file; :class:`~forensiq.errors.ImageFormatError` for one that cannot be."""
    head = files.read(0, 0, 4096)
    if len(head) < _HEADER.size:
        raise _refuse(path, "the header of the QCOW2 image is cut off")
    magic, version, name_at, name_size, bits, size, crypt, l1_entries, l1_at, ref_at, ref_clusters, count, count_at = (
        _HEADER.unpack_from(head)
    )
    if magic != b"QFI\xfb" or version not in (2, 3):
        raise _refuse(path, f"a QCOW image of version {version}: forensiq reads versions 2 and 3")
    if not 9 <= bits <= 21:
        raise _refuse(path, f"clusters of 2^{bits} bytes are not possible")
    if crypt:
        kind = {1: "AES", 2: "LUKS"}.get(crypt, f"method {crypt}")
        raise UnsupportedContentError(
            f"{path} is an encrypted QCOW2 image ({kind})", path=str(path), format="qcow2", encryption=kind
        )
    features, order, length, compression = 0, 4, 72, 0
    if version == 3:
        if len(head) < 104:
            raise _refuse(path, "the header of the QCOW2 image is cut off")
        features, _, _, order, length = _FEATURES.unpack_from(head, 72)
        compression = head[104] if length > 104 else 0
    if unknown := features & ~(_DIRTY | _CORRUPT | _EXTERNAL | _COMPRESSION | _EXTENDED):
        raise _refuse(path, f"it uses features of QCOW2 that forensiq does not know (bits {unknown:#x})")
    if compression > 1:
        raise _refuse(path, f"it is compressed in a way that forensiq does not know (type {compression})")
    if not 72 <= length <= 1 << bits or length % 8 or order > 6:
        raise _refuse(path, "the header of the QCOW2 image is not possible")
    check_size(path, size)
    if l1_entries * 8 > _MAX_L1 or l1_at % (1 << bits) or l1_at + l1_entries * 8 > files.size(0):
        raise _refuse(path, "its L1 table does not lie in the file: cut off, or damaged")
    return Qcow2Header(
        version, size, bits, l1_entries, l1_at, ref_at, ref_clusters, order, count, count_at,
        _backing(path, files, name_at, name_size), features, compression == 1,
        _extensions(files.read(0, length, (1 << bits) - length)),
    )  # fmt: skip


def _backing(path: Path, files: SegmentFiles, at: int, size: int) -> str:
    if not at:
        return ""
    name = files.read(0, at, size) if size <= 1023 else b""
    if not name or len(name) != size:
        raise _refuse(path, "the name of its backing file does not lie in the file")
    return _text(name)


def _extensions(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(">II", data, at)
        if kind == 0 or at + 8 + size > len(data):
            break
        found.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + (size + 7) // 8 * 8
    return found


def read_snapshots(header: Qcow2Header, files: SegmentFiles) -> list[Snapshot] | None:
    """Return the internal snapshots; ``None`` where their list is damaged."""
    if header.snapshots > _MAX_SNAPSHOTS:
        return None
    found: list[Snapshot] = []
    at = header.snapshots_at
    for _ in range(header.snapshots):
        head = files.read(0, at, _SNAPSHOT.size)
        if len(head) < _SNAPSHOT.size:
            return None
        _, _, id_size, name_size, seconds, _, _, state, extra = _SNAPSHOT.unpack(head)
        if extra > 1024 or at - header.snapshots_at > _MAX_SNAPSHOT_LIST:
            return None
        rest = files.read(0, at + _SNAPSHOT.size, extra + id_size + name_size)
        if len(rest) < extra + id_size + name_size:
            return None
        state = int.from_bytes(rest[:8], "big") if extra >= 8 else state
        medium = int.from_bytes(rest[8:16], "big") if extra >= 16 else None
        identifier, name = rest[extra : extra + id_size], rest[extra + id_size :]
        found.append(
            Snapshot(_text(identifier), _text(name), rfc3339(datetime.fromtimestamp(seconds, UTC)), medium, state)
        )
        at += (_SNAPSHOT.size + len(rest) + 7) // 8 * 8
    return found
