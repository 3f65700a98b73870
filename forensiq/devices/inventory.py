"""All block devices of this machine, with what is known of each without opening any of them."""

from __future__ import annotations

import re

from forensiq.devices.identity import identity_of, identity_of_name
from forensiq.devices.system import System, device_path
from forensiq.devices.topology import (
    Holding,
    backing_file,
    device_holding,
    lies_on,
    partitions_of,
    whole_device_of,
)
from forensiq.devices.udev import decoded, properties_of
from forensiq.devices.usage import usage_of
from forensiq.model.device import DeviceEntry, PartitionEntry

__all__ = [
    "Holding",
    "device_entry",
    "device_holding",
    "identity_of",
    "lies_on",
    "list_devices",
    "usage_of",
    "whole_device_of",
]

_SECTOR = 512
_MEMORY = re.compile(r"(ram|zram)\d+$")


def list_devices(system: System | None = None) -> tuple[DeviceEntry, ...]:
    """Return every whole block device that has a medium, drives first; memory disks and empty loops are left out.

    Nothing is opened: listing neither wakes a drive nor sends it a command.
    """
    system = system or System()
    names = [name for name in system.names(system.sys / "block") if _is_medium(name, system)]
    return tuple(device_entry(name, system) for name in sorted(names, key=lambda each: (_rank(each), _natural(each))))


def device_entry(name: str, system: System) -> DeviceEntry:
    """Return what is known of the whole device with a kernel name."""
    path = device_path(name)
    return DeviceEntry(
        path=path,
        identity=identity_of_name(name, path, system),
        read_only=_flag(name, system),
        usage=usage_of(path, system, ask=False),
        partitions=tuple(_partition(each, system) for each in partitions_of(name, system)),
        content=_content(name, system),
        backing_file=backing_file(name, system),
    )


def _is_medium(name: str, system: System) -> bool:
    return not _MEMORY.match(name) and bool(system.number(system.block(name) / "size"))


def _rank(name: str) -> int:
    return 1 if name.startswith(("loop", "dm-", "md", "nbd")) else 0


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.findall(r"\d+|\D+", name)]


def _flag(name: str, system: System) -> bool | None:
    value = system.number(system.block(name) / "ro")
    return None if value is None else bool(value)


def _partition(name: str, system: System) -> PartitionEntry:
    folder = system.block(name)
    properties = properties_of(name, system) or {}
    return PartitionEntry(
        path=device_path(name),
        number=system.number(folder / "partition") or 0,
        offset=(system.number(folder / "start") or 0) * _SECTOR,
        size=(system.number(folder / "size") or 0) * _SECTOR,
        read_only=_flag(name, system),
        content=_content(name, system),
        label=decoded(properties.get("ID_FS_LABEL_ENC", "")) or None,
    )


def _content(name: str, system: System) -> str | None:
    properties = properties_of(name, system) or {}
    table = properties.get("ID_PART_TABLE_TYPE")
    return properties.get("ID_FS_TYPE") or (f"{table} partition table" if table else None)
