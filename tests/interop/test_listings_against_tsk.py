"""Our listings against The Sleuth Kit's own tools, on real images made by others.

Every difference is one of those in ``EXPLAINED``; anything else fails.
"""

from __future__ import annotations

import gzip
import lzma
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensiq.analysis.explorer import entries_of
from forensiq.analysis.volumes import read_volumes
from forensiq.errors import UnsupportedContentError
from forensiq.images.raw import RawImage
from forensiq.model.listing import VolumeKind
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference
from tests.support.fls import FlsEntry, fls, mmls
from tests.support.real_images import real_images

pytestmark = pytest.mark.skipif(shutil.which("fls") is None, reason="The Sleuth Kit is not installed")

FEW = [
    "dfvfs/ext2.raw.xz", "dfvfs/ext4.raw.xz", "dfvfs/fat12.raw.xz", "dfvfs/gpt.raw.xz", "dfvfs/hfsplus.raw.xz",
    "dfvfs/iso9660.raw", "dfvfs/mbr.raw.xz", "dfvfs/ntfs.raw.xz", "dfvfs/ufs1.raw.xz", "dissect/fat/exfat.bin.xz",
    "dfir_ntfs/ntfs_index.raw.gz", "dfir_ntfs/fat_deleted_dir.raw.gz", "forensic-vfs-engine/ufs.img.xz",
    "sleuthkit/image.dd", "util-linux/bsd.img.xz", "go-ext4/hierarchy_64.ext4.xz", "e2fsprogs/f_badroot/image.gz",
]  # fmt: skip

EXPLAINED = {
    "control characters": "fls shows ^ for them; a listing of ours keeps the name as it is",
}

NOT_RAW = (".E01", ".E02", ".E03", ".E04", ".E05", ".E06", ".vmdk", ".qcow2", ".aff", ".aff4", ".vhd", ".vhdx", ".dmg",
           ".zip", ".ad1", ".Ex01", ".csv", ".txt", ".tar", ".md", ".json", ".xxd", ".sec", ".raw.section")  # fmt: skip
_LARGEST = 300 << 20


def unpacked(stored: Path, folder: Path) -> Path | None:
    """Return the raw image in ``stored``, unpacked into ``folder``, sparse; ``None`` for what is no raw image."""
    name = stored.name.removesuffix(".gz").removesuffix(".xz")
    if name.endswith(NOT_RAW):
        return None
    if name == stored.name:
        return stored
    target = folder / f"{stored.parent.name}-{name}"
    opener = gzip.open if stored.name.endswith(".gz") else lzma.open
    with opener(stored, "rb") as source, target.open("wb") as out:
        while piece := source.read(1 << 20):
            if piece.count(0) == len(piece):
                out.seek(len(piece), 1)
            else:
                out.write(piece)
            if out.tell() > _LARGEST:
                return None
        out.truncate()
    return target


def all_images() -> Iterator[Path]:
    root = real_images()
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.parent != root and "libewf-sections" not in path.parts:
            yield path


def sanitized(text: str) -> str:
    return "".join("^" if ord(character) < 0x20 or character == "\x7f" else character for character in text)


def check(image: Path) -> int:
    """Compare every file system of an image with fls; return how many were compared."""
    compared = 0
    try:
        listing = Listing(image_reference(image, image_format="raw"))
    except UnsupportedContentError:
        assert not fls(image, seconds=10)
        return 0
    with listing:
        for state in listing.not_listed:
            assert not fls(image, state.volume.offset // 512, seconds=10), f"fls lists what we say is {state.reason}"
        for fs in listing.file_systems:
            theirs = fls(image, fs.volume.offset // 512, seconds=20) if fs.pool_block is None else None
            ours = {
                FlsEntry(
                    sanitized(entry.path.lstrip("/") + (f":{entry.stream}" if entry.stream else "")),
                    entry.inode,
                    entry.attribute or "",
                    entry.allocated,
                )
                for batch in listing.explorer.walk(fs)
                for entry in entries_of(batch)
            }
            if theirs is None:
                continue
            compared += 1
            assert ours == {FlsEntry(sanitized(e.path), e.inode, e.attribute, e.allocated) for e in theirs}
    return compared


@pytest.mark.parametrize("name", FEW)
def test_the_same_entries_as_fls(name: str, tmp_path: Path) -> None:
    stored = real_images() / name
    if not stored.exists():
        pytest.skip(f"{name} is not among the real images")
    image = unpacked(stored, tmp_path)
    assert image is not None
    check(image)


@pytest.mark.parametrize("name", FEW)
def test_the_same_partitions_as_mmls(name: str, tmp_path: Path) -> None:
    stored = real_images() / name
    if not stored.exists():
        pytest.skip(f"{name} is not among the real images")
    image = unpacked(stored, tmp_path)
    assert image is not None
    check_partitions(image)


def check_partitions(image: Path) -> None:
    theirs = mmls(image)
    if theirs is None:
        return
    with RawImage(image) as medium:
        system = read_volumes(medium)
        rows = {
            (row.offset // 512, row.length // 512)
            for row in system.volumes
            if row.kind in (VolumeKind.PARTITION, VolumeKind.EXTENDED)
        }
    assert set(theirs) <= rows


@pytest.mark.long
def test_every_real_image(tmp_path: Path) -> None:
    compared = 0
    for stored in all_images():
        image = unpacked(stored, tmp_path)
        if image is None or not image.stat().st_size:
            continue
        compared += check(image)
        if tmp_path in image.parents:
            image.unlink()
    assert compared > 100
