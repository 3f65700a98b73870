"""Renaming that never replaces a file that is there."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

__all__ = ["rename_without_replacing"]

AT_FDCWD = -100
RENAME_NOREPLACE = 1
_NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)


def rename_without_replacing(source: Path, target: Path) -> None:
    """Rename ``source`` to ``target``; ``FileExistsError`` where ``target`` exists, other ``OSError`` as they come.

    Three ways, the first that the file system supports: ``renameat2(RENAME_NOREPLACE)`` (Linux 3.15); a second name
    by ``link`` and removal of the first; and where there are no links (FAT, exFAT through FUSE), an empty file made
    exclusively under the target name, which a plain rename then replaces. A crash between the last two steps leaves
    that empty file; it opens as nothing.
    """
    for attempt in (_renameat2, _link, _placeholder):
        try:
            attempt(source, target)
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED or attempt is _placeholder:
                raise
        else:
            return


def _renameat2(source: Path, target: Path) -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if function(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), ctypes.c_uint(RENAME_NOREPLACE)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(source), None, str(target))


def _link(source: Path, target: Path) -> None:
    os.link(source, target)
    source.unlink()


def _placeholder(source: Path, target: Path) -> None:
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
    source.replace(target)
