"""Makes small VMDK, VHD, VHDX and VDI files byte by byte from their specifications; ``only`` are the blocks stored."""

from __future__ import annotations

import struct
import uuid
import zlib
from pathlib import Path

from forensiq.images.crc import crc32c

__all__ = ["build_vdi", "build_vhd", "build_vhdx", "build_vmdk"]

MiB = 1 << 20
SECTOR = 512


def _blocks(media: bytes, size: int) -> list[bytes]:
    return [media[at : at + size].ljust(size, b"\0") for at in range(0, len(media), size)]


def build_vmdk(
    media: bytes,
    path: Path,
    *,
    compressed: bool = False,
    only: range | None = None,
    cid: str = "0badcafe",
    parent_cid: str = "ffffffff",
    parent: str = "",
    extra: str = "",
) -> Path:
    """Write a monolithic sparse or a stream-optimised disk (grains of 4096 bytes, at most 2 MiB)."""
    kind = "streamOptimized" if compressed else "monolithicSparse"
    text = (
        f'# Disk DescriptorFile\nversion=1\nCID={cid}\nparentCID={parent_cid}\ncreateType="{kind}"\n'
        + (f'parentFileNameHint="{parent}"\n' if parent else "")
        + f'RW {len(media) // SECTOR} SPARSE "{path.name}"\nddb.adapterType = "ide"\n{extra}'
    )
    flags, algorithm = (0x3_0001, 1) if compressed else (3, 0)
    head = struct.pack(
        "<4sIIQQQQIQQQB4sH", b"KDMV", 3 if compressed else 1, flags, len(media) // SECTOR, 8, 1, 20, 512, 27, 21, 128,
        0, b"\n \r\n", algorithm,
    )  # fmt: skip
    file = bytearray(128 * SECTOR)
    file[: len(head)] = head
    file[SECTOR : SECTOR + len(text)] = text.encode()
    table = [0] * 512
    for number, grain in enumerate(_blocks(media, 4096)):
        if (only is not None and number not in only) or (only is None and not any(grain)):
            continue
        table[number] = len(file) // SECTOR
        if compressed:
            packed = zlib.compress(grain)
            file += struct.pack("<QI", number * 8, len(packed)) + packed
            file += bytes(-len(file) % SECTOR)
        else:
            file += grain
    for directory, place in ((21, 22), (27, 28)):
        struct.pack_into("<I", file, directory * SECTOR, place)
        struct.pack_into("<512I", file, place * SECTOR, *table)
    path.write_bytes(file)
    return path


def _vhd_footer(size: int, kind: int, identifier: bytes) -> bytes:
    footer = bytearray(
        struct.pack(
            ">8sIIQI4sI4sQQHBBII16sB", b"conectix", 2, 0x10000, (1 << 64) - 1 if kind == 2 else 512, 1, b"test", 0,
            b"Wi2k", size, size, 10, 4, 17, kind, 0, identifier, 0,
        ).ljust(512, b"\0")
    )  # fmt: skip
    struct.pack_into(">I", footer, 64, ~sum(footer) & 0xFFFF_FFFF)
    return bytes(footer)


def build_vhd(
    media: bytes,
    path: Path,
    *,
    kind: int = 3,
    only: range | None = None,
    identifier: bytes = b"I" * 16,
    parent: bytes = bytes(16),
    parent_name: str = "",
    half: int | None = None,
) -> Path:
    """Write a fixed (2), dynamic (3) or differencing (4) disk with blocks of 16 KiB.

    In block ``half`` only every other sector is the disk's own; the rest of it is rubbish.
    """
    footer = _vhd_footer(len(media), kind, identifier)
    if kind == 2:
        path.write_bytes(media + footer)
        return path
    block = 16_384
    blocks = _blocks(media, block)
    header = bytearray(
        struct.pack(
            ">8sQQIIII16sII512s", b"cxsparse", (1 << 64) - 1, 1536, 0x10000, len(blocks), block, 0, parent, 0, 0,
            parent_name.encode("utf-16-be"),
        ).ljust(1024, b"\0")
    )  # fmt: skip
    struct.pack_into(">I", header, 36, ~sum(header) & 0xFFFF_FFFF)
    file = bytearray(footer + header + bytes(-(-len(blocks) * 4 // 512) * 512))
    table = [0xFFFF_FFFF] * len(blocks)
    for number, data in enumerate(blocks):
        if (only is not None and number not in only) or (only is None and not any(data)):
            continue
        table[number] = len(file) // 512
        if number == half:
            file += (b"\xaa" * 4).ljust(512, b"\0")
            file += b"".join(data[at : at + 512] if at // 512 % 2 == 0 else b"!" * 512 for at in range(0, block, 512))
        else:
            file += (b"\xff" * 4).ljust(512, b"\0") + data
    struct.pack_into(f">{len(table)}I", file, 1536, *table)
    path.write_bytes(bytes(file) + footer)
    return path


def build_vdi(
    media: bytes,
    path: Path,
    *,
    kind: int = 1,
    only: range | None = None,
    identifier: bytes = b"I" * 16,
    state: bytes = b"S" * 16,
    parent: bytes = bytes(16),
    parent_state: bytes = bytes(16),
) -> Path:
    """Write a dynamic (1), fixed (2) or differencing (4) disk with blocks of 4096 bytes."""
    blocks = _blocks(media, 4096)
    stored = [
        number for number, data in enumerate(blocks)
        if (number in only if only is not None else kind == 2 or any(data))
    ]  # fmt: skip
    table = [stored.index(number) if number in stored else 0xFFFF_FFFF for number in range(len(blocks))]
    data_at = 1024 + -(-len(table) * 4 // 512) * 512
    head = b"<<< test disk image >>>\n".ljust(64, b"\0") + struct.pack(
        "<IIII I 256s II 4I I Q II II 16s 16s 16s 16s", 0xBEDA107F, 0x10001, 0x190, kind, 0, b"", 1024, data_at,
        0, 0, 0, 512, 0, len(media), 4096, 0, len(blocks), len(stored), identifier, state, parent, parent_state,
    )  # fmt: skip
    file = head.ljust(1024, b"\0") + struct.pack(f"<{len(table)}I", *table)
    path.write_bytes(file.ljust(data_at, b"\0") + b"".join(blocks[number] for number in stored))
    return path


def _sealed(data: bytes) -> bytes:
    return data[:4] + crc32c(data).to_bytes(4, "little") + data[8:]


def build_vhdx(
    media: bytes,
    path: Path,
    *,
    own: range | None = None,
    data_write: bytes = b"W" * 16,
    locator: dict[str, str] | None = None,
) -> Path:
    """Write a dynamic disk of one block of 1 MiB; with ``locator`` a differencing one whose sectors ``own`` are its."""
    header = struct.pack("<4sIQ16s16s16sHHIQ", b"head", 0, 5, b"F" * 16, data_write, bytes(16), 0, 1, MiB, MiB)
    regions = struct.pack("<4sIII", b"regi", 0, 2, 0)
    for name, place in (("2dc27766-f623-4200-9d64-115e9bfd4a08", 3), ("8b7ca206-4790-4b9a-b8fe-575f050f886e", 2)):
        regions += struct.pack("<16sQII", uuid.UUID(name).bytes_le, place * MiB, MiB, 1)
    items = {
        "caa16737-fa36-4d43-b3b6-33f0aa44e76b": struct.pack("<II", MiB, 2 if locator is not None else 0),
        "2fa54224-cd1b-4876-b211-5dbed83bf4b8": struct.pack("<Q", len(media)),
        "8141bf1d-a96f-4709-ba47-f233a8faab5f": struct.pack("<I", 512),
        "cda348c7-445d-4471-9cc9-e9885251c556": struct.pack("<I", 4096),
        "beca12ab-b2e6-4523-93ef-c309e000c746": b"D" * 16,
    }
    if locator is not None:
        items["a8d35f2d-b30b-454d-abf7-d3d84834ab0c"] = _locator(locator)
    metadata, bodies = struct.pack("<8sHH", b"metadata", 0, len(items)).ljust(32, b"\0"), b""
    for name, body in items.items():
        place = (64 << 10) + len(bodies)
        metadata += struct.pack("<16sIIII", uuid.UUID(name).bytes_le, place, len(body), 4, 0)
        bodies += body
    state = 7 if own is not None else 0 if locator is not None else 6
    ratio = (1 << 23) * 512 // MiB
    table = bytearray((ratio + 1) * 8)
    struct.pack_into("<Q", table, 0, state | (5 << 20 if state else 0))
    struct.pack_into("<Q", table, ratio * 8, 6 | 4 << 20 if own is not None else 0)
    bitmap = bytearray(256)
    for sector in own or ():
        bitmap[sector // 8] |= 1 << sector % 8
    with path.open("wb") as file:
        for place, data in (
            (0, b"vhdxfile" + "test".encode("utf-16-le")),
            (64 << 10, _sealed(header.ljust(4096, b"\0"))),
            (128 << 10, _sealed(header.ljust(4096, b"\0"))),
            (192 << 10, _sealed(regions.ljust(64 << 10, b"\0"))),
            (256 << 10, _sealed(regions.ljust(64 << 10, b"\0"))),
            (2 * MiB, metadata.ljust(64 << 10, b"\0") + bodies),
            (3 * MiB, table),
            (4 * MiB, bitmap),
            (5 * MiB, media),
        ):
            file.seek(place)
            file.write(data)
        file.truncate(6 * MiB)
    return path


def _locator(values: dict[str, str]) -> bytes:
    entries, texts = b"", b""
    at = 20 + 12 * len(values)
    for key, value in values.items():
        first, second = key.encode("utf-16-le"), value.encode("utf-16-le")
        entries += struct.pack("<IIHH", at + len(texts), at + len(texts) + len(first), len(first), len(second))
        texts += first + second
    kind = uuid.UUID("b04aefb7-d19e-4a81-b789-25b8e9445913").bytes_le
    return kind + struct.pack("<HH", 0, len(values)) + entries + texts
