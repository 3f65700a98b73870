"""Which blocks of a file system are in use, inside the worker.

Bitmaps are read as such where their place is simple and there are many blocks (ext2/3/4, NTFS, HFS+); elsewhere The
Sleuth Kit is asked for one block of each cluster. What cannot be told is in use: whoever leaves out free space must
not lose anything else.

Sources: ext4 disk layout (Linux, Documentation/filesystems/ext4); NTFS: [MS-FSCC] has none, libfsntfs documentation
(``$Bitmap``: one bit for each cluster, lowest bit first); FAT: Microsoft's "FAT32 File System Specification" and
"exFAT file system specification".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct, field

from forensiq.analysis.ext_bitmaps import ext_layout
from forensiq.analysis.tsk import RUN_FILLER, RUN_SPARSE, TskError, TskFileSystem
from forensiq.analysis.window import Window

__all__ = ["FileSystemAllocation", "NotDetermined", "allocation_of_file_system", "bit_runs", "block_runs"]

_MOST_RUNS = 2_000_000
_MOST_QUESTIONS = 20_000_000  # three minutes
_PIECE = 1 << 20
_NTFS_SYSTEM_FILES = 12
_NTFS_BITMAP, _NTFS_BAD_CLUSTERS = 6, 8
_HFS_BITMAP, _HFS_SYSTEM_FILES = 6, (3, 4, 5, 6, 7, 8)
_TURNED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_FREE, _METADATA = 0x02, 0x08


class NotDetermined(Exception):
    """The allocation of a file system cannot be told; the message says why. Never leaves a worker."""


class FileSystemAllocation(Struct):
    """Ranges as (start, end) in bytes from the start of the file system; they may overlap. ``size`` in bytes."""

    size: int
    boot: list[tuple[int, int]] = field(default_factory=list)
    metadata: list[tuple[int, int]] = field(default_factory=list)
    allocated: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def allocation_of_file_system(fs: TskFileSystem, window: Window, moved: Callable[[], None]) -> FileSystemAllocation:
    """Return what of ``fs`` is in use; ``window`` is the medium from its start on. Calls ``moved`` now and then.

    Raises :class:`NotDetermined`, or :class:`~forensiq.analysis.tsk.TskError`.
    """
    if fs.name.startswith("ext"):
        return _ext(window, moved)
    size = (fs.info.last_block + 1) * fs.block_size
    result = FileSystemAllocation(size)
    if fs.is_ntfs:
        _ntfs(fs, result, moved)
    elif fs.name.startswith(("fat", "exfat")):
        _fat(fs, window, result, moved)
    elif fs.name in ("hfsp", "hfs+"):
        _hfs(fs, result, moved)
    elif fs.name in ("apfs", "iso9660", "swap", "raw"):
        if fs.name != "iso9660":
            raise NotDetermined(f"free space of {fs.name} is not told apart")
        result.allocated.append((0, size))
    else:
        _ask(fs, range(fs.info.first_block, fs.info.last_block_act + 1), 1, result, moved)
    return result


def bit_runs(pieces: Iterable[bytes], bits: int) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of the runs of set bits among the first ``bits``; the lowest bit of a byte comes first."""
    start: int | None = None
    base = 0
    for piece in pieces:
        for match in _SPANS.finditer(piece):
            low, high = match.span()
            kind = piece[low]
            if kind in (0, 255):
                at = base + low * 8
                if kind and start is None:
                    start = at
                elif not kind and start is not None:
                    yield start, min(at, bits)
                    start = None
                continue
            for offset in range(low, high):
                byte, at = piece[offset], base + offset * 8
                for bit in range(8):
                    if byte >> bit & 1:
                        start = at + bit if start is None else start
                    elif start is not None:
                        yield start, min(at + bit, bits)
                        start = None
        base += len(piece) * 8
        if base >= bits:
            break
    if start is not None and start < bits:
        yield start, min(base, bits)


_SPANS = re.compile(rb"\x00+|\xff+|[^\x00\xff]+", re.DOTALL)


def _bounded(runs: Iterable[tuple[int, int]], unit: int, target: list[tuple[int, int]], shift: int = 0) -> None:
    for low, high in runs:
        if low < high:
            target.append((shift + low * unit, shift + high * unit))
        if len(target) > _MOST_RUNS:
            raise NotDetermined(f"its space in use is in more than {_MOST_RUNS:,} pieces")


def _ext(window: Window, moved: Callable[[], None]) -> FileSystemAllocation:
    layout = ext_layout(window)
    if isinstance(layout, str):
        raise NotDetermined(layout)
    result = FileSystemAllocation(layout.blocks * layout.block_size, notes=list(layout.notes))
    result.boot.append((0, max(layout.block_size, 2048)))
    unit = layout.block_size
    unreadable = 0
    for group in layout.groups():
        moved()
        _bounded(group.metadata, unit, result.metadata)
        if group.bitmap is None:
            continue
        data = window.read(group.bitmap * unit, unit)
        if len(data) < unit:
            unreadable += 1
            result.allocated.append((group.first * unit, (group.first + group.blocks) * unit))
            continue
        _bounded(bit_runs([data], group.blocks), unit, result.allocated, group.first * unit)
    if unreadable:
        result.notes.append(f"{unreadable} block bitmaps could not be read: all blocks of their groups count as in use")
    return result


def _ntfs(fs: TskFileSystem, result: FileSystemAllocation, moved: Callable[[], None]) -> None:
    unit = fs.block_size
    clusters = fs.info.last_block + 1
    result.boot.append((0, max(unit, 8192)))
    # The copy of the boot sector is in the last sector of the partition, behind the last cluster.
    result.boot.append((result.size, result.size + unit))
    for inode in range(_NTFS_SYSTEM_FILES):
        if inode != _NTFS_BAD_CLUSTERS:
            _bounded(block_runs(fs, inode), unit, result.metadata)
    _bitmap_file(fs, _NTFS_BITMAP, clusters, result, moved)


def _hfs(fs: TskFileSystem, result: FileSystemAllocation, moved: Callable[[], None]) -> None:
    """HFS+: the allocation file has one bit for each block, the highest bit of a byte first (Apple TN1150)."""
    result.boot.append((0, 4096))
    # The copy of the volume header is in the last but one sector of the volume.
    result.boot.append((max(0, result.size - 4096), result.size))
    for inode in _HFS_SYSTEM_FILES:
        _bounded(block_runs(fs, inode), fs.block_size, result.metadata)
    _bitmap_file(fs, _HFS_BITMAP, fs.info.last_block + 1, result, moved, turned=True)


def _bitmap_file(
    fs: TskFileSystem,
    inode: int,
    blocks: int,
    result: FileSystemAllocation,
    moved: Callable[[], None],
    *,
    turned: bool = False,
) -> None:
    """Read the bitmap of all blocks from a file; ``turned`` where the highest bit of a byte comes first."""
    file = fs.open_file(inode)
    try:
        stream = fs.default_stream(file)
        if stream is None or stream.size * 8 < blocks:
            raise NotDetermined("its bitmap is missing or too short")

        def pieces() -> Iterator[bytes]:
            for at in range(0, -(-blocks // 8), _PIECE):
                buffer = bytearray(min(_PIECE, stream.size - at))
                if fs.read(stream, at, memoryview(buffer)) != len(buffer):
                    raise NotDetermined("its bitmap cannot be read to the end")
                moved()
                yield bytes(buffer).translate(_TURNED) if turned else bytes(buffer)

        _bounded(bit_runs(pieces(), blocks), fs.block_size, result.allocated)
    finally:
        fs.lib.fs_file_close(file)


def block_runs(fs: TskFileSystem, inode: int) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of the blocks that hold the streams of an inode; nothing where it cannot be opened."""
    try:
        file = fs.open_file(inode)
    except TskError:
        return
    try:
        for stream in fs.streams(file):
            for run in fs.runs(stream):
                if run.len and not run.flags & (RUN_FILLER | RUN_SPARSE):
                    yield run.addr, run.addr + run.len
    finally:
        fs.lib.fs_file_close(file)


def _fat(fs: TskFileSystem, window: Window, result: FileSystemAllocation, moved: Callable[[], None]) -> None:
    """FAT and exFAT: The Sleuth Kit counts in sectors; one question for each cluster is enough."""
    boot = window.read(0, 512)
    if len(boot) < 512:
        raise NotDetermined("its boot sector cannot be read")
    sector = fs.block_size
    if fs.name == "exfat":
        first = int.from_bytes(boot[88:92], "little")
        clusters = int.from_bytes(boot[92:96], "little")
        cluster = 1 << min(boot[109], 25)
    else:
        cluster = boot[13]
        tables = boot[16] * (int.from_bytes(boot[22:24], "little") or int.from_bytes(boot[36:40], "little"))
        root = -(-int.from_bytes(boot[17:19], "little") * 32 // sector)
        first = int.from_bytes(boot[14:16], "little") + tables + root
        clusters = (fs.info.last_block + 1 - first) // cluster if cluster else 0
    if not cluster or not 0 < first <= fs.info.last_block:
        raise NotDetermined("its boot sector contradicts itself")
    result.boot.append((0, sector))
    result.metadata.append((0, first * sector))
    end = min(first + clusters * cluster, fs.info.last_block_act + 1)
    _ask(fs, range(first, end, cluster), cluster, result, moved)
    if end * sector < result.size:
        # Sectors behind the last whole cluster belong to none.
        result.metadata.append((end * sector, min(result.size, (end + cluster) * sector)))
    if fs.info.last_block_act < fs.info.last_block:
        result.notes.append("the end of the file system is behind the end of the medium")


def _ask(fs: TskFileSystem, blocks: range, step: int, result: FileSystemAllocation, moved: Callable[[], None]) -> None:
    """Ask for the first block of every ``step`` blocks; blocks that nothing is said about are in use."""
    if len(blocks) > _MOST_QUESTIONS:
        raise NotDetermined(f"it has {len(blocks):,} blocks, too many to ask for one by one")

    def runs(wanted: Callable[[int], bool]) -> Iterator[tuple[int, int]]:
        start: int | None = None
        for number in blocks:
            if not number & 0xFFFF:
                moved()
            if wanted(fs.block_flags(number)):
                start = number if start is None else start
            elif start is not None:
                yield start, number
                start = None
        if start is not None:
            yield start, min(blocks[-1] + step, fs.info.last_block_act + 1)

    if not blocks:
        return
    _bounded(runs(lambda flags: not flags & _FREE), fs.block_size, result.allocated)
    if step == 1:
        _bounded(runs(lambda flags: bool(flags & _METADATA) and not flags & _FREE), fs.block_size, result.metadata)
        result.boot.append((0, max(fs.block_size, 8192)))
