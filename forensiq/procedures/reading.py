"""Give the bytes of one file, stream or inode of an image."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from forensiq.analysis.explorer import FileSystemRef
from forensiq.errors import UsageError, VerificationFailed
from forensiq.model.listing import FileEntry
from forensiq.procedures.listing import Listing, name_of

__all__ = ["FoundStream", "find_stream", "read_stream"]


class FoundStream(Struct, frozen=True):
    """A stream that was named: its file system and its entry."""

    file_system: FileSystemRef
    entry: FileEntry


def find_stream(
    listing: Listing, path: str | None, *, inode: int | None = None, attribute: str | None = None, deleted: bool = False
) -> FoundStream:
    """Return the one stream that ``path`` (``/a/b`` or ``/a/b:stream``) or an inode names.

    An allocated file comes before deleted ones of its name, unless ``deleted``. A path in several partitions, or
    nowhere, is a :class:`~forensiq.errors.UsageError`.
    """
    if inode is not None:
        systems = list(listing.file_systems)
        if len(systems) != 1:
            raise UsageError("an inode needs its partition", hint="add --partition N", inode=inode)
        fs = systems[0]
        entry = FileEntry(
            fs.volume.index or 0, fs.volume.offset, f"inode {inode}", inode, "file", None, True,
            None, None, None, None, None, None, None, None, attribute,
        )  # fmt: skip
        return FoundStream(fs, entry)
    if path is None:
        raise UsageError("name a path or an inode")
    found = [
        FoundStream(fs, entry)
        for fs in listing.file_systems
        for entry in _candidates(listing, fs, path, deleted=deleted)
    ]
    if not found:
        raise UsageError(f"{path} is not in this image", hint="'forensiq ls -r' shows what is")
    places = {each.file_system.volume.index for each in found}
    if len(places) > 1:
        names = ", ".join(name_of(each.file_system.volume) for each in found)
        raise UsageError(f"{path} is in more than one place: {names}", hint="add --partition N")
    return found[0]


def _candidates(listing: Listing, fs: FileSystemRef, path: str, *, deleted: bool) -> list[FileEntry]:
    entries = [entry for entry in listing.explorer.find(fs, path) if entry.stream is None]
    if not entries and ":" in path.rsplit("/", 1)[-1]:
        base, _, stream = path.rpartition(":")
        entries = [entry for entry in listing.explorer.find(fs, base) if entry.stream == stream]
    return [entry for entry in entries if not entry.allocated] if deleted else entries


def read_stream(listing: Listing, found: FoundStream, *, slack: bool = False) -> Iterator[bytes]:
    """Yield the bytes; :class:`~forensiq.errors.VerificationFailed` at the point where they cannot be read."""
    entry = found.entry
    if entry.type in ("directory", "virtual_directory") and entry.stream is None:
        raise UsageError(f"{entry.path} is a folder", hint="'forensiq extract' writes out a whole folder")
    before = len(listing.losses)
    yield from listing.explorer.read(found.file_system, entry.inode, entry.attribute, slack=slack, path=entry.path)
    if len(listing.losses) > before:
        loss = listing.losses[before]
        raise VerificationFailed(f"{loss.where}: {loss.message}", inode=entry.inode)
