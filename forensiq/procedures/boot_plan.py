"""Decides the virtual machine for a medium: firmware, bus, machine; each with its reason."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from forensiq.analysis.opening import ImageRef
from forensiq.errors import ForensiqError, ImageDamageError, SourceReadError, UsageError
from forensiq.images.base import EvidenceImage
from forensiq.model.boot import BootPlan
from forensiq.procedures.partitions import PartitionRow, list_partitions

__all__ = ["BUSES", "FIRMWARES", "BootWishes", "plan_machine"]

FIRMWARES = ("auto", "bios", "uefi")
BUSES = ("auto", "ide", "sata", "scsi", "virtio", "nvme")

_ESP_GUID = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
_ESP_MBR = "0xef"
_SECTOR = 512
_OVMF = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
)


class BootWishes(Struct, frozen=True, kw_only=True):
    """What was asked for; ``auto`` lets the medium decide. ``memory`` in bytes."""

    firmware: str = "auto"
    bus: str = "auto"
    memory: int = 2 << 30
    processors: int = 2
    network: bool = False


def plan_machine(image: EvidenceImage, reference: ImageRef, wishes: BootWishes) -> BootPlan:
    """Return the machine; a contradiction is a :class:`~forensiq.errors.UsageError`."""
    if wishes.firmware not in FIRMWARES or wishes.bus not in BUSES:
        raise UsageError(f"unknown firmware or bus: {wishes.firmware}, {wishes.bus}")
    reasons: list[str] = []
    firmware = wishes.firmware
    if firmware == "auto":
        firmware, why = _firmware(image, _rows(reference, reasons))
        reasons.append(why)
    else:
        reasons.append(f"firmware {firmware}: asked for")
    bus = _bus(image, firmware, wishes.bus, reasons)
    code, variables = _ovmf() if firmware == "uefi" else (None, None)
    if firmware == "uefi" and code is None:
        reasons.append("no UEFI firmware for QEMU (OVMF) was found on this machine: install it before the start")
    size = -(-image.size // _SECTOR) * _SECTOR
    if size != image.size:
        reasons.append(f"the disk is filled with {size - image.size} zero bytes to a whole sector")
    reasons.append("network: on, asked for" if wishes.network else "network: off; the guest reaches nothing")
    return BootPlan(
        firmware=firmware,
        bus=bus,
        machine="q35" if firmware == "uefi" or bus in ("sata", "nvme") else "pc",
        media_size=image.size,
        disk_size=size,
        sector_size=image.sector_size,
        memory=wishes.memory,
        processors=wishes.processors,
        network=wishes.network,
        firmware_code=code,
        firmware_variables=variables,
        reasons=tuple(reasons),
    )


def _rows(reference: ImageRef, reasons: list[str]) -> tuple[PartitionRow, ...]:
    try:
        return list_partitions(reference).rows
    except ForensiqError as error:
        reasons.append(f"the partition tables could not be read: {error}")
        return ()


def _start(image: EvidenceImage, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    try:
        count = image.read_into(offset, memoryview(buffer)) if offset + length <= image.size else 0
    except (ImageDamageError, SourceReadError):
        return b""
    return bytes(buffer[:count])


def _firmware(image: EvidenceImage, rows: tuple[PartitionRow, ...]) -> tuple[str, str]:
    sector = _start(image, 0, _SECTOR)
    boot_code = sector[510:512] == b"\x55\xaa" and any(sector[:440])
    active = boot_code and any(sector[446 + 16 * number] == 0x80 for number in range(4))
    for row in rows:
        code = (row.type_code or "").lower().strip("{}")
        if code == _ESP_GUID or (code == _ESP_MBR and not active):
            return "uefi", f"firmware uefi: volume {row.index} is an EFI system partition"
    if boot_code:
        more = ", and an active partition" if active else ""
        return "bios", f"firmware bios: sector 0 holds boot code{more}; there is no EFI system partition"
    if b"EL TORITO SPECIFICATION" in _start(image, 17 * 2048, 2048):
        return "bios", "firmware bios: an optical medium with a boot catalogue (El Torito)"
    return "bios", "firmware bios: nothing on the medium says how it boots"


def _bus(image: EvidenceImage, firmware: str, wish: str, reasons: list[str]) -> str:
    if image.sector_size == 2048:
        reasons.append("bus cd: sectors of 2048 bytes")
        return "cd"
    if image.sector_size == 4096 and wish in ("ide", "sata"):
        raise UsageError(f"{wish} disks have sectors of 512 bytes, and this medium of 4096", hint="choose nvme or scsi")
    if wish != "auto":
        reasons.append(f"bus {wish}: asked for")
        return wish
    if image.sector_size == 4096:
        reasons.append("bus nvme: sectors of 4096 bytes")
        return "nvme"
    if firmware == "uefi":
        reasons.append("bus sata: every system that boots by UEFI has a driver for AHCI")
        return "sata"
    reasons.append("bus ide: every system that boots by BIOS has a driver for it")
    return "ide"


def _ovmf() -> tuple[str | None, str | None]:
    for code, variables in _OVMF:
        if Path(code).exists() and Path(variables).exists():
            return code, variables
    return None, None
