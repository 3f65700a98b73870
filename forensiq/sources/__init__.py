"""What evidence is read from: one file for each kind.

========================  ==========================================  =======================================
what the path names       source                                      module
========================  ==========================================  =======================================
a block device            :class:`~.block_device.BlockDeviceSource`   ``block_device.py``
``x.001``, ``x.aa`` …     :class:`~.split.SplitSource`                ``split.py``, where a second part exists
any other regular file    :class:`~.file.FileSource`                  ``file.py``
========================  ==========================================  =======================================
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from forensiq.errors import SourceError, UsageError
from forensiq.model.split_names import is_first_part
from forensiq.sources.base import Source
from forensiq.sources.block_device import BlockDeviceSource
from forensiq.sources.file import FileSource
from forensiq.sources.split import SplitSource
from forensiq.sources.unusual import unusual
from forensiq.streams.files import find_parts

__all__ = ["open_source"]


def open_source(path: Path, *, sector_size: int | None = None) -> Source:
    """Open what ``path`` names, read-only. ``sector_size`` (bytes) is for files only; a device knows its own.

    Raises :class:`UsageError` where ``path`` names nothing that has bytes of a fixed size (missing, a folder, a
    terminal, empty), :class:`SourceError` where the system does not let us read it,
    :class:`~forensiq.errors.MissingSegmentError` where a part of a split image is missing.
    """
    try:
        state = path.stat()
    except OSError as error:
        code = error.errno or errno.EIO
        kind = UsageError if code in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG) else SourceError
        raise kind(f"{path}: {os.strerror(code)}", path=str(path), errno=code) from error
    mode = state.st_mode
    if stat.S_ISBLK(mode):
        return BlockDeviceSource(str(path))
    if stat.S_ISREG(mode):
        if is_first_part(path.name) and len(find_parts(path)) > 1:
            return SplitSource(path, sector_size=sector_size or 512)
        return FileSource(path, sector_size=sector_size or 512)
    raise unusual(path, state)
