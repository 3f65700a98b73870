"""Write the files of an image into a folder, with a manifest of their digests."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from forensiq.analysis.explorer import Explorer, FileSystemRef, entries_of
from forensiq.analysis.opening import ImageRef
from forensiq.clock import parse_rfc3339
from forensiq.errors import DestinationError, UsageError
from forensiq.model.jsonable import to_json
from forensiq.model.listing import FileEntry, Recovery
from forensiq.procedures.listing import Listing
from forensiq.procedures.safe_tree import SafeTree

__all__ = ["ExtractSummary", "ExtractedFile", "extract_files"]

MANIFEST = "manifest.jsonl"


class ExtractedFile(Struct, frozen=True):
    """One line of the manifest. ``output`` is relative to the folder; ``None`` where nothing was written.

    ``status`` is ``written``, ``incomplete`` (with ``reason``; digests are of what was written) or ``not_written``.
    """

    entry: FileEntry
    output: str | None
    status: str
    size: int | None = None
    md5: str | None = None
    sha256: str | None = None
    reason: str | None = None


class ExtractSummary(Struct, frozen=True):
    """What an extraction did: counts, and the manifest with its digest."""

    directory: str
    manifest: str
    manifest_sha256: str
    written: int
    incomplete: int
    not_written: int
    bytes: int


def extract_files(
    reference: ImageRef,
    directory: Path,
    *,
    path: str | None = None,
    partition: int | None = None,
    deleted: bool = False,
    tell: Callable[[ExtractedFile], None] | None = None,
) -> ExtractSummary:
    """Extract everything (or what is at ``path``) into a new folder; deleted files too, apart, with ``deleted``.

    1. Walk each file system; make a folder for each partition, deleted files in one beside it.
    2. Write each stream under a safe name; digest what is written; give it the times of the original.
    3. Write the manifest, a line for every entry, links and what could not be read included.
    """
    tree = SafeTree(directory)
    counts = {"written": 0, "incomplete": 0, "not_written": 0}
    total = 0
    digest = hashlib.sha256()
    place = directory / MANIFEST
    with closing(tree), Listing(reference, partition=partition) as listing, Explorer(reference) as reader:
        with tree.file((MANIFEST.encode(),)) as (_, manifest):
            for fs, entry in _chosen(listing, path):
                if not entry.allocated and not deleted:
                    continue
                result = _extract_one(tree, reader, fs, entry)
                if result is None:
                    continue
                counts[result.status] += 1
                total += result.size or 0
                line = json.dumps(to_json(result)).encode("ascii") + b"\n"
                manifest.write(line)
                digest.update(line)
                if tell is not None:
                    tell(result)
        losses = [*listing.losses, *reader.losses]
    if path is not None and not any(counts.values()):
        raise UsageError(f"{path} is not in this image, or holds no files")
    counts["incomplete"] += sum(loss.where.path is None for loss in losses)
    return ExtractSummary(
        str(directory),
        str(place),
        digest.hexdigest(),
        counts["written"],
        counts["incomplete"],
        counts["not_written"],
        total,
    )


def _chosen(listing: Listing, path: str | None) -> Iterator[tuple[FileSystemRef, FileEntry]]:
    for fs in listing.file_systems:
        if path is None or not path.strip("/"):
            for batch in listing.explorer.walk(fs):
                for entry in entries_of(batch):
                    yield fs, entry
            continue
        for found in listing.explorer.find(fs, path):
            yield fs, found
            if found.type == "directory" and found.stream is None:
                for batch in listing.explorer.walk(fs, start=found):
                    for entry in entries_of(batch):
                        yield fs, entry


def _extract_one(tree: SafeTree, reader: Explorer, fs: FileSystemRef, entry: FileEntry) -> ExtractedFile | None:
    top = b"partition-%d" % entry.partition if entry.partition else b"medium"
    if not entry.allocated:
        top += b"-deleted"
    parts = (top, *(part for part in entry.exact_path.split(b"/") if part))
    if entry.type in ("directory", "virtual_directory") and entry.stream is None:
        if entry.allocated:
            tree.folder(parts)
        return None
    if entry.recovery is Recovery.NAME_ONLY or entry.size is None:
        return ExtractedFile(entry, None, "not_written", reason="only the name is left")
    if entry.type == "symlink":
        return ExtractedFile(entry, None, "not_written", reason=f"a link to {entry.link_target!r}: links are not made")
    if entry.type not in ("file", "directory", "virtual_directory"):
        return ExtractedFile(
            entry, None, "not_written", reason=f"a {entry.type.replace('_', ' ')} has no content to write"
        )
    suffix = b":" + entry.stream.encode("utf-8", "surrogateescape") if entry.stream else b""
    return _write(tree, reader, fs, entry, parts, suffix)


def _write(
    tree: SafeTree, reader: Explorer, fs: FileSystemRef, entry: FileEntry, parts: tuple[bytes, ...], suffix: bytes
) -> ExtractedFile:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    size = 0
    before = len(reader.losses)
    with tree.file(parts, suffix) as (names, out):
        try:
            if entry.size:
                for piece in reader.read(fs, entry.inode, entry.attribute, path=entry.path):
                    md5.update(piece)
                    sha256.update(piece)
                    size += len(piece)
                    if piece.count(0) == len(piece):
                        out.seek(len(piece), os.SEEK_CUR)
                    else:
                        out.write(piece)
                out.truncate(size)
            out.flush()
            times = _nanoseconds(entry.atime or entry.mtime), _nanoseconds(entry.mtime)
            os.utime(out.fileno(), ns=times)
        except OSError as error:
            raise DestinationError(f"{'/'.join(names)[:200]}: {error.strerror}") from error
    loss = reader.losses[before] if len(reader.losses) > before else None
    return ExtractedFile(
        entry,
        "/".join(names),
        "written" if loss is None else "incomplete",
        size,
        md5.hexdigest(),
        sha256.hexdigest(),
        None if loss is None else loss.message,
    )


def _nanoseconds(text: str | None) -> int:
    """Return RFC 3339 text as nanoseconds since 1970, inside what a file system can hold; 0 for no time."""
    if text is None:
        return 0
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(parse_rfc3339(whole + "Z").timestamp())
    return min(max(seconds, -(1 << 31)), (1 << 33)) * 10**9 + int(fraction.ljust(9, "0")[:9] or 0)
