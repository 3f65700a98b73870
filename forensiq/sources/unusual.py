"""What cannot be acquired as a medium of fixed size, and why: said before anything is read.

Numbers of character devices: Linux, Documentation/admin-guide/devices.txt.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from forensiq.errors import SourceError, UsageError

__all__ = ["refuse_odd_sectors", "unusual"]

_PIPE_HINT = "read it with a program of its own and pass the bytes on: … | forensiq acquire - OUTPUT"
_TAPES = frozenset({9, 12, 27, 37, 96, 206})
_SCSI_GENERIC = 21
_MEMORY = {1: "the memory of this machine", 2: "kernel memory", 3: "the null device: it holds nothing",
           4: "the I/O ports of this machine", 5: "an endless stream of zeros", 7: "the full device",
           8: "an endless stream of random bytes", 9: "an endless stream of random bytes", 11: "the kernel log",
           }  # fmt: skip


def unusual(path: Path, state: os.stat_result) -> UsageError:
    """Return the error for what is neither a regular file nor a block device."""
    mode, major, minor = state.st_mode, os.major(state.st_rdev), os.minor(state.st_rdev)
    hint: str | None = None
    if stat.S_ISDIR(mode):
        what = "is a folder"
    elif stat.S_ISFIFO(mode):
        what, hint = "is a pipe: its length is not known", f"cat {path} | forensiq acquire - OUTPUT"
    elif stat.S_ISSOCK(mode):
        what = "is a socket"
    elif major in _TAPES:
        what, hint = "is a tape drive: files and marks, not sectors with addresses", _PIPE_HINT
    elif major == _SCSI_GENERIC:
        what, hint = "is the command channel of a drive (SCSI generic)", "name its block device: forensiq devices"
    elif major == 1:
        what = f"is a character device: {_MEMORY.get(minor, 'not a drive')}"
    else:
        what, hint = "is a character device: it has no size and no sectors", _PIPE_HINT
    return UsageError(f"{path} {what}, not a drive or an image file", hint=hint, path=str(path))


def refuse_odd_sectors(path: str, size: int, sector_size: int) -> None:
    """Refuse a drive that the kernel gives no medium of, or sectors that hold more than data.

    Drives from storage arrays have sectors of 520 or 528 bytes, of which 8 or 16 are checksums of the array. Linux
    gives these a size of 0 (``drivers/scsi/sd.c``: "Unsupported sector size"). Raises
    :class:`~forensiq.errors.SourceError`.
    """
    if sector_size & (sector_size - 1):
        raise SourceError(
            f"{path} has sectors of {sector_size} bytes: data and {sector_size % 512} bytes of the array it comes from "
            "in each. Images and analysis count in sectors of data alone, so it is not acquired as it is",
            hint=f"sg_dd (sg3_utils) with bs={sector_size} reads it whole; keep that file, and never format the drive",
            path=path,
            sector_size=sector_size,
        )
    if size == 0:
        raise SourceError(
            f"{path} has a size of 0: there is no medium in it, or it has sectors of 520 or 528 bytes (drives of "
            "storage arrays), which Linux does not read",
            hint="the kernel log (dmesg) says which; sg_readcap and sg_dd (sg3_utils) ask the drive itself",
            path=path,
            size=0,
        )
