"""What evidence is read from, and what was seen of its write protection."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct, field

__all__ = ["CounterSample", "FileTimes", "SourceIdentity", "SourceKind", "WriteBlockState"]


class SourceKind(Enum):
    """Kinds of sources."""

    BLOCK_DEVICE = "block_device"
    FILE = "file"
    SPLIT_RAW = "split_raw"
    IMAGE = "image"
    STREAM = "stream"


class SourceIdentity(Struct, frozen=True):
    """Who a source is. Sizes in bytes.

    A value that is ``None`` has its reason in ``unavailable`` under the name of the field: ``not applicable``,
    ``not available: …`` or ``unreadable: …``. ``origins`` says for some values where they come from, under the name of
    the field: a serial number may be that of a USB bridge and not that on the drive's label.
    """

    kind: SourceKind
    path: str
    size: int
    sector_size: int
    physical_sector_size: int | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    wwn: str | None = None
    vendor: str | None = None
    bus: str | None = None
    usb_id: str | None = None
    removable: bool | None = None
    rotational: bool | None = None
    device_number: str | None = None
    trim: bool | None = None
    kernel_timeout_s: int | None = None
    unavailable: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)


class CounterSample(Struct, frozen=True):
    """Counters of ``/sys/block/*/stat`` at one moment: requests completed, and sectors of 512 bytes."""

    at: str
    writes: int
    sectors_written: int
    discards: int | None
    sectors_discarded: int | None


class FileTimes(Struct, frozen=True):
    """Mode and times of a source file, as RFC 3339, and who has it open for writing (``None``: not known)."""

    mode: str
    modified: str
    accessed: str
    changed: str
    writers: tuple[str, ...] | None = None


class WriteBlockState(Struct, frozen=True):
    """What was observed about write protection, and how: evidence, with its limits said in ``limits``.

    ``method`` is ``kernel_read_only_flag``, ``open_read_only`` (files), or ``none``. Flags are ``None`` where they
    could not be read. ``writes_*`` and ``discards_*`` are the kernel's counts of requests completed.
    """

    method: str
    kernel_read_only_before: bool | None = None
    kernel_read_only_during: bool | None = None
    kernel_read_only_after: bool | None = None
    devices: tuple[str, ...] = ()
    checks: int = 0
    flips: tuple[str, ...] = ()
    writes_before: int | None = None
    writes_after: int | None = None
    discards_before: int | None = None
    discards_after: int | None = None
    before: CounterSample | None = None
    after: CounterSample | None = None
    file_before: FileTimes | None = None
    file_after: FileTimes | None = None
    external_blocker: str | None = None
    restored: bool = False
    statement: str = ""
    limits: tuple[str, ...] = ()

    @property
    def writes_counted(self) -> bool | None:
        """Whether the kernel counted writes or discards meanwhile; ``None`` where it could not be observed."""
        if self.before is None or self.after is None:
            return None
        a, b = self.before, self.after
        return (a.writes, a.sectors_written, a.discards, a.sectors_discarded) != (
            b.writes,
            b.sectors_written,
            b.discards,
            b.sectors_discarded,
        )
