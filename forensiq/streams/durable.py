"""Small files that are either there as a whole or not at all.

Order: write a temporary neighbour, fsync it, give it its name, fsync the folder. A crash leaves the old file or the new
one, and at worst a neighbour whose name ends in ``.tmp``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from forensiq.errors import DestinationError, DestinationExistsError, DestinationFullError

__all__ = ["destination_error", "sync_folder", "write_durably"]


def destination_error(error: OSError, path: Path, doing: str) -> DestinationError:
    """Return what an ``OSError`` from the destination means (facts: path, errno)."""
    reason = os.strerror(error.errno) if error.errno is not None else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DestinationFullError(
            f"no room left on the destination while {doing}",
            hint="free some room, then run the same command with --resume",
            path=str(path),
            errno=error.errno,
        )
    hint = None
    if error.errno == errno.EFBIG:
        hint = "this file system cannot hold a file so large: choose smaller segments"
    return DestinationError(f"{doing} failed: {reason}", hint=hint, path=str(path), errno=error.errno)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network and FUSE file systems cannot sync a folder; the file itself is synced.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def write_durably(path: Path, data: bytes, *, replace: bool = False, mode: int = 0o644) -> None:
    """Write ``data`` to ``path``, durable when this returns.

    Raises :class:`~forensiq.errors.DestinationExistsError` where ``path`` exists and ``replace`` is false,
    :class:`~forensiq.errors.DestinationError` where writing fails; ``path`` is then as it was.
    """
    temporary = path.with_name(f"{path.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                temporary.replace(path)
            else:
                _link(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
        sync_folder(path.parent)
    except FileExistsError as error:
        raise DestinationExistsError(f"{path} exists; nothing was changed", path=str(path)) from error
    except OSError as error:
        raise destination_error(error, path, f"writing {path.name}") from error


def _link(temporary: Path, path: Path) -> None:
    try:
        path.hardlink_to(temporary)
    except OSError as error:
        # FAT and exFAT have no hard links: the check and the rename are then two steps.
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        temporary.rename(path)
