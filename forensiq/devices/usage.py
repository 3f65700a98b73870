"""Who uses a block device: mounts, swap, what the kernel has built on it, loop devices, programs that write.

A drive is looked at as a whole: a use of one partition is a use of the drive and of every other partition, because
the read-only flag concerns them all.

Steps of :func:`usage_of`:

1. The devices concerned: the whole device, its partitions, and everything built on them, recursively.
2. Mounts of this and all other readable mount namespaces, btrfs pools with all their members, swap.
3. Holders (dm, md, bcache) and loop devices on the node.
4. Programs that have a node open for writing.
5. The kernel's own word: an exclusive read-only open is refused (``EBUSY``) where anything else holds the device.
6. What udev says of membership in RAID, LVM or a pool that is not active.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from forensiq.devices.ioctls import open_device
from forensiq.devices.mounts import Mount, mounts_everywhere, swaps
from forensiq.devices.system import System, device_path
from forensiq.devices.topology import (
    btrfs_members,
    holders_of,
    is_partition,
    loops_over,
    partitions_of,
    whole_name,
)
from forensiq.devices.udev import properties_of
from forensiq.errors import SourceError, UsageError
from forensiq.model.device import DeviceUsage, DeviceUse, UseKind

__all__ = ["MEMBERSHIP", "usage_of"]

MEMBERSHIP = {
    "linux_raid_member": "Linux RAID (md)",
    "LVM2_member": "LVM",
    "LVM1_member": "LVM",
    "isw_raid_member": "Intel RAID",
    "ddf_raid_member": "DDF RAID",
    "promise_fasttrack_raid_member": "Promise RAID",
    "zfs_member": "ZFS pool",
    "bcache": "bcache",
    "ceph_bluestore": "Ceph",
    "drbd": "DRBD",
}
"""udev's (libblkid's) names of contents that make a device part of something larger."""


def usage_of(path: str, system: System | None = None, *, ask: bool = True) -> DeviceUsage:
    """Return everything that uses the drive that the device at ``path`` is or is a part of.

    ``ask`` allows step 5, the only one that opens the device.
    """
    system = system or System()
    whole = whole_name(system.require_name(path), system)
    own = (whole, *partitions_of(whole, system))
    uses: list[DeviceUse] = []
    not_checked: list[str] = []
    everything = frozenset(own) | frozenset(_built_on(own, system, uses))  # steps 1 and 3
    mounts, hidden = mounts_everywhere(system)
    if hidden:
        not_checked.append(f"mounts as seen by {_processes(hidden)} that could not be looked at")
    uses += _mounted(everything, mounts, system)
    uses += _swapping(everything, system)
    writing, unseen = _open_for_writing(frozenset(own), system)
    uses += writing
    if unseen:
        not_checked.append(f"open files of {_processes(unseen)} that could not be looked at")
    if ask and not uses and system.live:
        claim = _claimed(whole)
        if isinstance(claim, DeviceUse):
            uses.append(claim)
        elif claim is not None:
            not_checked.append(claim)
    members = {device_path(name): text for name in own if (text := _membership(name, system))}
    return DeviceUsage(device_path(whole), tuple(dict.fromkeys(uses)), members, tuple(not_checked))


def _built_on(own: tuple[str, ...], system: System, uses: list[DeviceUse]) -> Iterator[str]:
    """Yield every device that is built on ``own``, however many layers up, and note each as a use."""
    waiting, seen = list(own), set(own)
    while waiting:
        name = waiting.pop(0)
        above = [(each, UseKind.HOLDER) for each in holders_of(name, system)]
        above += [(loop, UseKind.LOOP) for loop, _ in loops_over(frozenset({name}), system)]
        for each, kind in above:
            uses.append(DeviceUse(device_path(name), kind, f"is part of {device_path(each)}{_title(each, system)}"))
            for also in (each, *partitions_of(each, system)) if not is_partition(each, system) else (each,):
                if also not in seen:
                    seen.add(also)
                    waiting.append(also)
                    yield also


def _title(name: str, system: System) -> str:
    folder = system.block(name)
    if title := system.read(folder / "dm" / "name"):
        return f" (device-mapper {title})"
    if level := system.read(folder / "md" / "level"):
        return f" (md {level})"
    return ""


def _mounted(names: frozenset[str], mounts: tuple[Mount, ...], system: System) -> Iterator[DeviceUse]:
    for mount in mounts:
        where = f"is mounted on {mount.point}" + (" read-only" if mount.read_only else "")
        if mount.process != "self":
            where += f" in the mount namespace of process {mount.process}"
        for name in _devices_of(mount, system):
            if name in names:
                yield DeviceUse(device_path(name), UseKind.MOUNT, f"{where} ({mount.filesystem})")


def _devices_of(mount: Mount, system: System) -> tuple[str, ...]:
    name = system.name_of_number(mount.number)
    if name is not None:
        return (name,)
    if not mount.source.startswith("/dev/"):
        return ()
    try:
        name = system.name_of_path(mount.source)
    except (SourceError, UsageError):
        return ()
    if name is None:
        return ()
    return tuple(dict.fromkeys((name, *btrfs_members(name, system)))) if mount.filesystem == "btrfs" else (name,)


def _swapping(names: frozenset[str], system: System) -> Iterator[DeviceUse]:
    for path, kind in swaps(system):
        if kind != "partition":
            continue  # a swap file lies on a mounted file system, which is a use already
        try:
            name = system.name_of_path(path)
        except (SourceError, UsageError):
            continue
        if name in names:
            yield DeviceUse(device_path(name), UseKind.SWAP, "is active swap space")


def _open_for_writing(names: frozenset[str], system: System) -> tuple[list[DeviceUse], int]:
    """Return who has one of the nodes open for writing, and how many processes could not be looked at.

    Source: proc(5), the octal ``flags`` in ``/proc/PID/fdinfo``. This process is not looked at: it opens read-only.
    """
    nodes = {device_path(name): name for name in names}
    found: list[DeviceUse] = []
    unseen = 0
    for process in system.processes():
        try:
            descriptors = list((process / "fd").iterdir())
        except PermissionError:
            unseen += 1
            continue
        except OSError:
            continue
        for each in descriptors:
            try:
                target = os.fspath(each.readlink())
            except OSError:
                continue
            if target in nodes and _writes(system.read(process / "fdinfo" / each.name) or ""):
                who = system.read(process / "comm") or "a program"
                found.append(
                    DeviceUse(target, UseKind.OPEN_FOR_WRITING, f"is open for writing by {who} ({process.name})")
                )
    return found, unseen


def _writes(fdinfo: str) -> bool:
    for line in fdinfo.splitlines():
        if line.startswith("flags:"):
            words = line.split()
            return len(words) == 2 and int(words[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return False


def _claimed(whole: str) -> DeviceUse | str | None:
    path = device_path(whole)
    try:
        os.close(open_device(path, exclusive=True))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return DeviceUse(path, UseKind.CLAIMED, "is held by something that the kernel does not name")
        return f"whether anything holds {path}: {os.strerror(error.errno or 0)}"
    return None


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _membership(name: str, system: System) -> str | None:
    kind = (properties_of(name, system) or {}).get("ID_FS_TYPE", "")
    return MEMBERSHIP.get(kind)
