"""How block devices hang together: partitions, device-mapper and md over their members, loop devices over files.

Source: the kernel's ABI documents for ``/sys/block`` and ``/sys/class/block``: ``slaves``, ``holders``,
``loop/backing_file``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from msgspec import Struct

from forensiq.devices.mounts import Mount, mount_over, mounts_of_self
from forensiq.devices.system import System, device_path
from forensiq.errors import SourceError, UsageError

__all__ = [
    "Holding",
    "backing_file",
    "btrfs_members",
    "device_holding",
    "holders_of",
    "is_partition",
    "lies_on",
    "loops_over",
    "members_of",
    "partitions_of",
    "whole_device_of",
    "whole_name",
]

_DEEPEST = 32


class Holding(Struct, frozen=True):
    """What a path lies on: the file system, and every block device under it, from the nearest down to whole drives.

    ``devices`` are kernel names. ``undetermined`` says where the way down could not be followed, if it could not.
    """

    path: str
    mount_point: str | None
    filesystem: str | None
    devices: tuple[str, ...]
    undetermined: str | None = None


def is_partition(name: str, system: System) -> bool:
    """Say whether a block device is a partition."""
    return (system.block(name) / "partition").exists()


def whole_name(name: str, system: System) -> str:
    """Return the kernel name of the whole device that ``name`` is a part of (or is)."""
    return os.path.realpath(system.block(name) / "..").rsplit("/", 1)[-1] if is_partition(name, system) else name


def whole_device_of(path: str, system: System | None = None) -> str:
    """Return the node of the whole device that the device at ``path`` is a part of (or is)."""
    system = system or System()
    return device_path(whole_name(system.require_name(path), system))


def partitions_of(name: str, system: System) -> tuple[str, ...]:
    """Return the kernel names of the partitions of a whole device, in the order of their numbers."""
    folder = system.block(name)
    # Asked after every read error. The kernel begins the name of a partition with that of its disk.
    found = [each for each in system.names(folder) if each.startswith(name) and (folder / each / "partition").exists()]
    return tuple(sorted(found, key=lambda each: (system.number(folder / each / "partition") or 0, each)))


def holders_of(name: str, system: System) -> tuple[str, ...]:
    """Return the devices that the kernel has built directly on ``name``: dm, md, bcache."""
    return system.names(system.block(name) / "holders")


def members_of(name: str, system: System) -> tuple[str, ...]:
    """Return the devices that ``name`` (dm, md, bcache) is directly built on."""
    return system.names(system.block(name) / "slaves")


def backing_file(name: str, system: System) -> str | None:
    """Return the file or device node under a loop device."""
    return system.read(system.block(name) / "loop" / "backing_file")


def loops_over(names: frozenset[str], system: System) -> Iterator[tuple[str, str]]:
    """Yield (loop device, block device) for every loop device whose backing file is the node of one of ``names``."""
    for loop in system.names(system.sys / "block"):
        backing = backing_file(loop, system)
        if not backing or not backing.startswith("/dev/"):
            continue
        below = _name_or_none(backing, system)
        if below in names:
            yield loop, below


def device_holding(path: str, system: System | None = None) -> Holding:
    """Return what ``path`` lies on; where it does not exist yet, what it would lie on.

    The path of a block device is held by that device.
    """
    system = system or System()
    mounts = mounts_of_self(system)
    real = _real(path, system)
    name = _name_or_none(real, system)
    if name is not None:
        devices, missing = _below(name, mounts, system)
        return Holding(path, None, None, devices, missing)
    mount = mount_over(real, mounts)
    if mount is None:
        return Holding(path, None, None, (), "no mount point is known for it")
    devices, missing = _under(mount, mounts, system, 0)
    return Holding(path, mount.point, mount.filesystem, devices, missing)


def lies_on(path: str, device: str, system: System | None = None) -> bool | None:
    """Say whether ``path`` lies on the drive that ``device`` is or is a part of; ``None``: could not be determined."""
    system = system or System()
    whole = whole_name(system.require_name(device), system)
    holding = device_holding(path, system)
    if whole in holding.devices:
        return True
    return None if holding.undetermined else False


def _real(path: str, system: System) -> str:
    """Return ``path`` without links; what of it does not exist yet stays as it is."""
    return os.path.realpath(path) if system.live else os.path.normpath(path)


def _name_or_none(path: str, system: System) -> str | None:
    try:
        return system.name_of_path(path)
    except (SourceError, UsageError):
        return None


def _under(mount: Mount, mounts: tuple[Mount, ...], system: System, depth: int) -> tuple[tuple[str, ...], str | None]:
    """Return the devices under a mounted file system."""
    if depth > _DEEPEST:
        return (), "the layers of mounts are too deep"
    name = system.name_of_number(mount.number)
    if name is None and mount.source.startswith("/dev/"):
        name = _name_or_none(mount.source, system)
    if name is not None:
        devices, missing = _below(name, mounts, system, depth + 1)
        others = btrfs_members(name, system) if mount.filesystem == "btrfs" else ()
        for other in others:
            more, unknown = _below(other, mounts, system, depth + 1)
            devices, missing = (*devices, *(each for each in more if each not in devices)), missing or unknown
        return devices, missing
    if mount.filesystem == "overlay" and (upper := mount.option("upperdir")):
        below = mount_over(_real(upper, system), tuple(each for each in mounts if each != mount))
        if below is not None:
            return _under(below, mounts, system, depth + 1)
    if mount.filesystem in ("tmpfs", "ramfs", "devtmpfs"):
        return (), None
    return (), f"{mount.filesystem} file system from {mount.source or 'an unnamed source'}"


def _below(name: str, mounts: tuple[Mount, ...], system: System, depth: int = 0) -> tuple[tuple[str, ...], str | None]:
    """Return ``name`` and every device under it; partitions lead to their whole device, loops to their file's disk."""
    found: dict[str, None] = {}
    waiting = [name]
    missing: str | None = None
    while waiting:
        each = waiting.pop()
        if each in found:
            continue
        found[each] = None
        whole = whole_name(each, system)
        if whole != each:
            waiting.append(whole)
        waiting += members_of(each, system)
        file = backing_file(each, system)
        if not file:
            continue
        node = _name_or_none(file, system)
        if node is not None:
            waiting.append(node)
        elif depth > _DEEPEST:
            missing = missing or "the layers of loop devices are too deep"
        elif (mount := mount_over(_real(file, system), mounts)) is not None:
            more, unknown = _under(mount, mounts, system, depth + 1)
            found |= dict.fromkeys(more)
            missing = missing or unknown
        else:
            missing = missing or f"the file {file} under {each}"
    return tuple(found), missing


def btrfs_members(name: str, system: System) -> tuple[str, ...]:
    """Return all devices of the mounted btrfs that ``name`` belongs to, as the kernel lists them."""
    root = system.sys / "fs" / "btrfs"
    for pool in system.names(root):
        members = system.names(root / pool / "devices")
        if name in members:
            return members
    return ()
