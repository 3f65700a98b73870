"""A FAT12 volume in a few lines, for tests that need a file system and nothing else."""

from __future__ import annotations

import struct

__all__ = ["fat_volume"]


def fat_volume(files: dict[bytes, bytes], deleted: frozenset[bytes] = frozenset(), sectors: int = 128) -> bytes:
    """Return a volume with files in its root; names are 8+3 bytes as on disk. Deleted ones lose their chain."""
    boot = bytearray(512)
    boot[0:11] = b"\xeb\x3c\x90forensiq"
    struct.pack_into("<HBHBHHBHHHII", boot, 11, 512, 1, 1, 2, 32, sectors, 0xF8, 1, 1, 1, 0, 0)
    struct.pack_into("<BBBI11s8s", boot, 36, 0x80, 0, 0x29, 0x12345678, b"NO NAME    ", b"FAT12   ")
    boot[510:512] = b"\x55\xaa"
    chain = [0xFF8, 0xFFF] + [0] * (sectors - 2)
    root = b""
    data = b""
    cluster = 2
    for name, content in files.items():
        count = -(-len(content) // 512)
        first = name if name not in deleted else b"\xe5" + name[1:]
        root += first + struct.pack(
            "<BBBHHHHHHHI", 0x20, 0, 0, 0x6000, 0x5A21, 0x5A21, 0, 0x6000, 0x5A21, cluster if count else 0, len(content)
        )
        if name not in deleted:
            for number in range(count):
                chain[cluster + number] = cluster + number + 1 if number + 1 < count else 0xFFF
        cluster += count
        data += content.ljust(count * 512, b"\0")
    table = bytearray(512)
    for number, value in enumerate(chain[:340]):
        at = number * 3 // 2
        if number % 2:
            table[at] |= (value & 0xF) << 4
            table[at + 1] = value >> 4
        else:
            table[at] = value & 0xFF
            table[at + 1] |= value >> 8
    image = bytes(boot) + bytes(table) * 2 + root.ljust(1024, b"\0") + data
    return image.ljust(sectors * 512, b"\0")
