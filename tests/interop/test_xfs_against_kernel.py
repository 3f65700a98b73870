"""XFS as we read it against the kernel that wrote it, and against real images made by others."""

from __future__ import annotations

import json
import mmap
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from forensiq.analysis.native.pages import Pages
from forensiq.analysis.native.xfs import XfsFileSystem
from forensiq.images.raw import RawImage
from forensiq.model.extent import Extent
from forensiq.procedures.extract import extract_files
from forensiq.procedures.impact import DamageSource, impact_of
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference, list_partitions
from forensiq.procedures.search import search_image
from tests.interop.test_listings_against_tsk import unpacked
from tests.support.linux_volumes import KernelEntry, kernel_entries, mounted, needs_kernel, populate
from tests.support.real_images import real_images

pytestmark = pytest.mark.root

OPTIONS = {"as mkfs makes it": [], "small blocks, plain": ["-b", "size=1024", "-m", "reflink=0,bigtime=0"],
           "large directories": ["-n", "size=16384", "-i", "size=1024"]}  # fmt: skip


Volume = tuple[Path, dict[bytes, KernelEntry]]


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[] if not more else pytest.mark.long) for name, more in OPTIONS.items()],
)
def volume(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Volume]:
    needs_kernel("xfs")
    folder = tmp_path_factory.mktemp("xfs")
    image = folder / "volume.dd"
    with image.open("wb") as file:
        file.truncate(320 << 20)
    subprocess.run(["mkfs.xfs", "-q", *OPTIONS[request.param], image], check=True)
    with mounted(image, folder / "top") as top:
        populate(top)
        os.sync()
        (top / "many/file-00007-nnnnnnn").unlink()
    with mounted(image, folder / "top", "loop,ro") as top:
        entries = kernel_entries(top)
    yield image, entries
    image.unlink()


def nanoseconds(text: str) -> int:
    found = re.fullmatch(r"(.{19})(?:\.(\d{9}))?Z", text)
    assert found
    whole = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    return int(whole.timestamp()) * 10**9 + int(found[2] or 0)


def test_every_entry_is_as_the_kernel_has_it(volume: Volume) -> None:
    image, theirs = volume
    with Listing(image_reference(image)) as listing:
        ours = list(listing.entries())
        assert not listing.losses
        digests = {
            value["path_hex"] if "path_hex" in value else value["path"].encode().hex(): value["digests"]["md5"]
            for fs in listing.file_systems
            for batch in listing.explorer.walk(fs, do="digest", algorithms=["md5"])
            for value in map(json.loads, batch.splitlines())
        }
    present = {entry.exact_path: entry for entry in ours if entry.allocated}
    assert present.keys() == theirs.keys()
    for path, entry in present.items():
        kernel = theirs[path]
        assert (entry.inode, entry.type, entry.uid, entry.gid) == (kernel.inode, kernel.type, kernel.uid, kernel.gid)
        assert entry.mode is not None
        assert int(entry.mode, 8) == kernel.mode
        assert entry.mtime is not None
        assert entry.ctime is not None
        assert (nanoseconds(entry.mtime), nanoseconds(entry.ctime)) == (kernel.mtime, kernel.ctime)
        assert entry.link_target == kernel.target
        assert entry.size == kernel.size
        assert digests.get(path.hex()) == kernel.md5


def test_a_deleted_name_is_told_and_nothing_more_of_it(volume: Volume) -> None:
    with Listing(image_reference(volume[0])) as listing:
        deleted = list(listing.entries(deleted=True))
    assert "/many/file-00007-nnnnnnn" in {entry.path for entry in deleted}
    assert all(entry.recovery is not None and entry.recovery.value == "name_only" for entry in deleted)
    assert all(entry.size is None and entry.mtime is None for entry in deleted)


def test_content_slack_and_free_space_are_searched_and_extracted(volume: Volume, tmp_path: Path) -> None:
    image, theirs = volume
    with Listing(image_reference(image)) as listing:
        hits = [hit for hit in search_image(listing, texts=["middlemiddle"], free=False) if hit["encoding"] == "utf-8"]
        assert {(hit["path"], hit["area"]) for hit in hits if hit["area"] == "file"} == {("/a/sparse", "file")}
        assert hits[0]["offset"] == 5_000_000
        [found] = [entry for fs in listing.file_systems for entry in listing.explorer.find(fs, "/a/long-link")]
        assert found.link_target == "x" * 600
    summary = extract_files(image_reference(image), tmp_path / "out", path="/a")
    assert summary.incomplete == 0
    assert (tmp_path / "out/medium/a/big").stat().st_size == theirs[b"/a/big"].size


def test_damage_is_told_by_file_inode_and_free_space(volume: Volume) -> None:
    image, _ = volume
    with image.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place, end = data.find(b"middlemiddle") // 512 * 512, len(data) - 4096
    record = impact_of(image_reference(image), [DamageSource("test", (Extent(place, 512), Extent(0, 512)))])
    assert [(hit.path, hit.kind, hit.bytes) for hit in record.files] == [("/a/sparse", "content", 512)]
    assert [(area.kind, area.offset, area.length) for area in record.areas] == [("file_system_metadata", 0, 512)]
    free = impact_of(image_reference(image), [DamageSource("test", (Extent(end, 4096),))])
    assert [(area.kind, area.length) for area in free.areas] == [("unallocated", 4096)]


def test_free_space_is_as_xfs_db_counts_it(volume: Volume) -> None:
    image, _ = volume
    commands = [part for group in range(4) for part in ("-c", f"agf {group}", "-c", "print freeblks")]
    told = subprocess.run(["xfs_db", "-r", *commands, image], capture_output=True, text=True, check=True)
    free = sum(int(number) for number in re.findall(r"freeblks = (\d+)", told.stdout))
    with RawImage(image) as medium:
        fs = XfsFileSystem(Pages(medium, [], lambda: None), 0)
        ours = sum(length for _, length in fs.free_ranges()) // fs.block_size
    assert ours == free > 0


REAL: dict[str, dict[str, int | None]] = {
    "cryptsetup/img_fs_xfs.img.xz": {"/luks.img": 8388608, "/luks_header.img": 1052672},
    "dissect/xfs/xfs.bin.gz": {"/test_file": 13, "/test_dir": None, "/test_dir/test_file": 15, "/test_link": 18},
    "util-linux/xfs.img.xz": {},
}


@pytest.mark.parametrize("name", REAL)
def test_real_images(name: str, tmp_path: Path) -> None:
    stored = real_images() / name
    if not stored.exists():
        pytest.skip(f"{name} is not among the real images")
    image = unpacked(stored, tmp_path)
    assert image is not None
    with Listing(image_reference(image)) as listing:
        ours = {entry.path: entry.size for entry in listing.entries()}
        assert not listing.losses
    assert {path: size if REAL[name][path] is not None else None for path, size in ours.items()} == REAL[name]
    assert [row.filesystem for row in list_partitions(image_reference(image)).rows] == ["XFS"]
