"""Which machine a medium gets, and why."""

from __future__ import annotations

import struct
import uuid
import zlib
from pathlib import Path

import pytest

from forensiq.errors import UsageError
from forensiq.images import open_image
from forensiq.model.boot import BootPlan
from forensiq.procedures.boot_plan import BootWishes, plan_machine
from forensiq.procedures.partitions import image_reference
from tests.support.boot_sector import bootable

MIB = 1 << 20


def gpt(kind: str) -> bytes:
    """Return a medium of 2 MiB with one partition of type ``kind``."""
    entry = uuid.UUID(kind).bytes_le + uuid.uuid4().bytes_le + struct.pack("<QQQ", 64, 127, 0) + bytes(72)
    entries = entry.ljust(128 * 128, b"\0")
    fixed = (b"EFI PART", 0x10000, 92, 0, 0, 1, 4095, 34, 4062, uuid.uuid4().bytes_le, 2, 128, 128, zlib.crc32(entries))
    header = struct.pack("<8sIIIIQQQQ16sQIII", *fixed)
    header = header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
    protective = bytes(446) + struct.pack("<8BII", 0, 0, 2, 0, 0xEE, 255, 255, 255, 1, 4095) + bytes(48) + b"\x55\xaa"
    return (protective + header.ljust(512, b"\0") + entries).ljust(2 * MIB, b"\0")


def mbr(kind: int, *, active: bool, code: bool) -> bytes:
    sector = bytearray(bootable(512) if code else bytes(510) + b"\x55\xaa")
    sector[446:462] = struct.pack("<8BII", 0x80 * active, 0, 1, 0, kind, 0, 0, 0, 64, 1000)
    return bytes(sector).ljust(2 * MIB, b"\0")


def plan(tmp_path: Path, data: bytes, sector_size: int | None = None, **wishes: object) -> BootPlan:
    path = tmp_path / "disk.dd"
    path.write_bytes(data)
    with open_image(path, sector_size=sector_size) as image:
        return plan_machine(image, image_reference(path, sector_size=sector_size), BootWishes(**wishes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "firmware", "bus", "word"),
    [
        (bootable(2 * MIB), "bios", "ide", "boot code"),
        (gpt("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"), "uefi", "sata", "EFI system partition"),
        (gpt("0fc63daf-8483-4772-8e79-3d69d8477de4"), "bios", "ide", "nothing on the medium"),
        (mbr(0xEF, active=False, code=False), "uefi", "sata", "EFI system partition"),
        (mbr(0xEF, active=True, code=True), "bios", "ide", "active partition"),
        (mbr(0x83, active=True, code=True), "bios", "ide", "active partition"),
        (bytes(MIB), "bios", "ide", "nothing on the medium"),
    ],
)
def test_the_medium_decides(tmp_path: Path, data: bytes, firmware: str, bus: str, word: str) -> None:
    made = plan(tmp_path, data)
    assert (made.firmware, made.bus) == (firmware, bus)
    assert any(word in reason for reason in made.reasons)
    assert made.network is False


def test_sectors_of_4096_bytes_need_a_bus_that_has_them(tmp_path: Path) -> None:
    assert plan(tmp_path, bytes(MIB), 4096).bus == "nvme"
    with pytest.raises(UsageError):
        plan(tmp_path, bytes(MIB), 4096, bus="ide")


def test_an_odd_medium_becomes_a_whole_number_of_sectors(tmp_path: Path) -> None:
    made = plan(tmp_path, bytes(MIB + 100))
    assert (made.media_size, made.disk_size) == (MIB + 100, MIB + 512)


def test_what_is_asked_for_wins(tmp_path: Path) -> None:
    made = plan(tmp_path, bootable(MIB), firmware="uefi", bus="virtio")
    assert (made.firmware, made.bus) == ("uefi", "virtio")
