"""The bytes of files: opened by inode and attribute, read in pieces, digested, inside the worker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from forensiq.analysis.tsk import NTFS_DATA, Stream, TskError, TskFileSystem

__all__ = ["digest_stream", "has_content", "largest_readable", "opened_stream", "pieces"]

_PIECE = 1 << 20
_FLOOR = 4 << 30


@contextmanager
def opened_stream(fs: TskFileSystem, inode: int, attribute: str | None) -> Iterator[Stream]:
    """Open a stream of an inode (``attribute`` ``type-id``; ``None``: its default content) for the block inside."""
    file = fs.open_file(inode)
    try:
        if attribute is None:
            stream = fs.default_stream(file)
        else:
            kind, _, number = attribute.partition("-")
            stream = fs.named_stream(file, int(kind), int(number))
        if stream is None:
            raise TskError(f"inode {inode} has no content that can be read")
        yield stream
    finally:
        fs.lib.fs_file_close(file)


def largest_readable(image_size: int) -> int:
    """Return the size in bytes above which a file is not read: a sparse file can claim 16 EiB on a floppy disk."""
    return max(_FLOOR, 16 * image_size)


def pieces(
    fs: TskFileSystem, stream: Stream, offset: int = 0, length: int | None = None, *, slack: bool = False
) -> Iterator[memoryview]:
    """Yield the bytes of a stream, 1 MiB at most at a time; each view is valid until the next one.

    With ``slack`` the stream goes on to the end of its last block. ``TskError`` where a piece cannot be read.
    """
    end = max(stream.size, stream.allocated_size) if slack else stream.size
    if length is not None:
        end = min(end, offset + length)
    buffer = bytearray(_PIECE)
    while offset < end:
        view = memoryview(buffer)[: min(_PIECE, end - offset)]
        done = fs.read(stream, offset, view, slack=slack)
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


def digest_stream(fs: TskFileSystem, entry: dict[str, Any], algorithms: list[str], largest: int) -> dict[str, str]:
    """Return the digests (hex) of the stream that a line of a listing names; ``TskError`` where it cannot be read."""
    if entry["size"] > largest:
        raise TskError(f"claims {entry['size']} bytes, far more than the medium holds: not read")
    hashers = [hashlib.new(name, usedforsecurity=False) for name in algorithms]
    if entry["size"]:
        with opened_stream(fs, entry["inode"], entry.get("attribute")) as stream:
            total = 0
            for piece in pieces(fs, stream):
                total += len(piece)
                for hasher in hashers:
                    hasher.update(piece)
            if total != stream.size:
                raise TskError(f"only {total} of {stream.size} bytes can be read")
    return {name: hasher.hexdigest() for name, hasher in zip(algorithms, hashers, strict=True)}
