"""Real Linux systems: acquired to E01, converted, and started in QEMU by BIOS, by UEFI and from an optical medium."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiq.clock import monotonic, sleep
from tests.interop.peers import need
from tests.scenarios.program import forensiq
from tests.support.linux_disk import GRUB, GUEST, bios_disk, optical_disk, uefi_disk

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

MACHINE = ("--start", "--timeout", "600", "--display", "none", "--accelerator", "tcg", "--memory", "512MiB")
DISKS: dict[str, tuple[Callable[[Path], Path], str, bytes]] = {
    "bios": (bios_disk, "ide", b"SYSLINUX 6"),
    "uefi": (uefi_disk, "sata", GRUB),
}
"""Firmware → what builds the disk, the bus that is chosen for it, and what the boot loader says."""


@pytest.fixture(scope="module", params=DISKS)
def acquired(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    need("qemu-system-x86_64")
    kind = str(request.param)
    if kind == "uefi" and not Path("/usr/share/OVMF/OVMF_CODE_4M.fd").exists():
        pytest.skip("UEFI firmware for QEMU is not installed (Debian: ovmf)")
    folder = tmp_path_factory.mktemp(kind)
    disk = DISKS[kind][0](folder)
    forensiq("acquire", disk, folder / "ITEM-1", "--json").expect(0)
    return kind, folder / "ITEM-1.E01"


def state(path: Path) -> tuple[str, int, int, int]:
    facts = path.stat()
    return hashlib.sha256(path.read_bytes()).hexdigest(), facts.st_mtime_ns, facts.st_ino, facts.st_size


def test_linux_starts_from_the_untouched_e01(acquired: tuple[str, Path], tmp_path: Path) -> None:
    kind, image = acquired
    _, bus, loader = DISKS[kind]
    before = state(image)
    record = forensiq("boot", image, tmp_path / "vm", *MACHINE, "--json").expect(0).json
    said = (tmp_path / "vm" / "serial.log").read_bytes()
    assert loader in said
    assert GUEST in said
    assert state(image) == before
    assert record["unchanged"] is True
    assert record["evidence_before"] == record["evidence_after"]
    assert (record["plan"]["firmware"], record["plan"]["bus"]) == (kind, bus)
    # The guest switched itself off, and its machine with it.
    assert record["run"]["ended_by"] == "itself"
    assert record["run"]["failed_reads"] == 0
    assert record["run"]["writes_refused"] == 0


@pytest.mark.parametrize("name", ["qcow2", "vmdk", "vmdk-stream"])
def test_qemu_starts_the_boot_loader_of_a_converted_disk(acquired: tuple[str, Path], tmp_path: Path, name: str) -> None:
    kind, image = acquired
    form = name.split("-")[0]
    target = tmp_path / f"disk.{form}"
    forensiq("convert", image, target, "--format", name, "--json").expect(0)
    serial = tmp_path / "serial.log"
    words = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-m", "512", "-accel", "tcg", "-display", "none"]
    words += ["-machine", "q35", "-serial", f"file:{serial}", "-nic", "none", "-monitor", "none"]
    words += ["-drive", f"file={target},format={form},if=ide,snapshot=on"]
    if kind == "uefi":
        words += ["-drive", "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, cwd=tmp_path)
    try:
        until = monotonic() + 300
        while process.poll() is None and monotonic() < until:
            if serial.exists() and DISKS[kind][2] in serial.read_bytes():
                break
            sleep(0.2)
    finally:
        process.kill()
        process.wait()
    assert DISKS[kind][2] in serial.read_bytes()


def test_linux_starts_from_an_optical_medium(tmp_path: Path) -> None:
    need("qemu-system-x86_64")
    image = optical_disk(tmp_path)
    before = state(image)
    record = forensiq("boot", image, tmp_path / "vm", *MACHINE, "--json").expect(0).json
    said = (tmp_path / "vm" / "serial.log").read_bytes()
    assert b"ISOLINUX 6" in said
    assert GUEST in said
    assert record["plan"]["bus"] == "cd"
    assert state(image) == before
