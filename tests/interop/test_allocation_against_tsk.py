"""The blocks that we call in use are those that The Sleuth Kit calls in use, block for block."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiq.analysis.allocation import NotDetermined, allocation_of_file_system, bit_runs
from forensiq.analysis.tsk import TskError, TskFileSystem, TskImage, library
from forensiq.analysis.window import Window
from forensiq.images.raw import RawImage
from forensiq.model.allocation import AllocationClass
from forensiq.model.extent import Extent, merge, subtract
from forensiq.procedures.allocation import allocation_of
from forensiq.procedures.partitions import image_reference
from tests.interop.test_listings_against_tsk import unpacked
from tests.support.disks import gpt_disk
from tests.support.real_images import real_images

MAKERS = {
    "ext2": ["mkfs.ext2", "-q", "-F", "-b", "1024"],
    "ext4": ["mkfs.ext4", "-q", "-F", "-b", "1024", "-O", "64bit,flex_bg,uninit_bg,^has_journal"],
    "ext4-wide": ["mkfs.ext4", "-q", "-F", "-b", "4096"],
    "ntfs": ["mkfs.ntfs", "-q", "-F", "-f"],
    "fat12": ["mkfs.vfat", "-F", "12"],
    "fat16": ["mkfs.vfat", "-F", "16"],
    "fat32": ["mkfs.vfat", "-F", "32", "-s", "1"],
    "exfat": ["mkfs.exfat"],
}
REAL = [
    "dfvfs/ext2.raw.xz", "dfvfs/ext4.raw.xz", "dfvfs/fat12.raw.xz", "dfvfs/hfsplus.raw.xz", "dfvfs/ntfs.raw.xz",
    "forensic-vfs-engine/ufs.img.xz", "dissect/fat/exfat.bin.xz", "go-ext4/hierarchy_64.ext4.xz",
]  # fmt: skip


def _run(*command: str | Path) -> None:
    subprocess.run([str(each) for each in command], check=True, capture_output=True)


def _made(kind: str, folder: Path) -> Path:
    """Return a new file system with some files in it, as far as there is a tool that puts them there."""
    command = MAKERS[kind]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    path, content = folder / kind, folder / "content"
    with path.open("wb") as file:
        file.truncate((40 if kind == "fat32" else 12) << 20)
    content.mkdir()
    for number in range(9):
        (content / f"file {number}").write_bytes(b"content %d " % number * (3000 * number + 1))
    if kind.startswith("ext"):
        command = [*command, "-d", str(content)]
    _run(*command, path)
    for each in content.iterdir():
        if kind.startswith("fat") and shutil.which("mcopy"):
            _run("mcopy", "-i", path, each, "::")
        elif kind == "ntfs" and shutil.which("ntfscp"):
            _run("ntfscp", "-q", path, each, each.name)
    return path


def _compare(path: Path, *, more_is_fine: int = 0) -> None:
    """``more_is_fine``: bytes that we may add (the copy of a boot sector behind the last block)."""
    with RawImage(path) as image:
        fs = TskFileSystem(TskImage(library(), image, 512), 0)
        found = allocation_of_file_system(fs, Window(image), lambda: None)
        block = fs.block_size
        numbers = range(fs.info.first_block, fs.info.last_block_act + 1)
        used = merge(Extent(number * block, block) for number in numbers if not fs.block_flags(number) & 2)
        fs.close()
    ours = merge(Extent.between(*each) for each in found.boot + found.metadata + found.allocated)
    assert subtract(used, ours) == ()
    if fs.name != "iso9660":
        first = fs.info.first_block * block
        extra = subtract(ours, (*used, Extent(0, first)))
        assert sum(each.length for each in extra) <= max(more_is_fine, 8192), extra
        assert used
        assert subtract([Extent(0, image.size)], ours)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_new_file_system(kind: str, tmp_path: Path) -> None:
    _compare(_made(kind, tmp_path))


@pytest.mark.parametrize("name", REAL)
def test_a_file_system_made_by_others(name: str, tmp_path: Path) -> None:
    path = unpacked(real_images() / name, tmp_path)
    assert path is not None
    try:
        _compare(path)
    except (NotDetermined, TskError) as error:
        pytest.fail(str(error))


def test_a_disk_tells_tables_gaps_and_what_cannot_be_read(tmp_path: Path) -> None:
    inner = _made("ext2", tmp_path).read_bytes()
    first = 2048
    last = first + len(inner) // 512 - 1
    other = 1 << 16
    disk = gpt_disk([(first, last, "linux"), (other, other + 8191, "unknown")], sectors=1 << 17)
    disk[first * 512 : first * 512 + len(inner)] = inner
    path = tmp_path / "disk.dd"
    path.write_bytes(disk)
    result = allocation_of(image_reference(path, image_format="raw"))
    assert sum(each.extent.length for each in result.extents) == len(disk)
    assert result.of(AllocationClass.TABLE)[0].offset == 0
    assert result.of(AllocationClass.TABLE)[-1].end == len(disk)
    assert result.of(AllocationClass.NOT_READABLE) == (Extent(other * 512, 8192 * 512),)
    # Up to 16 MiB what is in no partition is a boot area; the last MiB is one too.
    boot = result.of(AllocationClass.BOOT)
    assert boot[0].offset == 34 * 512
    assert boot[1] == Extent.between(first * 512 + len(inner), 16 << 20)
    assert boot[-1].offset == len(disk) - (1 << 20)
    assert result.of(AllocationClass.UNPARTITIONED)[0].offset == 16 << 20
    known, unknown = result.volumes
    assert known.file_system == "ext2"
    assert known.reason is None
    assert sum(known.bytes_by_class.values()) == len(inner)
    assert known.bytes_by_class["free"] > len(inner) // 2
    assert unknown.file_system is None
    assert unknown.reason is not None
    assert unknown.bytes_by_class == {"not_readable": 8192 * 512}


@given(st.binary(max_size=40), st.integers(0, 320), st.integers(1, 7))
def test_runs_of_bits_are_those_of_a_set(data: bytes, bits: int, step: int) -> None:
    bits = min(bits, len(data) * 8)
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    got = [number for low, high in bit_runs(pieces, bits) for number in range(low, high)]
    assert got == [number for number in range(bits) if data[number // 8] >> number % 8 & 1]


@pytest.mark.skipif(shutil.which("partclone.ext4") is None, reason="partclone is not installed")
@pytest.mark.parametrize("kind", ["ext2", "ext4"])
def test_partclone_takes_as_many_blocks(kind: str, tmp_path: Path) -> None:
    made = _made(kind, tmp_path)
    clone = tmp_path / "clone"
    _run("partclone.ext4", "-c", "-q", "-L", "/dev/null", "-s", made, "-o", clone)
    command = ["partclone.info", "-L", "/dev/null", "-s", str(clone)]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    line = next(each for each in (told.stdout + told.stderr).splitlines() if each.startswith("Space in use"))
    blocks = int(line.rpartition("=")[2].split()[0])
    (volume,) = allocation_of(image_reference(made, image_format="raw")).volumes
    assert sum(volume.bytes_by_class.values()) - volume.bytes_by_class["free"] == blocks * 1024
