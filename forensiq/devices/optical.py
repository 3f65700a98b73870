"""What an optical drive says of the disc in it: tracks and sessions, by read-only questions.

Numbers and layouts: ``linux/cdrom.h``. All questions only read the table of contents that the drive has in memory.

==================== ====== =======================================================================
request              number answer
==================== ====== =======================================================================
CDROMREADTOCHDR      0x5305 first track, last track (one byte each)
CDROMREADTOCENTRY    0x5306 track, address type and control, format, block (int at 4), data mode
CDROMMULTISESSION    0x5310 block of the last session (int), whether there is more than one
==================== ====== =======================================================================
"""

from __future__ import annotations

import fcntl
import struct
from collections.abc import Callable

from msgspec import Struct

from forensiq.devices.ioctls import opened
from forensiq.errors import SourceError

__all__ = ["DiscTrack", "OpticalDisc", "disc_of", "is_optical"]

_MAJOR = "11:"
_HEADER, _ENTRY, _SESSIONS = 0x5305, 0x5306, 0x5310
_LBA, _LEAD_OUT = 1, 0xAA
_DATA = 0x04
_ENTRY_FORM = struct.Struct("=BBBxiB3x")
_SESSION_FORM = struct.Struct("=iBBxx")

Asker = Callable[[int, int, bytes], bytes]


class DiscTrack(Struct, frozen=True):
    """A track: its number, whether it holds data (else sound), its blocks of 2048 bytes as (first, end)."""

    number: int
    data: bool
    first: int
    end: int


class OpticalDisc(Struct, frozen=True):
    """A disc. ``last_session`` is the block at which its last session starts, ``None`` where there is only one."""

    tracks: tuple[DiscTrack, ...]
    last_session: int | None = None


def is_optical(device_number: str | None) -> bool:
    """Say whether a block device (``11:0``) is an optical drive."""
    return device_number is not None and device_number.startswith(_MAJOR)


def disc_of(path: str, ask: Asker = fcntl.ioctl) -> OpticalDisc | str:
    """Return what the drive at ``path`` says of its disc, or why it says nothing; DVD and BD may have no such table."""
    try:
        with opened(path) as descriptor:
            return _read(descriptor, ask)
    except SourceError as error:
        return error.message
    except OSError as error:
        return f"the drive does not give its table of contents ({error.strerror})"


def _read(descriptor: int, ask: Asker) -> OpticalDisc:
    first, last = ask(descriptor, _HEADER, bytes(2))[:2]
    starts = [_entry(descriptor, number, ask) for number in (*range(first, last + 1), _LEAD_OUT)]
    tracks = tuple(
        DiscTrack(first + index, bool(control & _DATA), block, max(block, starts[index + 1][1]))
        for index, (control, block) in enumerate(starts[:-1])
    )
    answer = ask(descriptor, _SESSIONS, _SESSION_FORM.pack(0, 0, _LBA))
    block, several, _ = _SESSION_FORM.unpack(answer)
    return OpticalDisc(tracks, block if several else None)


def _entry(descriptor: int, number: int, ask: Asker) -> tuple[int, int]:
    answer = ask(descriptor, _ENTRY, _ENTRY_FORM.pack(number, 0, _LBA, 0, 0))
    _, kind, _, block, _ = _ENTRY_FORM.unpack(answer)
    return kind >> 4, block
