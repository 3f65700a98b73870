"""The tree that a mounted image shows: names, entries and bytes, without anything of FUSE."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

from msgspec import Struct

from forensiq.analysis.explorer import Explorer, FileSystemRef, entries_of
from forensiq.analysis.opening import ImageRef
from forensiq.model.listing import FileEntry, Recovery

__all__ = ["MEDIA", "MountTree", "Node"]

MEDIA = "media.raw"
_BLOCK = 1 << 20
_BLOCKS = 64
_FOLDERS = 2000
_MOST_DELETED = 200_000
_LONGEST = 255


class Node(Struct):
    """A file or folder of the tree. ``children`` of synthetic folders are known from the start."""

    is_folder: bool
    size: int = 0
    fs: FileSystemRef | None = None
    entry: FileEntry | None = None
    children: dict[str, Node] | None = None
    link: str | None = None
    deleted_of: FileSystemRef | None = None


class MountTree:
    """One folder for each file system; another one for what was deleted in it, where wanted. Safe from many threads.

    Folders are listed when somebody looks, and forgotten again (the last 2000 are kept); bytes are kept in 64 blocks
    of 1 MiB. Both come out of one worker process at a time.
    """

    def __init__(self, reference: ImageRef, *, deleted: bool = False, beside: Mapping[str, Node] | None = None) -> None:
        """The image is opened when somebody looks. ``beside`` are nodes of the root besides the file systems.

        An image without any file system that can be listed shows those only.
        """
        self._lock = threading.Lock()
        self._opened: Explorer | None = None
        self._deleted_too = deleted
        self._beside = dict(beside or {})
        self.root = Node(is_folder=True)
        self._listed: OrderedDict[int, Node] = OrderedDict()
        self._kept: OrderedDict[tuple[int, int, str | None, int], bytes] = OrderedDict()
        self._reference = reference

    @property
    def _explorer(self) -> Explorer:
        if self._opened is None:
            self._opened = Explorer(self._reference)
        return self._opened

    def _volumes(self) -> dict[str, Node]:
        names: dict[str, Node] = {}
        for volume in self._explorer.volumes().volumes:
            if not volume.is_volume:
                continue
            for fs in self._explorer.state(volume).file_systems:
                name = f"partition-{volume.index}" if volume.index else "medium"
                name += f"-{fs.type}" if fs.type else ""
                names[name] = Node(is_folder=True, fs=fs)
                if self._deleted_too:
                    names[f"{name}-deleted"] = Node(is_folder=True, deleted_of=fs)
        return names | self._beside

    def close(self) -> None:
        """End the worker."""
        if self._opened is not None:
            self._opened.close()

    def find(self, path: str) -> Node | None:
        """Return what is at a path of the mount; ``None`` where there is nothing."""
        node = self.root
        for part in path.split("/"):
            if not part:
                continue
            below = self.children(node).get(part) if node.is_folder else None
            if below is None:
                return None
            node = below
        return node

    def children(self, node: Node) -> dict[str, Node]:
        """Return the names in a folder."""
        with self._lock:
            if node.children is not None:
                if id(node) in self._listed:
                    self._listed.move_to_end(id(node))
                return node.children
            if node is self.root:
                node.children = self._volumes()
                return node.children
            if node.deleted_of is not None:
                node.children = self._deleted(node.deleted_of)
                return node.children
            names: dict[str, Node] = {}
            if node.fs is not None:
                for batch in self._explorer.walk(node.fs, recurse=False, start=node.entry, recovery=False):
                    for entry in entries_of(batch):
                        if entry.allocated:
                            _add(names, _name(entry), _node(node.fs, entry))
            node.children = names
            self._listed[id(node)] = node
            while len(self._listed) > _FOLDERS:
                _, forgotten = self._listed.popitem(last=False)
                forgotten.children = None
            return names

    def _deleted(self, fs: FileSystemRef) -> dict[str, Node]:
        top: dict[str, Node] = {}
        count = 0
        for batch in self._explorer.walk(fs, deleted=True):
            for entry in entries_of(batch):
                if entry.recovery is Recovery.NAME_ONLY or entry.size is None or count >= _MOST_DELETED:
                    continue
                count += 1
                names = top
                parts = [part for part in entry.exact_path.split(b"/") if part]
                for part in parts[:-1]:
                    folder = names.setdefault(_short(part), Node(is_folder=True, children={}))
                    if folder.children is None:
                        folder.children = {}
                    folder.is_folder = True
                    names = folder.children
                if entry.type not in ("directory", "virtual_directory"):
                    _add(names, _name(entry), _node(fs, entry))
        return top

    def read(self, node: Node, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes of a file; ``OSError`` (EIO) is the caller's where they fall short."""
        if node.fs is None or node.entry is None:
            return b""
        end = min(node.size, offset + size)
        result = bytearray()
        while offset < end:
            block = self._block(node, offset // _BLOCK)
            inside = offset % _BLOCK
            part = block[inside : inside + end - offset]
            if not part:
                raise EOFError
            result += part
            offset += len(part)
        return bytes(result)

    def _block(self, node: Node, number: int) -> bytes:
        assert node.fs is not None
        assert node.entry is not None
        key = (node.fs.volume.index or 0, node.entry.inode, node.entry.attribute, number)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept
            before = len(self._explorer.losses)
            pieces = self._explorer.read(
                node.fs, node.entry.inode, node.entry.attribute, at=number * _BLOCK, length=_BLOCK
            )
            data = b"".join(pieces)
            if len(self._explorer.losses) > before:
                raise EOFError
            self._kept[key] = data
            while len(self._kept) > _BLOCKS:
                self._kept.popitem(last=False)
            return data


def _node(fs: FileSystemRef, entry: FileEntry) -> Node:
    if entry.type in ("directory", "virtual_directory") and entry.stream is None:
        return Node(is_folder=True, fs=fs, entry=entry)
    return Node(is_folder=False, size=entry.size or 0, fs=fs, entry=entry, link=entry.link_target)


def _name(entry: FileEntry) -> str:
    raw = entry.exact_path.rsplit(b"/", 1)[-1]
    if entry.stream:
        raw += b":" + entry.stream.encode("utf-8", "surrogateescape")
    return _short(raw)


def _short(raw: bytes) -> str:
    return (raw.replace(b"\0", b"?") or b"?")[:_LONGEST].decode("utf-8", "surrogateescape")


def _add(names: dict[str, Node], name: str, node: Node) -> None:
    candidate, number = name, 1
    while candidate in names:
        number += 1
        candidate = f"{name[: _LONGEST - 8]}~{number}"
    names[candidate] = node
