"""Looks into an image through workers, and goes on where one of them dies.

A walk is deterministic: behind a crash or a hang a new worker walks again, passes over the entry that killed the
last one, and drops the lines that were given already. What was lost is a :class:`Loss` with its locator.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from forensiq.analysis.client import RequestFailed, Worker, WorkerDied
from forensiq.analysis.opening import ImageRef
from forensiq.errors import ForensiqError
from forensiq.model.extent import Extent
from forensiq.model.from_json import from_json
from forensiq.model.listing import (
    Content,
    ContentKind,
    FileEntry,
    Locator,
    Volume,
    VolumeKind,
    VolumeSystem,
)
from forensiq.streams.closing import Closing
from forensiq.streams.frames import IN_BATCH, FrameKind

__all__ = ["Explorer", "FileSystemRef", "Loss", "VolumeState", "entries_of"]

_READ = frozenset(
    {"NTFS", "FAT12", "FAT16", "FAT32", "exFAT", "UFS1", "UFS2", "ext2", "ext3", "ext4", "ISO 9660", "HFS+", "HFSX",
     "XFS", "APFS"}
)  # fmt: skip
"""Names of file systems that are read, unless something is wrong with them."""
_BY_ENTRY = ("digest", "scan", "types")
"""Questions that go on behind the entries that are done; the others drop the lines that were given already."""
_MOST_DEATHS = 25
"""Workers that one walk may cost before the rest of the file system is given up."""


_LINES = frozenset({FrameKind.LINES, FrameKind.TEXT, FrameKind.ROWS})


class Loss(Struct, frozen=True):
    """Something that could not be looked into: where, and why."""

    where: Locator
    message: str
    unreadable: tuple[Extent, ...] = ()


class FileSystemRef(Struct, frozen=True):
    """A file system in a volume; ``type`` names it where more than one shares the place."""

    volume: Volume
    type: str = ""
    pool_offset: int | None = None
    pool_block: int | None = None

    def request(self) -> dict[str, object]:
        """Return what a request names it by."""
        offset = self.volume.offset if self.pool_offset is None else self.pool_offset
        return {
            "partition": self.volume.index or 0,
            "offset": offset,
            "pool_block": self.pool_block,
            "type": self.type,
        }


class VolumeState(Struct, frozen=True):
    """Whether a volume can be looked into. ``reason`` says why not, in words for people."""

    volume: Volume
    file_systems: tuple[FileSystemRef, ...]
    reason: str | None = None


class Explorer(Closing):
    """An image that is being looked into. Use it from one thread; one answer at a time."""

    def __init__(self, reference: ImageRef, *, stall: float = 60.0, formatter: bool = False) -> None:
        """Start a worker; with ``formatter`` one with a process beside it, for walks on several processors."""
        self.reference = reference
        self.losses: list[Loss] = []
        self._stall = stall
        self._formatter = formatter
        self._worker: Worker | None = None
        try:
            self.facts: Mapping[str, Any] = self.worker.facts
        except WorkerDied as error:
            raise ForensiqError(f"{reference.path}: {error.message} while it opened the image") from None
        self._pools: dict[int, tuple[int, int, bool]] = {}

    @property
    def worker(self) -> Worker:
        """A living worker."""
        if self._worker is None:
            self._worker = Worker(self.reference, stall=self._stall, formatter=self._formatter)
        return self._worker

    def drop_worker(self) -> None:
        """End the worker; the next question starts another one."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def close(self) -> None:
        """End everything; may be called twice."""
        self.drop_worker()

    def volumes(self) -> VolumeSystem:
        """Return the partition listing, with the volumes inside APFS containers after their container."""
        try:
            answer = self.worker.value("volumes", sector_size=self.reference.sector_size)
        except (WorkerDied, RequestFailed) as error:
            self.drop_worker()
            raise ForensiqError(f"{self.reference.path}: {error.message} while it looked for volumes") from None
        system = from_json(VolumeSystem, answer["system"])
        rows = list(system.volumes)
        number = max((row.index or 0 for row in rows), default=0)
        for key, pool in dict(answer["pools"]).items():
            at = next(place for place, row in enumerate(rows) if row.index == int(key) and row.is_volume)
            container = rows[at]
            for each in pool.get("volumes", ()):
                number += 1
                at += 1
                rows.insert(at, _pool_volume(container, number, each))
                self._pools[number] = (container.offset, int(each["block"]), bool(each["encrypted"]))
        return replace(system, volumes=tuple(rows))

    def state(self, volume: Volume, *, as_recognised: bool = False) -> VolumeState:
        """Find out whether a volume can be looked into, by asking The Sleuth Kit; a crash of it is a reason too.

        ``as_recognised`` opens it as what it was recognised to be and as nothing else: few reads, where The Sleuth Kit
        left to itself searches the whole medium for one kind of file system.
        """
        encrypted = volume.content(ContentKind.ENCRYPTION)
        if encrypted is not None:
            return VolumeState(volume, (), f"encrypted ({encrypted.name}): its files cannot be listed without the key")
        pool = self._pools.get(volume.index or 0) if volume.kind is VolumeKind.POOL_VOLUME else None
        names = [each.name for each in volume.contents if each.kind is ContentKind.FILE_SYSTEM]
        candidates = [FileSystemRef(volume)]
        if pool is not None:
            candidates = [FileSystemRef(volume, pool_offset=pool[0], pool_block=pool[1])]
        elif len(names) > 1 or as_recognised:
            candidates = [FileSystemRef(volume, name) for name in names]
        opened: list[FileSystemRef] = []
        failures: list[str] = []
        for candidate in candidates:
            try:
                self.worker.value("open", **candidate.request())
                opened.append(candidate)
            except RequestFailed as error:
                failures.append(error.message)
            except WorkerDied as error:
                self.drop_worker()
                failures.append(error.message)
        return VolumeState(volume, tuple(opened), None if opened else _why_not(volume, failures))

    def walk(
        self,
        fs: FileSystemRef,
        *,
        recurse: bool = True,
        deleted: bool = False,
        recovery: bool = True,
        start: FileEntry | None = None,
        do: str = "walk",
        **more: object,
    ) -> Iterator[bytes]:
        """Yield batches of entries, as lines of JSON; what is lost on the way is added to :attr:`losses`.

        With ``body="/"`` the lines are those of a body file instead, their paths beginning with that; with
        ``rows=True`` those of a terminal, with ``events="text"`` (or csv, jsonl) those of a time line
        (:mod:`~forensiq.analysis.forms`). ``start`` is the directory to begin with; ``deleted`` leaves only entries
        that are not allocated.
        """
        delivered = done = 0
        skip: list[tuple[int, int]] = []
        careful: list[int] = []
        request = fs.request() | {"recurse": recurse, "deleted": deleted, "recovery": recovery} | more
        if start is not None:
            exact = None if start.path_hex is None else (start.exact_path + b"/").hex()
            request |= {"start": start.inode, "path": start.path + "/", "path_hex": exact}
        while True:
            try:
                for kind, payload in self.worker.ask(
                    do, **request, skip=skip, careful=careful, drop=delivered, done=done
                ):
                    if kind in _LINES:
                        if do not in _BY_ENTRY:
                            delivered += payload.count(b"\n")
                        yield payload
                    elif kind is FrameKind.REPORT:
                        self._report(fs, json.loads(payload))
                return
            except RequestFailed as error:
                self._lost(fs, error.message)
                return
            except WorkerDied as error:
                self.drop_worker()
                place = (error.place.inode, error.place.index)
                done = max(done, error.place.done) if do in _BY_ENTRY else 0
                if place[1] == IN_BATCH and place[0] not in careful and len(careful) < _MOST_DEATHS:
                    # Which entry of the batch it was is found by loading them one by one; nothing is lost yet.
                    careful.append(place[0])
                    continue
                self._lost(fs, error.message, error.place.inode)
                if place in skip or len(skip) >= _MOST_DEATHS:
                    self._lost(fs, "too many crashes: the rest of this file system is not listed")
                    return
                skip.append(place)

    def second_opinion(self, fs: FileSystemRef) -> tuple[list[dict[str, Any]], int]:
        """Return where another library tells something else about the entries of ``fs`` (APFS); how many were compared.

        What could not be compared is added to :attr:`losses`.
        """
        differences: list[dict[str, Any]] = []
        value: Mapping[str, Any] = {}
        try:
            for kind, payload in self.worker.ask("second_opinion", **fs.request()):
                if kind is FrameKind.LINES:
                    differences += map(json.loads, payload.splitlines())
                elif kind is FrameKind.VALUE:
                    value = json.loads(payload)
        except RequestFailed as error:
            self._lost(fs, f"no second opinion: {error.message}")
        except WorkerDied as error:
            self.drop_worker()
            self._lost(fs, f"no second opinion: {error.message}", error.place.inode)
        if value.get("reason"):
            self._lost(fs, f"no second opinion: {value['reason']}")
        return differences, int(value.get("compared", 0))

    def find(self, fs: FileSystemRef, path: str) -> list[FileEntry]:
        """Return the entries at a path: the streams of the allocated one first, deleted namesakes after it."""
        try:
            frames = list(self.worker.ask("find", path=path, **fs.request()))
        except WorkerDied as error:
            self.drop_worker()
            self._lost(fs, error.message, error.place.inode)
            return []
        except RequestFailed as error:
            self._lost(fs, error.message)
            return []
        return [entry for kind, payload in frames if kind is FrameKind.LINES for entry in entries_of(payload)]

    def read(
        self,
        fs: FileSystemRef,
        inode: int,
        attribute: str | None = None,
        *,
        at: int = 0,
        length: int | None = None,
        slack: bool = False,
        path: str | None = None,
    ) -> Iterator[bytes]:
        """Yield the bytes of a stream from ``at`` on; a stream that cannot be read to its end is a loss.

        What was yielded before is right; whoever needs all of it looks at :attr:`losses`.
        """
        request = fs.request() | {"inode": inode, "attribute": attribute, "at": at, "length": length, "slack": slack}
        try:
            for kind, payload in self.worker.ask("read", **request):
                if kind is FrameKind.DATA:
                    yield payload
        except RequestFailed as error:
            self._lost(fs, error.message, inode, path)
        except WorkerDied as error:
            self.drop_worker()
            self._lost(fs, error.message, inode, path)

    def locator(self, fs: FileSystemRef, inode: int | None = None, path: str | None = None) -> Locator:
        """Return where something in a file system is."""
        return Locator(self.reference.path, fs.volume.offset, fs.volume.index, inode, path=path)

    def _lost(self, fs: FileSystemRef, message: str, inode: int | None = None, path: str | None = None) -> None:
        self.losses.append(Loss(self.locator(fs, inode, path), message))

    def _report(self, fs: FileSystemRef, value: Mapping[str, Any]) -> None:
        inode, path = value.get("inode"), value.get("path")
        extents = tuple(Extent(int(offset), int(length)) for offset, length in value.get("unreadable", ()))
        where = self.locator(fs, inode if isinstance(inode, int) else None, path if isinstance(path, str) else None)
        self.losses.append(Loss(where, str(value.get("message")), extents))


def entries_of(batch: bytes) -> Iterator[FileEntry]:
    """Yield the entries of a batch of lines."""
    for line in batch.splitlines():
        yield FileEntry.from_json(json.loads(line))


def _pool_volume(container: Volume, number: int, facts: Mapping[str, Any]) -> Volume:
    encrypted = bool(facts["encrypted"])
    kind = ContentKind.ENCRYPTION if encrypted else ContentKind.FILE_SYSTEM
    name = "APFS (encrypted)" if encrypted else "APFS"
    return Volume(
        index=number,
        kind=VolumeKind.POOL_VOLUME,
        offset=container.offset,
        length=container.length,
        scheme="apfs",
        type="APFS volume",
        name=str(facts["name"]) or None,
        contents=(Content(kind, name, str(facts["name"]) or None),),
        container_index=container.index,
    )


def _why_not(volume: Volume, failures: list[str]) -> str:
    """Say what is there and that it is not supported; never that there is nothing."""
    names = " and ".join(content.name for content in volume.contents)
    if not names:
        return (
            "nothing was recognised in it: unformatted, overwritten, encrypted without a header, or of an unknown kind"
        )
    kinds = {content.kind for content in volume.contents}
    if kinds == {ContentKind.SWAP}:
        return f"{names}: no file system"
    detail = f" ({failures[0]})" if failures and ContentKind.FILE_SYSTEM in kinds else ""
    if any(content.name in _READ for content in volume.contents):
        return f"{names} was recognised, but cannot be opened{detail}: damaged, or made in a way that is not supported"
    return f"{names} is not supported: its files are not listed{detail}"
