"""Makes small QCOW2 files, byte by byte from the specification, whole or with one defect."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

__all__ = ["build_qcow2"]

CLUSTER = 4096
HEADER, L1, L2, DATA = 0, CLUSTER, 2 * CLUSTER, 6 * CLUSTER


def build_qcow2(
    media: bytes,
    path: Path,
    *,
    compressed: bool = False,
    backing: str = "",
    only: range | None = None,
    fields: Mapping[str, int] | None = None,
) -> Path:
    """Write ``media`` (at most 8 MiB) to ``path``, and return it; ``fields`` replace values of the header.

    ``only`` are the clusters that are stored; the others come from ``backing`` where it is named. A cluster of zeros is
    marked as zero.
    """
    count = -(-len(media) // CLUSTER)
    entries = CLUSTER // 8
    l2 = [0] * (4 * entries)
    data = bytearray()
    for number in range(count):
        if only is not None and number not in only:
            continue
        cluster = media[number * CLUSTER : (number + 1) * CLUSTER].ljust(CLUSTER, b"\0")
        at = DATA + len(data)
        if not any(cluster):
            l2[number] = 1
        elif compressed:
            stream = zlib.compressobj(wbits=-12)
            packed = stream.compress(cluster) + stream.flush()
            sectors = (at % 512 + len(packed) - 1) // 512
            l2[number] = 1 << 62 | sectors << 58 | at
            data += packed
        else:
            data += bytes(-len(data) % CLUSTER)
            at = DATA + len(data)
            l2[number] = 1 << 63 | at
            data += cluster
    values = {
        "version": 3, "backing_at": 512 if backing else 0, "backing_size": len(backing.encode()), "bits": 12,
        "size": len(media), "crypt": 0, "l1_entries": 4, "l1_at": L1, "refcount_at": 0, "refcount_clusters": 0,
        "snapshots": 0, "snapshots_at": 0, "incompatible": 0, "length": 104,
    } | dict(fields or {})  # fmt: skip
    head = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        b"QFI\xfb", values["version"], values["backing_at"], values["backing_size"], values["bits"], values["size"],
        values["crypt"], values["l1_entries"], values["l1_at"], values["refcount_at"], values["refcount_clusters"],
        values["snapshots"], values["snapshots_at"], values["incompatible"], 0, 0, 4, values["length"],
    )  # fmt: skip
    file = bytearray(DATA)
    file[: len(head)] = head
    file[512 : 512 + len(backing.encode())] = backing.encode()
    struct.pack_into(">4Q", file, L1, *(1 << 63 | L2 + index * CLUSTER for index in range(4)))
    struct.pack_into(f">{len(l2)}Q", file, L2, *l2)
    path.write_bytes(file + data)
    return path
