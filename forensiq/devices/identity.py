"""Who a block device is: sizes from the device itself, the rest from sysfs and udev. Every missing value says why.

Sources: the kernel's ABI documents for ``/sys/block`` and ``/sys/class/nvme``; for the SCSI unit serial number page 80h
(SPC-4, 7.8.15: four bytes of header, then text).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from forensiq.devices.ioctls import Geometry, geometry, opened
from forensiq.devices.system import System
from forensiq.devices.topology import backing_file, whole_name
from forensiq.devices.udev import decoded, properties_of
from forensiq.errors import SourceError
from forensiq.model.source import SourceIdentity, SourceKind

__all__ = ["identity_of", "identity_of_name"]

_Places = Iterator[tuple[str, str | None]]
_LONGEST = 256
_SECTOR = 512


def identity_of(path: str, system: System | None = None) -> SourceIdentity:
    """Return the identity of the device at ``path``; it is opened read-only and asked for its sizes.

    Raises :class:`~forensiq.errors.SourceError` where it cannot be opened, :class:`~forensiq.errors.UsageError` where
    it is no block device.
    """
    system = system or System()
    name = system.require_name(path)
    if not system.live:
        return identity_of_name(name, path, system)
    with opened(path) as descriptor:
        try:
            asked = geometry(descriptor)
        except OSError as error:
            raise SourceError(
                f"{path} does not tell its size: {error.strerror}", path=path, errno=error.errno
            ) from error
    return identity_of_name(name, path, system, asked)


def identity_of_name(name: str, path: str, system: System, asked: Geometry | None = None) -> SourceIdentity:
    """Return the identity of the device with a kernel name; without ``asked`` the sizes are those of sysfs."""
    whole = whole_name(name, system)
    queue = system.block(whole) / "queue"
    sizes = asked or Geometry(
        (system.number(system.block(name) / "size") or 0) * _SECTOR,
        system.number(queue / "logical_block_size") or _SECTOR,
        system.number(queue / "physical_block_size") or 0,
    )
    finder = _Finder(whole, system)
    values = {field: finder.text(field, places) for field, places in finder.places().items()}
    rotational = finder.flag("rotational", queue / "rotational")
    removable = finder.flag("removable", system.block(whole) / "removable")
    discards = system.number(queue / "discard_max_bytes")
    if discards is None:
        finder.unavailable["trim"] = "not available: the kernel gives no discard limit for it"
    timeout = system.number(finder.device / "timeout")
    if timeout is None:
        finder.unavailable["kernel_timeout_s"] = "not available: the driver has no timeout of its own to show"
    if not sizes.physical_sector_size:
        finder.unavailable["physical_sector_size"] = "not available: the kernel does not give it"
    return SourceIdentity(
        kind=SourceKind.BLOCK_DEVICE,
        path=path,
        size=sizes.size,
        sector_size=sizes.sector_size,
        physical_sector_size=sizes.physical_sector_size or None,
        model=values["model"],
        serial=values["serial"],
        firmware=values["firmware"],
        wwn=values["wwn"],
        vendor=values["vendor"],
        bus=finder.bus,
        usb_id=values["usb_id"],
        removable=removable,
        rotational=rotational,
        device_number=system.read(system.block(name) / "dev"),
        trim=None if discards is None else discards > 0,
        kernel_timeout_s=timeout,
        unavailable=finder.unavailable,
        origins=finder.origins,
    )


class _Finder:
    """Looks for each value in several places, best first, and notes where it was found or why it was not."""

    def __init__(self, whole: str, system: System) -> None:
        self.whole = whole
        self.system = system
        self.folder = system.block(whole)
        self.device = self.folder / "device"
        self.properties = properties_of(whole, system)
        self.usb = _usb_device(self.folder)
        self.bus = _bus(whole, self.folder)
        self.unavailable: dict[str, str] = {}
        self.origins: dict[str, str] = {}

    def places(self) -> Mapping[str, Callable[[], _Places]]:
        """Return for each text field what yields (origin, value) pairs, best first."""
        return {
            "model": self._model,
            "serial": self._serial,
            "firmware": self._firmware,
            "wwn": self._wwn,
            "vendor": self._vendor,
            "usb_id": self._usb_id,
        }

    def text(self, field: str, places: Callable[[], _Places]) -> str | None:
        """Return the first value there is."""
        for origin, value in places():
            clean = _clean(value)
            if clean:
                self.origins[field] = origin
                return clean
        self.unavailable[field] = self._why(field)
        return None

    def flag(self, field: str, path: Path) -> bool | None:
        """Return a number of sysfs as a flag."""
        value = self.system.number(path)
        if value is None:
            self.unavailable[field] = "not available: the kernel does not give it"
            return None
        return bool(value)

    def _why(self, field: str) -> str:
        if self.bus in ("device-mapper", "md", "ram"):
            return f"not applicable: {self.bus} device"
        if self.bus == "loop":
            return f"not applicable: loop device over {backing_file(self.whole, self.system) or 'no file'}"
        if field == "usb_id" and self.usb is None:
            return "not applicable: not on USB"
        if self.properties is None:
            return "not available: sysfs has none and udev has no entry for the device"
        return "not available: neither sysfs nor udev has it"

    def _udev(self, key: str) -> tuple[str, str | None]:
        return f"udev {key}", (self.properties or {}).get(key)

    def _sys(self, name: str) -> tuple[str, str | None]:
        return f"sysfs {name}", self.system.read(self.folder / name)

    def _model(self) -> _Places:
        # The kernel cuts SCSI models to 16 characters; udev has the 40 of an ATA drive.
        properties = self.properties or {}
        if properties.get("ID_BUS") == "ata" or "ID_ATA" in properties:
            yield "udev ID_MODEL_ENC (ATA identify)", decoded(properties.get("ID_MODEL_ENC", ""))
        yield self._sys("device/model")
        yield self._sys("device/name")
        yield "udev ID_MODEL_ENC", decoded(properties.get("ID_MODEL_ENC", ""))
        yield self._udev("ID_MODEL")
        if self.usb is not None:
            yield "USB product name", self.system.read(self.usb / "product")

    def _serial(self) -> _Places:
        properties = self.properties or {}
        if properties.get("ID_BUS") == "ata" or "ID_ATA" in properties:
            yield "udev ID_SERIAL_SHORT (ATA identify)", properties.get("ID_SERIAL_SHORT")
        yield "SCSI unit serial number (page 80h)", self._page80()
        yield self._sys("device/serial")
        yield self._sys("serial")
        yield self._udev("ID_SCSI_SERIAL")
        if self.usb is not None:
            note = "USB descriptor: of the bridge or stick, may differ from the label of a drive inside"
            yield note, self.system.read(self.usb / "serial")
        yield self._udev("ID_SERIAL_SHORT")

    def _firmware(self) -> _Places:
        properties = self.properties or {}
        if properties.get("ID_BUS") == "ata" or "ID_ATA" in properties:
            yield "udev ID_REVISION (ATA identify)", properties.get("ID_REVISION")
        yield self._sys("device/firmware_rev")
        yield self._sys("device/rev")
        yield self._sys("device/fwrev")
        yield self._udev("ID_REVISION")

    def _wwn(self) -> _Places:
        yield self._udev("ID_WWN_WITH_EXTENSION")
        yield self._udev("ID_WWN")
        yield self._sys("wwid")
        yield self._sys("device/wwid")

    def _vendor(self) -> _Places:
        vendor = self._sys("device/vendor")
        if self.bus in ("nvme", "virtio") or (vendor[1] or "").strip() == "ATA":
            return  # a PCI or virtio number, or the word that the kernel puts in for every ATA drive
        yield vendor
        yield "udev ID_VENDOR_ENC", decoded((self.properties or {}).get("ID_VENDOR_ENC", ""))
        if self.usb is not None:
            yield "USB manufacturer name", self.system.read(self.usb / "manufacturer")

    def _usb_id(self) -> _Places:
        if self.usb is not None:
            vendor, product = (self.system.read(self.usb / each) for each in ("idVendor", "idProduct"))
            yield "USB descriptor", f"{vendor}:{product}" if vendor and product else None

    def _page80(self) -> str | None:
        try:
            raw = (self.device / "vpd_pg80").read_bytes()[:_LONGEST]
        except OSError:
            return None
        return raw[4:].decode("ascii", "replace").strip(" \0")


def _usb_device(folder: Path) -> Path | None:
    place = folder.resolve()
    for each in place.parents:
        if (each / "idVendor").exists() and (each / "idProduct").exists():
            return each
    return None


_BUS_BY_NAME = (
    (r"loop\d", "loop"),
    (r"dm-\d", "device-mapper"),
    (r"md", "md"),
    (r"z?ram\d", "ram"),
    (r"nbd\d", "nbd"),
    (r"drbd\d", "drbd"),
    (r"bcache\d", "bcache"),
)
_BUS_BY_PLACE = (
    (r"/usb\d+/", "usb"),
    (r"/fw\d+", "firewire"),
    (r"/ata\d+/", "sata"),
    (r"/nvme", "nvme"),
    (r"/mmc_host/", "mmc"),
    (r"/virtio\d", "virtio"),
    (r"/vbd-", "xen"),
    (r"/end_device-", "sas"),
    (r"/session\d+/", "iscsi"),
    (r"/host\d+/", "scsi"),
)


def _bus(name: str, folder: Path) -> str:
    for pattern, bus in _BUS_BY_NAME:
        if re.match(pattern, name):
            return bus
    place = os.fspath(folder.resolve())
    for pattern, bus in _BUS_BY_PLACE:
        if re.search(pattern, place):
            return bus
    return "unknown"


def _clean(value: str | None) -> str | None:
    if value is None:
        return None
    text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return " ".join(text.replace("\0", " ").split())[:_LONGEST]
