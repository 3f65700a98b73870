"""What is on a medium, in The Sleuth Kit's words: volume systems, volumes, file systems, file entries, locators."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from forensiq.model.finding import Finding
from forensiq.model.jsonable import Json, to_json

__all__ = ["Content", "ContentKind", "FileEntry", "Locator", "Recovery", "Volume", "VolumeKind", "VolumeSystem"]


class VolumeKind(Enum):
    """What a row of a partition listing is."""

    PARTITION = "partition"
    WHOLE_MEDIUM = "whole_medium"
    """A file system (or the like) that begins at byte 0 of the medium, without a table or in spite of one."""
    POOL_VOLUME = "pool_volume"
    """A volume inside a container that is itself in a partition (APFS)."""
    TABLE = "table"
    """Sectors that hold a partition table."""
    EXTENDED = "extended"
    """An MBR extended partition: only a frame around logical ones."""
    UNPARTITIONED = "unpartitioned"


class ContentKind(Enum):
    """What kind of thing was recognised at the start of a volume."""

    FILE_SYSTEM = "file_system"
    ENCRYPTION = "encryption"
    CONTAINER = "container"
    """Holds volumes of its own (LVM, RAID member, APFS container, CoreStorage)."""
    SWAP = "swap"


class Content(Struct, frozen=True):
    """Something recognised by its signature. ``size`` in bytes as it says of itself; ``offset`` inside the volume."""

    kind: ContentKind
    name: str
    label: str | None = None
    uuid: str | None = None
    size: int | None = None
    block_size: int | None = None
    note: str | None = None


class Volume(Struct, frozen=True):
    """One row of a partition listing; ``offset`` and ``length`` in bytes of the medium.

    ``index`` is the number that commands take: that of the partition in its table (logical MBR partitions from 5), 0
    for the whole medium, ``None`` for rows that are no volumes. ``type_code`` is the table's own value (``0x83``, a
    GUID), ``type`` its name. ``contents`` is everything recognised at the start of the volume: more than one where
    several valid file systems share a place.
    """

    index: int | None
    kind: VolumeKind
    offset: int
    length: int
    scheme: str | None = None
    type: str = ""
    type_code: str | None = None
    name: str | None = None
    partition_uuid: str | None = None
    flags: tuple[str, ...] = ()
    contents: tuple[Content, ...] = ()
    findings: tuple[Finding, ...] = ()
    container_index: int | None = None

    @property
    def end(self) -> int:
        """First byte behind the volume."""
        return self.offset + self.length

    @property
    def is_volume(self) -> bool:
        """Whether it can hold a file system that commands look into."""
        return self.kind in (VolumeKind.PARTITION, VolumeKind.WHOLE_MEDIUM, VolumeKind.POOL_VOLUME)

    def content(self, kind: ContentKind) -> Content | None:
        """Return the first content of a kind."""
        return next((each for each in self.contents if each.kind is kind), None)


class VolumeSystem(Struct, frozen=True):
    """The tables and volumes of a medium, in order of their offset. ``sector_size`` is the unit of the tables."""

    size: int
    sector_size: int
    schemes: tuple[str, ...]
    volumes: tuple[Volume, ...]
    findings: tuple[Finding, ...] = ()

    def volume(self, index: int) -> Volume | None:
        """Return the volume with that number."""
        return next((each for each in self.volumes if each.index == index and each.is_volume), None)


class Recovery(Enum):
    """What is left of a deleted file."""

    RECOVERABLE = "recoverable"
    """Its metadata is there and none of its blocks is in use by another file."""
    PARTLY_OVERWRITTEN = "partly_overwritten"
    """Some or all of its blocks are in use again."""
    NAME_ONLY = "name_only"
    """Only the name is left; metadata is gone or belongs to another file now."""
    UNKNOWN = "unknown"
    """Metadata is there, but no blocks are known any more, or the file system cannot say whether they are in use."""


class Locator(Struct, frozen=True):
    """Where a finding is, stable between runs: image → partition offset → inode → path → stream → byte range.

    ``inode`` and ``attribute`` as The Sleuth Kit writes them (``34``, ``128-1``).
    """

    image: str
    partition_offset: int | None = None
    partition: int | None = None
    inode: int | None = None
    attribute: str | None = None
    path: str | None = None
    stream: str | None = None
    offset: int | None = None
    length: int | None = None

    def __str__(self) -> str:
        parts = [self.image]
        if self.partition_offset is not None:
            number = "" if self.partition is None else f"partition {self.partition} "
            parts.append(f"{number}at byte {self.partition_offset}")
        if self.inode is not None:
            parts.append(f"inode {self.inode}" + (f"-{self.attribute}" if self.attribute else ""))
        if self.path is not None:
            parts.append(self.path + (f":{self.stream}" if self.stream else ""))
        if self.offset is not None:
            parts.append(f"bytes {self.offset}+{self.length or 0}")
        return " → ".join(parts)


class FileEntry(Struct, frozen=True):
    """One name in a file system (one for each stream); the field names are the keys of ``ls --json``.

    ``path`` is text with U+FFFD for invalid bytes; ``path_hex`` then has the exact bytes. ``size`` in bytes of the
    stream; ``None`` where no metadata is left. Times are RFC 3339 in UTC with the resolution of the file system;
    ``None`` where it has none. ``mode`` is octal text of the permission bits. ``attribute`` is The Sleuth Kit's
    type-id of the stream. ``allocated`` is that of the name; ``metadata_allocated`` that of the inode.
    """

    partition: int
    partition_offset: int
    path: str
    inode: int
    type: str
    size: int | None
    allocated: bool
    mtime: str | None
    atime: str | None
    ctime: str | None
    crtime: str | None
    mode: str | None
    uid: int | None
    gid: int | None
    stream: str | None
    attribute: str | None = None
    path_hex: str | None = None
    metadata_allocated: bool | None = None
    orphan: bool = False
    recovery: Recovery | None = None
    link_target: str | None = None
    file_name_times: Mapping[str, str | int | None] | None = None
    name_type: str | None = None
    """What the directory says the entry is, where that is not what the inode (``inode_type``, ``type``) says."""
    inode_type: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> FileEntry:
        """Return the entry that one line of a listing tells; ``ValueError`` where it does not have the right types."""
        times = value.get("file_name_times")
        recovery = value.get("recovery")
        return cls(
            partition=_integer(value, "partition"),
            partition_offset=_integer(value, "partition_offset"),
            path=_text(value, "path") or "",
            inode=_integer(value, "inode"),
            type=_text(value, "type") or "unknown",
            size=_optional_integer(value, "size"),
            allocated=value.get("allocated") is True,
            mtime=_text(value, "mtime"),
            atime=_text(value, "atime"),
            ctime=_text(value, "ctime"),
            crtime=_text(value, "crtime"),
            mode=_text(value, "mode"),
            uid=_optional_integer(value, "uid"),
            gid=_optional_integer(value, "gid"),
            stream=_text(value, "stream"),
            attribute=_text(value, "attribute"),
            path_hex=_text(value, "path_hex"),
            metadata_allocated=None if value.get("metadata_allocated") is None else bool(value["metadata_allocated"]),
            orphan=value.get("orphan") is True,
            recovery=Recovery(recovery) if isinstance(recovery, str) else None,
            link_target=_text(value, "link_target"),
            name_type=_text(value, "name_type"),
            inode_type=_text(value, "inode_type"),
            file_name_times={key: each if isinstance(each, (str, int)) else None for key, each in times.items()}
            if isinstance(times, dict)
            else None,
        )

    def to_line(self) -> bytes:
        """Return the entry as a line of JSON, with a line feed."""
        value = {key: each for key, each in _json_object(self).items() if each is not None or key in _ALWAYS}
        return json.dumps(value).encode("ascii") + b"\n"

    @property
    def exact_path(self) -> bytes:
        """The bytes of the path as they are on the medium."""
        return bytes.fromhex(self.path_hex) if self.path_hex is not None else self.path.encode("utf-8", "surrogatepass")


_ALWAYS = frozenset({"size", "mtime", "atime", "ctime", "crtime", "mode", "uid", "gid", "stream"})


def _json_object(entry: FileEntry) -> dict[str, Json]:
    value = to_json(entry)
    return value if isinstance(value, dict) else {}


def _text(value: Mapping[str, Json], key: str) -> str | None:
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise ValueError(f"{key} is not text")
    return found


def _optional_integer(value: Mapping[str, Json], key: str) -> int | None:
    found = value.get(key)
    if found is not None and (not isinstance(found, int) or isinstance(found, bool)):
        raise ValueError(f"{key} is not a number")
    return found


def _integer(value: Mapping[str, Json], key: str) -> int:
    found = _optional_integer(value, key)
    if found is None:
        raise ValueError(f"{key} is missing")
    return found
