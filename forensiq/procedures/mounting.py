"""Show an image as files, read-only, through FUSE: the medium as one raw file, each file system as a tree."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from forensiq.procedures import fuse_library  # isort: skip # noqa: F401 # before mfusepy
import mfusepy

from forensiq.analysis.opening import ImageRef, open_reference
from forensiq.clock import monotonic, parse_rfc3339, sleep
from forensiq.errors import DestinationExistsError, ForensiqError, UsageError
from forensiq.images.scope_map import inherited_scope
from forensiq.procedures.mount_medium import MediumReader
from forensiq.procedures.mount_tree import MEDIA, MountTree, Node

__all__ = ["is_mounted", "is_stale", "mount_image", "prepare", "read_far_ahead", "unmount_image", "wait_until_mounted"]

_NAME = "forensiq"
_SECONDS = 3600
"""How long the kernel may believe what it was told: evidence does not change."""


_MEDIA_PATH = f"/{MEDIA}"
_MEDIA_BYTES = _MEDIA_PATH.encode()
_READ_AHEAD_KIB = b"1024"
"""What the kernel reads ahead by itself is 128 KiB, and each of its requests costs as much as its bytes."""


_THREADS = 2
"""Of libfuse: it wakes them in turn, and more of them only meet colder caches. Decoding has threads of its own."""


class _Fuse(mfusepy.FUSE):  # type: ignore[misc]
    """Reads of the medium go into the buffer of libfuse at once, not through bytes of Python."""

    def read(self, path: bytes | None, buffer: Any, size: int, offset: int, info: Any) -> int:  # noqa: ANN401
        if path != _MEDIA_BYTES:
            return int(super().read(path, buffer, size, offset, info))
        target = (ctypes.c_char * size).from_address(ctypes.addressof(buffer.contents))
        return int(self.operations.medium.read_into(offset, memoryview(target).cast("B")))


class _Operations(mfusepy.Operations):  # type: ignore[misc]
    """What FUSE asks, answered from the medium and the tree. Nothing here writes; the mount is read-only besides."""

    def __init__(self, reference: ImageRef, *, deleted: bool) -> None:
        self._image = open_reference(reference)
        scope = inherited_scope(self._image)
        self.medium = MediumReader(self._image, scope.ranges if scope is not None else None)
        self._media = Node(is_folder=False, size=self._image.size)
        self._tree = MountTree(reference, deleted=deleted, beside={MEDIA: self._media})

    def destroy(self, path: str) -> None:
        self._tree.close()
        self.medium.close()
        self._image.close()

    def _node(self, path: str) -> Node:
        try:
            node = self._media if path == _MEDIA_PATH else self._tree.find(path)
        except ForensiqError:
            raise mfusepy.FuseOSError(errno.EIO) from None  # the medium can be read all the same
        if node is None:
            raise mfusepy.FuseOSError(errno.ENOENT)
        return node

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        node = self._node(path)
        kind = stat.S_IFDIR | 0o555 if node.is_folder else stat.S_IFLNK | 0o777 if node.link else stat.S_IFREG | 0o444
        size = len(node.link.encode("utf-8", "surrogateescape")) if node.link else node.size
        facts: dict[str, Any] = {"st_mode": kind, "st_nlink": 2 if node.is_folder else 1, "st_size": size}
        facts |= {"st_uid": os.getuid(), "st_gid": os.getgid(), "st_blocks": -(-size // 512)}
        if node.entry is not None:
            for key, text in (
                ("st_mtime", node.entry.mtime),
                ("st_atime", node.entry.atime),
                ("st_ctime", node.entry.ctime),
            ):
                facts[key] = parse_rfc3339(text[:19] + "Z").timestamp() if text else 0
        return facts

    def readdir(self, path: str, fh: int) -> Iterator[str]:
        yield from (".", "..")
        try:
            yield from list(self._tree.children(self._node(path)))
        except ForensiqError:
            raise mfusepy.FuseOSError(errno.EIO) from None

    def readlink(self, path: str) -> str:
        return self._node(path).link or ""

    def open(self, path: str, flags: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise mfusepy.FuseOSError(errno.EROFS)
        self._node(path)
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        node = self._node(path)
        try:
            return self._tree.read(node, offset, size)
        except EOFError:
            raise mfusepy.FuseOSError(errno.EIO) from None

    def statfs(self, path: str) -> dict[str, int]:
        blocks = -(-self._image.size // 512)
        return {"f_bsize": 512, "f_frsize": 512, "f_blocks": blocks, "f_bfree": 0, "f_bavail": 0, "f_namemax": 255}


def mount_image(reference: ImageRef, directory: Path, *, deleted: bool = False, allow_other: bool = False) -> None:
    """Serve ``directory`` until it is unmounted; returns then. ``directory`` is made if it is not there.

    A range of the medium that cannot be given as it was acquired is an I/O error to whoever reads it.
    """
    prepare(directory)
    operations = _Operations(reference, deleted=deleted)
    options: dict[str, Any] = {"kernel_cache": True, "attr_timeout": _SECONDS, "entry_timeout": _SECONDS}
    if allow_other:
        options["allow_other"] = True
    if (mfusepy.fuse_version_major, mfusepy.fuse_version_minor) >= (3, 12):
        options["max_threads"] = _THREADS
    try:
        _Fuse(
            operations,
            str(directory),
            foreground=True,
            ro=True,
            fsname=_NAME,
            subtype=_NAME,
            nothreads=False,
            **options,
        )
    except RuntimeError as error:
        raise ForensiqError(f"{directory} could not be mounted (FUSE error {error})", path=str(directory)) from error


def prepare(directory: Path) -> None:
    """Make the folder, or see that it is empty; a mount that a dead process left behind is taken away first."""
    if is_stale(directory):
        _run_unmount(directory, lazy=True)
    directory.mkdir(parents=True, exist_ok=True)
    if is_mounted(directory):
        raise DestinationExistsError(f"something is mounted on {directory} already", path=str(directory))
    if any(directory.iterdir()):
        raise DestinationExistsError(f"{directory} is not empty", hint="name an empty or a new folder")


def is_mounted(directory: Path) -> bool:
    """Whether something is mounted on ``directory``, a dead one included."""
    wanted = os.path.abspath(directory)
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        place = line.split(" ")[1]
        if place.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\") == wanted:
            return True
    return False


def is_stale(directory: Path) -> bool:
    """Whether a mount is left over from a process that died."""
    try:
        os.statvfs(directory)  # the kernel knows its attributes without asking anybody
    except OSError as error:
        return error.errno in (errno.ENOTCONN, errno.EIO)
    return False


def wait_until_mounted(directory: Path, process: subprocess.Popen[bytes], seconds: float = 60) -> bool:
    """Wait until the process has mounted; ``False`` where it ended or took too long."""
    until = monotonic() + seconds
    while monotonic() < until:
        if is_mounted(directory) and not is_stale(directory):
            return True
        if process.poll() is not None:
            return False
        sleep(0.05)
    return False


def read_far_ahead(directory: Path) -> None:
    """Let the kernel read ahead further in this mount, where it lets us (root)."""
    device = directory.stat().st_dev
    setting = f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb"
    with contextlib.suppress(OSError):
        descriptor = os.open(setting, os.O_WRONLY)
        try:
            os.write(descriptor, _READ_AHEAD_KIB)
        finally:
            os.close(descriptor)


def unmount_image(directory: Path) -> bool:
    """Unmount; return whether the mount was one that a dead process left behind.

    Raises :class:`~forensiq.errors.UsageError` where nothing is mounted, or somebody still uses it.
    """
    if not is_mounted(directory):
        raise UsageError(f"nothing is mounted on {directory}", path=str(directory))
    stale = is_stale(directory)
    done = _run_unmount(directory, lazy=stale)
    if done.returncode:
        text = done.stderr.decode("utf-8", "replace").strip()
        raise UsageError(f"{directory} could not be unmounted: {text}", hint="is a program still in it?")
    return stale


def _run_unmount(directory: Path, *, lazy: bool) -> subprocess.CompletedProcess[bytes]:
    for program in ("fusermount3", "fusermount"):
        with contextlib.suppress(FileNotFoundError):
            command = [program, "-u", *(["-z"] if lazy else []), os.path.abspath(directory)]
            return subprocess.run(command, capture_output=True, check=False)
    command = ["umount", *(["-l"] if lazy else []), os.path.abspath(directory)]
    return subprocess.run(command, capture_output=True, check=False)
