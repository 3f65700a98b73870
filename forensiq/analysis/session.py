"""What a worker has open: the image, and the file systems in it."""

from __future__ import annotations

import contextlib
from typing import Any

from forensiq.analysis.apfs import ApfsVolume
from forensiq.analysis.channel import Channel
from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.formatter import FormatterLink
from forensiq.analysis.native.base import NativeFileSystem
from forensiq.analysis.native.kinds import native_kind, open_native
from forensiq.analysis.native.pages import Pages
from forensiq.analysis.requested import RequestedMedium
from forensiq.analysis.tsk import TskFileSystem, TskImage, TskPool, library
from forensiq.analysis.window import Window
from forensiq.images.base import EvidenceImage
from forensiq.images.scope_map import inherited_scope

__all__ = ["READS", "OpenFileSystem", "Request", "Session"]

Request = dict[str, Any]
OpenFileSystem = TskFileSystem | NativeFileSystem

READS = 3
"""The cell that counts reads: while it moves, the worker is alive."""

_TSK_TYPES = {
    "": 0,
    "NTFS": 0x00000001,
    "FAT12": 0x00000002,
    "FAT16": 0x00000004,
    "FAT32": 0x00000008,
    "exFAT": 0x0000000A,
    "UFS1": 0x00000010,
    "UFS2": 0x00000040,
    "ext2": 0x00000080,
    "ext3": 0x00000100,
    "ext4": 0x00002000,
    "ISO 9660": 0x00000800,
    "HFS+": 0x00001000,
    "HFSX": 0x00001000,
}
"""Content name → ``TSK_FS_TYPE_ENUM``; 0 lets the library find out."""


class Session:
    """An open image and the file systems in it that were opened so far."""

    def __init__(
        self,
        image: EvidenceImage | RequestedMedium,
        channel: Channel,
        cells: memoryview,
        formatter: FormatterLink | None = None,
    ) -> None:
        self.image = image
        self.channel = channel
        self.cells = cells
        self.formatter = formatter
        self.tsk = TskImage(library(), image, image.sector_size, self.count_read)
        scope = None if isinstance(image, RequestedMedium) else inherited_scope(image)
        self._taken = scope.ranges if scope is not None else None
        self._open: dict[tuple[int, int | None, str], OpenFileSystem] = {}
        self._pools: dict[int, TskPool] = {}

    def count_read(self) -> None:
        """Show the parent that something moves."""
        self.cells[READS] += 1

    def pool(self, offset: int) -> TskPool:
        """Return the container of volumes at a byte offset."""
        if offset not in self._pools:
            self._pools[offset] = TskPool(self.tsk, offset)
        return self._pools[offset]

    def file_system(self, request: Request) -> OpenFileSystem:
        """Return the file system that a request names by ``offset``, ``pool_block`` and ``type``."""
        key = (int(request["offset"]), request.get("pool_block"), str(request.get("type") or ""))
        if key not in self._open:
            offset, block, name = key
            if block is None:
                self._open[key] = self._opened(offset, name)
            else:
                self._open[key] = self._opened_in_pool(offset, int(block))
            self._open[key].taken = self._taken
        return self._open[key]

    def tsk_file_system(self, request: Request) -> TskFileSystem:
        """As :meth:`file_system`, for what only The Sleuth Kit's can do."""
        fs = self.file_system(request)
        if not isinstance(fs, TskFileSystem):
            raise FileSystemError(f"not told for {fs.name}")
        return fs

    def _opened_in_pool(self, offset: int, block: int) -> TskFileSystem:
        pool = self.pool(offset)
        fs = pool.open_volume(block)
        index = next((number for number, each in enumerate(pool.volumes()) if each.block == block), 0)
        # Without it compressed files cannot be read, and say so one by one.
        with contextlib.suppress(FileSystemError):
            fs.apfs = ApfsVolume(self.image, offset, index)
        return fs

    def _opened(self, offset: int, name: str) -> OpenFileSystem:
        kind = native_kind(Window(self.image, offset), name)
        if kind is not None:
            return open_native(kind, Pages(self.image, self.tsk.unreadable, self.count_read), offset)
        return TskFileSystem(self.tsk, offset, _TSK_TYPES.get(name, 0))
