"""Builds small disks that start Linux: a boot loader of Debian's, its kernel, and one static program. No root needed.

The guest says ``GUEST`` on its serial line when it runs, and switches itself off; GRUB says ``GRUB``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.interop.peers import need

__all__ = ["GRUB", "GUEST", "bios_disk", "kernel", "optical_disk", "uefi_disk"]

GRUB = b"forensiq: this is GRUB"
GUEST = b"forensiq: this is the guest, running Linux"
MIB = 1 << 20
_SYSLINUX = Path("/usr/lib/syslinux")
_PARTITION_AT = MIB
_APPEND = "console=ttyS0,115200 panic=-1 quiet"
_INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc
/bin/busybox mount -t proc proc /proc
echo "{GUEST.decode()} $(/bin/busybox uname -r)"
/bin/busybox poweroff -f
"""


def kernel() -> Path:
    """Return a kernel of this machine's that can be read; skip where there is none."""
    found = sorted(path for path in Path("/boot").glob("vmlinuz*") if os.access(path, os.R_OK))
    if not found:
        pytest.skip("there is no readable /boot/vmlinuz* (Debian: linux-image-cloud-amd64)")
    return found[-1]


def _member(name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> bytes:
    fields = (1, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + b"".join(f"{each:08x}".encode() for each in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def _initrd() -> bytes:
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox (static) is not installed")
    return b"".join((
        _member("dev", 0o040755, b""),
        _member("dev/console", 0o020600, b"", (5, 1)),
        _member("bin", 0o040755, b""),
        _member("bin/busybox", 0o100755, Path(busybox).read_bytes()),
        _member("init", 0o100755, _INIT.encode()),
        _member("TRAILER!!!", 0, b""),
    ))  # fmt: skip


def _run(*words: str | Path, data: bytes | None = None) -> None:
    done = subprocess.run([str(each) for each in words], input=data, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, f"{words}: {done.stdout!r} {done.stderr!r}"


def _file_system(disk: Path, table: str, size: int) -> str:
    """Make a disk with one FAT partition; return what mtools call it."""
    with disk.open("wb") as file:
        file.truncate(size)
    _run("sfdisk", "-q", disk, data=table.encode())
    _run("mkfs.fat", "-F", "32", "--offset", str(_PARTITION_AT // 512), disk, str((size - 2 * MIB) // 1024))
    return f"{disk}@@{_PARTITION_AT}"


def _put(place: str, files: dict[str, bytes | Path], folder: Path) -> None:
    for name, content in files.items():
        source = content if isinstance(content, Path) else folder / "content"
        if isinstance(content, bytes):
            source.write_bytes(content)
        _run("mcopy", "-i", place, source, f"::{name}")


def _system() -> dict[str, bytes | Path]:
    return {"vmlinuz": kernel(), "initrd": _initrd()}


def _syslinux_words() -> bytes:
    text = "SERIAL 0 115200\nDEFAULT linux\nPROMPT 0\nTIMEOUT 1\n"
    return f"{text}LABEL linux\n  KERNEL /vmlinuz\n  INITRD /initrd\n  APPEND {_APPEND}\n".encode()


def bios_disk(folder: Path) -> Path:
    """Write a disk with an MBR, one active FAT partition and SYSLINUX."""
    need("syslinux", "sfdisk", "mkfs.fat", "mcopy")
    disk = folder / "bios.dd"
    place = _file_system(disk, "label: dos\nstart=2048, type=c, bootable\n", 72 * MIB)
    _put(place, {**_system(), "syslinux.cfg": _syslinux_words()}, folder)
    _run("syslinux", "--install", "--offset", str(_PARTITION_AT), disk)
    with disk.open("r+b") as file:
        file.write((_SYSLINUX / "mbr" / "mbr.bin").read_bytes())
    return disk


def uefi_disk(folder: Path) -> Path:
    """Write a disk with a GPT, an EFI system partition and GRUB."""
    need("grub-mkstandalone", "sfdisk", "mkfs.fat", "mcopy", "mmd")
    if not Path("/usr/lib/grub/x86_64-efi").is_dir():
        pytest.skip("GRUB for UEFI is not installed (Debian: grub-efi-amd64-bin)")
    words = folder / "grub.cfg"
    words.write_text(
        "serial --unit=0 --speed=115200\nterminal_output serial\n"
        f"echo '{GRUB.decode()}'\nsearch --no-floppy --set=root --file /vmlinuz\n"
        f"linux /vmlinuz {_APPEND}\ninitrd /initrd\nboot\n"
    )
    program = folder / "BOOTX64.EFI"
    modules = "part_gpt part_msdos fat search search_fs_file normal linux echo serial terminal boot"
    _run("grub-mkstandalone", "-O", "x86_64-efi", "--install-modules", modules, "--modules", modules, "--locales=",
         "--fonts=", "--themes=", "-o", program, f"boot/grub/grub.cfg={words}")  # fmt: skip
    disk = folder / "uefi.dd"
    place = _file_system(disk, "label: gpt\nstart=2048, size=143360, type=U\n", 72 * MIB)
    _run("mmd", "-i", place, "::EFI", "::EFI/BOOT")
    _put(place, {**_system(), "EFI/BOOT/BOOTX64.EFI": program}, folder)
    return disk


def optical_disk(folder: Path) -> Path:
    """Write an ISO 9660 image that starts by El Torito, with ISOLINUX."""
    need("xorriso")
    loader = Path("/usr/lib/ISOLINUX/isolinux.bin")
    if not loader.is_file():
        pytest.skip("ISOLINUX is not installed")
    tree = folder / "tree"
    (tree / "isolinux").mkdir(parents=True)
    for path in (loader, _SYSLINUX / "modules" / "bios" / "ldlinux.c32"):
        shutil.copy(path, tree / "isolinux" / path.name)
    (tree / "isolinux" / "isolinux.cfg").write_bytes(_syslinux_words())
    for name, content in _system().items():
        (tree / name).write_bytes(content.read_bytes() if isinstance(content, Path) else content)
    image = folder / "disc.iso"
    _run("xorriso", "-as", "mkisofs", "-quiet", "-o", image, "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat",
         "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", tree)  # fmt: skip
    return image
