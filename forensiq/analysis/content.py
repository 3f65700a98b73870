"""The bytes of files: opened by inode and attribute, read in pieces, digested, inside the worker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from forensiq.analysis.file_system_error import FileSystemError
from forensiq.analysis.native.base import NativeFileSystem
from forensiq.analysis.tsk import NTFS_DATA, RUN_FILLER, RUN_SPARSE, TskFileSystem
from forensiq.model.extent import Extent

__all__ = ["OpenStream", "digest_stream", "has_content", "largest_readable", "opened_stream", "pieces"]

_PIECE = 1 << 20
_FLOOR = 4 << 30
_APFS_COMPRESSED = 4355
"""``TSK_FS_ATTR_TYPE_APFS_COMP_REC``: the attribute ``com.apple.decmpfs``."""


class OpenStream(Struct, frozen=True):
    """The content of a file that is open: sizes in bytes, and ``read(offset, buffer, slack)``."""

    size: int
    allocated_size: int
    read: Callable[[int, memoryview, bool], int]


@contextmanager
def opened_stream(fs: TskFileSystem | NativeFileSystem, inode: int, attribute: str | None) -> Iterator[OpenStream]:
    """Open a stream of an inode (``attribute`` ``type-id``; ``None``: its default content) for the block inside."""
    if isinstance(fs, NativeFileSystem):
        native = fs.stream(inode)
        _refuse_not_taken(fs, [(each.place, each.length) for each in native.runs if each.place is not None])
        yield OpenStream(
            native.size, native.allocated_size, lambda at, buffer, slack: fs.read(native, at, buffer, slack=slack)
        )
        return
    file = fs.open_file(inode)
    try:
        if fs.name == "apfs" and attribute is None and _is_compressed(fs, file):
            yield _unpacked(fs, inode)
            return
        if attribute is None:
            stream = fs.default_stream(file)
        else:
            kind, _, number = attribute.partition("-")
            stream = fs.named_stream(file, int(kind), int(number))
        if stream is None:
            raise FileSystemError(f"inode {inode} has no content that can be read")
        if stream.size < 0:
            raise FileSystemError(f"inode {inode} claims {stream.size + (1 << 64)} bytes: not read")
        found = stream
        unit = fs.block_size
        blocks = [each for each in fs.runs(found) if each.len and not each.flags & (RUN_FILLER | RUN_SPARSE)]
        _refuse_not_taken(fs, [(each.addr * unit, each.len * unit) for each in blocks])
        yield OpenStream(
            found.size, found.allocated_size, lambda at, buffer, slack: fs.read(found, at, buffer, slack=slack)
        )
    finally:
        fs.lib.fs_file_close(file)


def _refuse_not_taken(fs: TskFileSystem | NativeFileSystem, places: list[tuple[int, int]]) -> None:
    """Refuse (offset, length) of the file system that were skipped by scope: zeros there are not what a file holds."""
    if fs.taken is None:
        return
    extents = [Extent(fs.offset + offset, length) for offset, length in places]
    missing = sum(each.length - fs.taken.taken(each) for each in extents)
    if missing:
        raise FileSystemError(
            f"{missing:,} bytes of its blocks were not taken: they are outside of the scope of this image"
        )


def _is_compressed(fs: TskFileSystem, file: int) -> bool:
    """Whether APFS keeps a file compressed; of some The Sleuth Kit gives no attribute at all."""
    streams = list(fs.streams(file))
    return not streams or any(each.type == _APFS_COMPRESSED for each in streams)


def _unpacked(fs: TskFileSystem, inode: int) -> OpenStream:
    """A file that APFS compresses: The Sleuth Kit gives nothing, or an error, for most of them."""
    if fs.apfs is None:
        raise FileSystemError(f"inode {inode} has no content that can be read, and libfsapfs cannot open its volume")
    volume, entry, size = fs.apfs, fs.apfs.entry(inode), fs.apfs.size(inode)
    return OpenStream(size, size, lambda at, buffer, _: volume.read(entry, at, buffer))


def largest_readable(image_size: int) -> int:
    """Return the size in bytes above which a file is not read: a sparse file can claim 16 EiB on a floppy disk."""
    return max(_FLOOR, 16 * image_size)


def pieces(
    stream: OpenStream, offset: int = 0, length: int | None = None, *, slack: bool = False
) -> Iterator[memoryview]:
    """Yield the bytes of a stream, 1 MiB at most at a time; each view is valid until the next one.

    With ``slack`` the stream goes on to the end of its last block. ``FileSystemError`` where a piece cannot be read.
    """
    end = max(stream.size, stream.allocated_size) if slack else stream.size
    if length is not None:
        end = min(end, offset + length)
    buffer = bytearray(_PIECE)
    while offset < end:
        view = memoryview(buffer)[: min(_PIECE, end - offset)]
        done = stream.read(offset, view, slack)
        if not done:
            return
        yield view[:done]
        offset += done


def has_content(entry: dict[str, Any]) -> bool:
    """Whether a line of a listing is a stream whose bytes are the file's own (no folder's index, no other file's)."""
    if entry.get("recovery") == "name_only" or entry["size"] is None:
        return False
    attribute = entry.get("attribute")
    if attribute is not None:
        on_bad_list = entry["inode"] == 8 and entry["stream"] == "$Bad"
        return str(attribute).startswith(f"{NTFS_DATA}-") and not on_bad_list
    return bool(entry["type"] == "file")


def digest_stream(
    fs: TskFileSystem | NativeFileSystem, entry: dict[str, Any], algorithms: list[str], largest: int
) -> dict[str, str]:
    """Return the digests (hex) of the stream of a line of a listing; ``FileSystemError`` where it cannot be read."""
    if entry["size"] > largest:
        raise FileSystemError(f"claims {entry['size']} bytes, far more than the medium holds: not read")
    hashers = [hashlib.new(name, usedforsecurity=False) for name in algorithms]
    if entry["size"]:
        with opened_stream(fs, entry["inode"], entry.get("attribute")) as stream:
            total = 0
            for piece in pieces(stream):
                total += len(piece)
                for hasher in hashers:
                    hasher.update(piece)
            if total != stream.size:
                raise FileSystemError(f"only {total} of {stream.size} bytes can be read")
    return {name: hasher.hexdigest() for name, hasher in zip(algorithms, hashers, strict=True)}
