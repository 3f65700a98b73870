r"""VMware's hosted sparse extent (VMDK): header, descriptor, sizes. Numbers are little-endian; a sector has 512 bytes.

====== ==== ==================================================================================
offset size field
====== ==== ==================================================================================
0      4    ``KDMV``
4      4    version: 1, or 3 for a stream-optimised extent
8      4    flags: 1 line ends are valid, 2 there is a second grain directory, 0x10000 grains are compressed, 0x20000
            markers
12     8    capacity in sectors
20     8    sectors of a grain
28     8    sector of the descriptor
36     8    sectors of the descriptor
44     4    entries of a grain table
48     8    sector of the second (redundant) grain directory
56     8    sector of the grain directory, all ones where it is in the footer
64     8    sectors before the first grain
72     1    0: closed in order
73     4    ``\n \r\n``: shows damage by a transfer in text mode
77     2    compression of grains: 0 none, 1 deflate
====== ==== ==================================================================================

Source: VMware, "Virtual Disk Format 5.0".
"""

from __future__ import annotations

import struct

from forensiq.images.container_file import ContainerConfig
from forensiq.images.geometry import geometry_of

__all__ = [
    "AT_END",
    "COMPRESSED",
    "DESCRIPTOR_SECTORS",
    "GRAIN",
    "GRAIN_SECTORS",
    "LINE_ENDS",
    "MARKERS",
    "REDUNDANT",
    "TABLE_ENTRIES",
    "TABLE_SECTORS",
    "descriptor",
    "directory_sectors",
    "header",
    "table_count",
]

GRAIN = 64 << 10
GRAIN_SECTORS = GRAIN // 512
TABLE_ENTRIES = 512
TABLE_SECTORS = TABLE_ENTRIES * 4 // 512
DESCRIPTOR_SECTORS = 20
AT_END = (1 << 64) - 1
LINE_ENDS, REDUNDANT, COMPRESSED, MARKERS = 1, 2, 0x10000, 0x20000
_HEADER = struct.Struct("<4sIIQQQQIQQQB4sH433x")


def table_count(media_size: int) -> int:
    """Return how many grain tables a medium has."""
    return -(-media_size // (GRAIN * TABLE_ENTRIES))


def directory_sectors(media_size: int) -> int:
    """Return how many sectors its grain directory has."""
    return -(-table_count(media_size) * 4 // 512)


def header(
    version: int, flags: int, media_size: int, *, redundant: int, directory: int, overhead: int, compression: int
) -> bytes:
    """Return the header of an extent; places in sectors."""
    return _HEADER.pack(
        b"KDMV",
        version,
        flags,
        media_size // 512,
        GRAIN_SECTORS,
        1,
        DESCRIPTOR_SECTORS,
        TABLE_ENTRIES,
        redundant,
        directory,
        overhead,
        0,
        b"\n \r\n",
        compression,
    )


def descriptor(config: ContainerConfig, kind: str) -> bytes:
    """Return the text that describes the disk, filled with zeros to its place."""
    name = config.path.name if config.path.name.isprintable() and '"' not in config.path.name else "disk.vmdk"
    geometry = geometry_of(config.media_size)
    # The number is random by right; all ones stand for a parent that is not there.
    content = min(int.from_bytes(config.identifier[:4], "big"), 0xFFFFFFFD)
    lines = (
        "# Disk DescriptorFile",
        "version=1",
        'encoding="UTF-8"',
        f"CID={content:08x}",
        "parentCID=ffffffff",
        f'createType="{kind}"',
        "",
        "# Extent description",
        f'RW {config.media_size // 512} SPARSE "{name}"',
        "",
        "# The Disk Data Base",
        "#DDB",
        "",
        'ddb.virtualHWVersion = "4"',
        f'ddb.geometry.cylinders = "{geometry.cylinders}"',
        f'ddb.geometry.heads = "{geometry.heads}"',
        f'ddb.geometry.sectors = "{geometry.sectors}"',
        'ddb.adapterType = "ide"',
        "",
    )
    return "\n".join(lines).encode().ljust(DESCRIPTOR_SECTORS * 512, b"\0")
