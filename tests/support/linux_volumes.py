"""Volumes that the Linux kernel makes and reads: the judges of our own readers."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import Struct

__all__ = ["KernelEntry", "kernel_entries", "mounted", "needs_kernel", "populate"]


def needs_kernel(kind: str) -> None:
    """Skip where this machine cannot make and mount such a volume."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a volume")
    if shutil.which(f"mkfs.{kind}") is None:
        pytest.skip(f"needs mkfs.{kind}")
    if f"\t{kind}\n" not in Path("/proc/filesystems").read_text():
        pytest.skip(f"this kernel does not read {kind}")


@contextmanager
def mounted(image: Path, folder: Path, options: str = "loop") -> Iterator[Path]:
    """Mount a volume on ``folder`` for the block inside."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-o", options, image, folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def populate(top: Path, seed: bytes = b"seed") -> None:
    """Fill a mounted volume with what readers stumble over."""

    def noise(length: int) -> bytes:
        return hashlib.shake_128(seed).digest(length)

    (top / "a/b/c").mkdir(parents=True)
    (top / "a/b/c/hello.txt").write_text("hello")
    (top / "a/link").symlink_to("../hello.txt")
    (top / "a/long-link").symlink_to("x" * 600)
    (top / "a/big").write_bytes(noise(3_000_001))
    with (top / "a/sparse").open("wb") as file:
        file.seek(5_000_000)
        file.write(b"middle" * 1000)
        file.seek(10_000_000)
        file.write(b"end")
        file.truncate(20_000_000)
    (top / "many").mkdir()
    for number in range(3000):
        (top / "many" / f"file-{number:05d}-{'n' * (number % 40)}").write_bytes(
            b"%d" % number if number % 7 == 0 else b""
        )
    (top / "few").mkdir()
    for number in range(20):
        (top / "few" / f"f{number}").touch()
    for name in (b"bad\xff\xfename", b"control\x1b[31m\nname", "ünï".encode()):
        with open(os.path.join(os.fsencode(top / "a"), name), "wb") as file:
            file.write(name)
    parts = [(top / "a" / f"fragments-{number}").open("wb", buffering=0) for number in range(3)]
    for turn in range(60):
        for part in parts:
            part.write(noise(4096 + turn)[:4096])
            os.fsync(part.fileno())
    for part in parts:
        part.close()
    os.mkfifo(top / "a/fifo")
    os.link(top / "a/big", top / "few/hard-link")
    os.utime(top / "a/b/c/hello.txt", ns=(1_000_000_001, 2_000_000_123_000_000_456))
    os.utime(top / "a/link", ns=(-5_000_000_000, -3_500_000_000), follow_symlinks=False)
    os.chown(top / "a/big", 70000, 80000)
    (top / "a/big").chmod(0o4755)
    with (top / "a/reserved").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1_000_000)
        file.seek(500_000)
        file.write(b"data")


class KernelEntry(Struct, frozen=True):
    """What the kernel says of a file. Times in nanoseconds."""

    inode: int
    type: str
    size: int
    mode: int
    uid: int
    gid: int
    mtime: int
    ctime: int
    target: str | None
    md5: str | None


def kernel_entries(top: Path) -> dict[bytes, KernelEntry]:
    """Return everything below a mounted volume by its path (with a slash in front)."""
    names = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo"}
    found: dict[bytes, KernelEntry] = {}
    root = os.fsencode(top)
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            place = os.path.join(folder, name)
            facts = os.lstat(place)
            kind = names[stat.S_IFMT(facts.st_mode)]
            md5 = None
            if kind == "file":
                with open(place, "rb") as file:
                    md5 = hashlib.file_digest(file, "md5").hexdigest()
            target = str(Path(os.fsdecode(place)).readlink()) if kind == "symlink" else None
            found[place[len(root) :]] = KernelEntry(
                facts.st_ino, kind, facts.st_size, facts.st_mode & 0o7777, facts.st_uid, facts.st_gid,
                facts.st_mtime_ns, facts.st_ctime_ns, target, md5,
            )  # fmt: skip
    return found
