"""Builds made-up trees of ``/sys``, ``/proc``, ``/run/udev`` and ``/dev``, laid out as the kernel does it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from forensiq.devices.system import System

__all__ = ["Tree"]


class Tree:
    """One made-up machine under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.system = System(sys=root / "sys", proc=root / "proc", udev=root / "udev", dev=root / "dev")
        for folder in ("sys/block", "sys/class/block", "sys/dev/block", "proc/self/ns", "udev/data", "dev"):
            (root / folder).mkdir(parents=True)
        (root / "proc/self/ns/mnt").symlink_to("mnt:[1]")
        self.mounts()
        self.swaps()

    def disk(
        self,
        name: str,
        number: str,
        place: str,
        *,
        sectors: int = 2048,
        files: Mapping[str, str] | None = None,
        udev: Mapping[str, str] | None = None,
    ) -> Path:
        """Add a whole device; ``place`` is its folder under ``/sys/devices``, ``files`` are relative to it."""
        folder = self.root / "sys" / "devices" / place / name
        folder.mkdir(parents=True)
        standard = {
            "dev": number,
            "size": str(sectors),
            "ro": "0",
            "removable": "0",
            "stat": " ".join(["0"] * 17),
            "queue/logical_block_size": "512",
            "queue/physical_block_size": "4096",
            "queue/rotational": "1",
            "queue/discard_max_bytes": "0",
            "queue/iostats": "1",
        }
        self._write(folder, standard | dict(files or {}))
        for each in ("holders", "slaves"):
            (folder / each).mkdir()
        self._link(name, number, folder, udev)
        (self.root / "sys/block" / name).symlink_to(folder)
        return folder

    def partition(
        self, disk: Path, number: int, device: str, *, start: int, sectors: int, udev: Mapping[str, str] | None = None
    ) -> Path:
        """Add a partition to a disk."""
        name = f"{disk.name}{'p' if disk.name[-1].isdigit() else ''}{number}"
        folder = disk / name
        (folder / "holders").mkdir(parents=True)
        standard = {"dev": device, "partition": str(number), "start": str(start), "size": str(sectors), "ro": "0"}
        self._write(folder, standard)
        self._link(name, device, folder, udev)
        return folder

    def hold(self, member: Path, holder: Path) -> None:
        """Let ``holder`` (dm, md) be built on ``member``."""
        (member / "holders" / holder.name).symlink_to(holder)
        (holder / "slaves" / member.name).symlink_to(member)

    def mounts(self, *lines: str, process: str = "self") -> None:
        """Write ``mountinfo``."""
        (self.root / "proc" / process / "mountinfo").write_text("".join(f"{line}\n" for line in lines))

    def swaps(self, *paths: str) -> None:
        """Write ``/proc/swaps``."""
        head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        lines = "".join(f"{path}                               partition\t1048572\t\t0\t\t-2\n" for path in paths)
        (self.root / "proc/swaps").write_text(head + lines)

    def process(self, number: int, *, namespace: str = "mnt:[1]", opened: Mapping[str, int] | None = None) -> None:
        """Add a process with open files: path → flags."""
        folder = self.root / "proc" / str(number)
        for each in ("ns", "fd", "fdinfo"):
            (folder / each).mkdir(parents=True)
        (folder / "ns/mnt").symlink_to(namespace)
        (folder / "comm").write_text(f"prog{number}\n")
        for index, (path, flags) in enumerate((opened or {}).items()):
            (folder / "fd" / str(index)).symlink_to(path)
            (folder / "fdinfo" / str(index)).write_text(f"pos:\t0\nflags:\t0{flags:o}\nmnt_id:\t25\n")

    def link(self, node: str, target: str) -> None:
        """Add a symbolic link in ``/dev``."""
        path = self.root / "dev" / node
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(self.root / "dev" / target)

    def _link(self, name: str, number: str, folder: Path, udev: Mapping[str, str] | None) -> None:
        (self.root / "sys/class/block" / name).symlink_to(folder)
        (self.root / "sys/dev/block" / number).symlink_to(folder)
        if udev is not None:
            text = "S:disk/by-path/x\nI:1234567\n" + "".join(f"E:{key}={value}\n" for key, value in udev.items())
            (self.root / "udev/data" / f"b{number}").write_text(text)

    def _write(self, folder: Path, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
