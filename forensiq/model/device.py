"""What the kernel says of a block device besides its identity: who uses it, what it is divided into."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct, field

from forensiq.model.source import SourceIdentity

__all__ = ["DeviceEntry", "DeviceUsage", "DeviceUse", "PartitionEntry", "UseKind"]


class UseKind(Enum):
    """How a block device can be in use."""

    MOUNT = "mount"
    SWAP = "swap"
    HOLDER = "holder"
    LOOP = "loop"
    OPEN_FOR_WRITING = "open_for_writing"
    CLAIMED = "claimed"


class DeviceUse(Struct, frozen=True):
    """One use: ``device`` (a path) is used in this way; ``detail`` says where or by whom, for people."""

    device: str
    kind: UseKind
    detail: str

    def __str__(self) -> str:
        return f"{self.device} {self.detail}"


class DeviceUsage(Struct, frozen=True):
    """Everything that uses a device, its partitions or what is built on them.

    ``uses`` forbid an acquisition. ``members`` are devices that say they belong to a RAID, LVM or another pool without
    being in use (device path → what). ``not_checked`` says what could not be looked at.
    """

    device: str
    uses: tuple[DeviceUse, ...]
    members: Mapping[str, str] = field(default_factory=dict)
    not_checked: tuple[str, ...] = ()

    @property
    def in_use(self) -> bool:
        """Whether anything uses it."""
        return bool(self.uses)


class PartitionEntry(Struct, frozen=True):
    """A partition that the kernel knows: offset and size in bytes, what udev saw on it (``None``: not known)."""

    path: str
    number: int
    offset: int
    size: int
    read_only: bool | None
    content: str | None = None
    label: str | None = None


class DeviceEntry(Struct, frozen=True):
    """One whole device of a listing. ``content`` is what udev saw on the whole device, partition table included."""

    path: str
    identity: SourceIdentity
    read_only: bool | None
    usage: DeviceUsage
    partitions: tuple[PartitionEntry, ...] = ()
    content: str | None = None
    backing_file: str | None = None
    schema: str = "forensiq/device/1"
