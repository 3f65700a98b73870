"""The practice drive: a partition table, two file systems, deleted files, and two areas that cannot be read."""

from __future__ import annotations

import errno
import struct
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from forensiq.model.extent import Extent
from forensiq.model.media_map import MediaMap, RangeStatus, ReadStatus
from forensiq.procedures.practice.content import PracticeFile, noise
from forensiq.procedures.practice.ext2 import make_ext2
from forensiq.procedures.practice.fat16 import make_fat16

__all__ = ["PracticeDrive", "build_practice_drive", "practice_bytes"]

SECTOR = 512
_FAT_START, _FAT_SECTORS = 2048, 32768
_EXT_START, _EXT_BLOCKS = 36864, 8192
_SECTORS = 65536

_CARD = (
    PracticeFile(("DCIM", "IMG_0001.jpg"), noise(180_000, "photo 1")),
    PracticeFile(("DCIM", "IMG_0002.jpg"), noise(210_000, "photo 2")),
    PracticeFile(("DCIM", "IMG_0003.jpg"), noise(150_000, "photo 3"), deleted=True),
    PracticeFile(("Invoice 2026-014.txt",), b"Invoice 2026-014\r\n3 items, paid in cash.\r\n" * 40),
    PracticeFile(("holiday film.mov",), noise(3_000_000, "film")),
    PracticeFile(
        ("meeting point.txt",),
        b"Thursday 22:40, pier 7, as last time.\r\n",
        modified=datetime(2026, 1, 14, 22, 10, tzinfo=UTC),
        deleted=True,
    ),
)
_HOME = (
    PracticeFile(("home", "lee", "notes.txt"), "Überweisung am Montag prüfen.\n".encode()),
    PracticeFile(("home", "lee", "contacts.csv"), b"name,number\n" + b"J. Doe,+1 555 0100\n" * 500),
    PracticeFile(("home", "lee", "accounts.txt"), b"harbour bank 4711-0815\n" * 90, deleted=True),
    PracticeFile(("var", "log", "syslog"), b"Jan 15 09:00:00 host kernel: usb 1-2: new device\n" * 2000),
)
_FILM_BAD, _HOME_BAD = 14, 2
"""How many sectors cannot be read in the film, and behind the files of the second volume."""


class PracticeDrive(Struct, frozen=True):
    """A file that stands for a drive. ``unreadable`` are the areas that a reader is told are bad."""

    path: Path
    size: int
    sector_size: int
    unreadable: tuple[Extent, ...]

    def faults(self) -> MediaMap:
        """Return the map from which a faulty source replays the bad areas."""
        bad = MediaMap(self.size, RangeStatus(ReadStatus.READ))
        for extent in self.unreadable:
            bad.mark(extent, RangeStatus(ReadStatus.UNREADABLE, errno.EIO))
        return bad


def practice_bytes() -> bytes:
    """Return all bytes of the drive; the same every time."""
    drive = bytearray(_SECTORS * SECTOR)
    drive[:SECTOR] = _partition_table()
    card = make_fat16(_FAT_SECTORS, "CARD", _CARD, hidden=_FAT_START)
    home = make_ext2(_EXT_BLOCKS, "home", _HOME)
    drive[_FAT_START * SECTOR : _FAT_START * SECTOR + len(card)] = card
    drive[_EXT_START * SECTOR : _EXT_START * SECTOR + len(home)] = home
    return bytes(drive)


def build_practice_drive(path: Path) -> PracticeDrive:
    """Write the drive to ``path``, which must not exist (``FileExistsError``)."""
    data = practice_bytes()
    with path.open("xb") as file:
        file.write(data)
    film = data.index(noise(64, "film"))
    first = Extent(film + 1000 * SECTOR, _FILM_BAD * SECTOR)
    second = Extent((_EXT_START + 2 * 6000) * SECTOR, _HOME_BAD * SECTOR)
    return PracticeDrive(path, len(data), SECTOR, (first, second))


def _partition_table() -> bytes:
    rows = b"".join(
        struct.pack("<B3sB3sII", 0, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", start, count)
        for kind, start, count in ((0x06, _FAT_START, _FAT_SECTORS), (0x83, _EXT_START, _EXT_BLOCKS * 2))
    )
    return struct.pack("<440sIH", b"", 0x20260115, 0) + rows.ljust(64, b"\0") + b"\x55\xaa"
