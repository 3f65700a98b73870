"""``--priority metadata``: of a drive that dies, what its file system uses is saved first."""

from __future__ import annotations

import hashlib
import random
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiq.acquisition.pipeline import run_pipeline
from forensiq.acquisition.plan import plan_acquisition
from forensiq.acquisition.rescue import RescueSettings
from forensiq.acquisition.rescue_reader import RescueReader, RescueSetup
from forensiq.acquisition.rescue_store import RescueStore, load_map
from forensiq.model.extent import Extent
from forensiq.model.media_map import ReadStatus
from forensiq.procedures.priority import FileSystemOrder
from forensiq.sources.faulty import FaultySource
from forensiq.sources.file import FileSource
from forensiq.streams.progress import Progress
from tests.rig import faulty_device, need_tools
from tests.scenarios.program import forensiq
from tests.support.linux_volumes import mounted, needs_kernel

pytestmark = [pytest.mark.root, pytest.mark.slow]

SIZE = 28 << 20
START = 4 << 20
EVIDENCE = random.Random(21).randbytes(300_000)


def disk(folder: Path, kind: str) -> tuple[Path, Extent]:
    """Give a disk with one partition whose only file lies far from its start; return the file's place too."""
    need_tools("mkfs.vfat", "mcopy", "mkfs.ext4", "debugfs")
    volume = folder / "volume"
    with volume.open("wb") as file:
        file.truncate(SIZE - START)
    (folder / "filler").write_bytes(random.Random(1).randbytes(13 << 20))
    (folder / "evidence.bin").write_bytes(EVIDENCE)
    if kind == "fat":
        subprocess.run(["mkfs.vfat", "-F", "16", "-s", "1", str(volume)], check=True, capture_output=True)
        for name in ("filler", "evidence.bin"):
            subprocess.run(["mcopy", "-i", str(volume), str(folder / name), "::"], check=True)
        subprocess.run(["mdel", "-i", str(volume), "::filler"], check=True)
    else:
        subprocess.run(["mkfs.ext4", "-q", "-F", str(volume)], check=True)
        script = folder / "script"
        script.write_text(f"write {folder}/filler filler\nwrite {folder}/evidence.bin evidence.bin\nrm filler\n")
        subprocess.run(["debugfs", "-w", "-f", str(script), str(volume)], check=True, capture_output=True)
    table = bytearray(512)
    table[446:462] = (
        bytes([0, 0, 0, 0, 0x83, 0, 0, 0])
        + (START // 512).to_bytes(4, "little")
        + ((SIZE - START) // 512).to_bytes(4, "little")
    )
    table[510:] = b"\x55\xaa"
    path = folder / "disk.dd"
    content = volume.read_bytes()
    path.write_bytes(bytes(table) + bytes(START - 512) + content)
    place = Extent(START + content.index(EVIDENCE), len(EVIDENCE))
    assert place.offset > START + (12 << 20)
    return path, place


def saved(folder: Path, place: Extent, base: int = 0) -> int:
    """Return how many bytes of ``place`` the rescue has; what it says it has is right."""
    media_map = load_map(folder / "X.rescue.map", SIZE - base)
    inside = place.shifted(-base)
    with (folder / "X.rescue.part").open("rb") as file:
        for part, _ in media_map.ranges(ReadStatus.READ, within=inside):
            file.seek(part.offset)
            assert file.read(part.length) == EVIDENCE[part.offset - inside.offset : part.end - inside.offset]
    return sum(part.length for part, _ in media_map.ranges(ReadStatus.READ, within=inside))


def ntfs_disk(folder: Path) -> tuple[Path, Extent]:
    """Give an NTFS volume whose file lies far behind free space; return the file's place too."""
    need_tools("mkntfs", "ntfscp")
    path = folder / "disk.dd"
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkntfs", "-q", "-F", "-s", "512", "-c", "4096", str(path)], check=True, capture_output=True)
    (folder / "evidence.bin").write_bytes(EVIDENCE)
    subprocess.run(["ntfscp", str(path), str(folder / "evidence.bin"), "evidence.bin"], check=True, capture_output=True)
    return path, Extent(path.read_bytes().index(EVIDENCE), len(EVIDENCE))


def xfs_disk(folder: Path) -> tuple[Path, Extent]:
    """The same of XFS, as the kernel writes it, at the size that mkfs.xfs asks for."""
    needs_kernel("xfs")
    path = folder / "disk.dd"
    with path.open("wb") as file:
        file.truncate(300 << 20)
    subprocess.run(["mkfs.xfs", "-q", "-f", str(path)], check=True, capture_output=True)
    with mounted(path, folder / "mnt") as top:
        for name in "abc":  # folders go to allocation groups in turn, and files to that of their folder
            (top / name).mkdir()
        (top / "c/evidence.bin").write_bytes(EVIDENCE)
    return path, Extent(path.read_bytes().index(EVIDENCE), len(EVIDENCE))


@pytest.mark.parametrize("make", [ntfs_disk, xfs_disk])
def test_free_space_before_a_file_is_read_after_it(tmp_path: Path, make: Callable[[Path], tuple[Path, Extent]]) -> None:
    path, place = make(tmp_path)
    size = path.stat().st_size
    with FileSource(path) as plain:
        source = FaultySource(plain)
        stop, progress = threading.Event(), Progress(0)
        plan = plan_acquisition(source, chunk_size=64 << 10, pad_last_sector=False, block_hash_size=None)
        order = FileSystemOrder(size, 512)
        setup = RescueSetup(
            RescueStore(tmp_path / "X.rescue.part"), lambda *_: None, RescueSettings(order=order), stop, at_once=True
        )
        result = run_pipeline(
            plan, source, [], progress=progress,
            strategy=lambda journal: RescueReader(source, plan.extent, journal, progress, setup),
        )  # fmt: skip
    assert result.complete, result.failure
    assert "1 file system first" in result.reading.strategy
    # Nothing is read twice, and the file is whole before half of what lies before it has been touched.
    assert sum(event.length for event in source.events) == size
    last = max(n for n, each in enumerate(source.events) if Extent(each.offset, each.length).overlaps(place))
    before = sum(each.length for each in source.events[:last] if each.offset < place.offset)
    assert before < place.offset // 2


@pytest.mark.parametrize("kind", ["fat", "ext4"])
def test_of_a_drive_that_vanishes_the_files_are_saved_first(tmp_path: Path, kind: str) -> None:
    path, place = disk(tmp_path, kind)
    bad = [Extent(START - (64 << 10), 512)]
    results = {}
    for order in ("none", "metadata") if kind == "fat" else ("metadata",):
        folder = tmp_path / order
        with faulty_device(path, tmp_path / f"rig {order}", bad=bad, vanish_after=9 << 20) as device:
            words = ["acquire", device.path, str(folder / "X"), "--priority", order, "--json"]
            record = forensiq(*words).expect(8).json
            results[order] = saved(folder, place)
            if order == "metadata":
                device.stay()
                again = forensiq(*words, "--resume").expect(3).json
    assert results.pop("metadata") == len(EVIDENCE)
    assert results == ({"none": 0} if kind == "fat" else {})
    assert "1 file system first" in record["reading"]["strategy"]
    image = bytearray(path.read_bytes())
    image[bad[0].offset : bad[0].end] = bytes(bad[0].length)
    assert again["digests"]["sha256"] == hashlib.sha256(image).hexdigest()
    assert again["verification"]["verdict"] == "verified"
    assert [each["offset"] for each in again["unreadable"]] == [bad[0].offset]
    assert "file system first" in (tmp_path / "metadata/X.log.txt").read_text()


def test_a_medium_without_a_file_system_is_read_in_its_order_and_that_is_said(tmp_path: Path) -> None:
    data = random.Random(2).randbytes(3 << 20)
    (tmp_path / "disk.dd").write_bytes(data)
    words: list[str | Path] = ["acquire", tmp_path / "disk.dd", tmp_path / "X", "--priority", "metadata", "--json"]
    record = forensiq(*words).expect(0).json
    assert record["digests"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert "in the order of the medium" in record["reading"]["strategy"]


def test_a_clone_may_follow_the_file_system_too_and_an_image_may_not(tmp_path: Path) -> None:
    path, _ = disk(tmp_path, "fat")
    words: list[str | Path] = [
        "clone",
        path,
        tmp_path / "clone.dd",
        "--record",
        tmp_path / "C",
        "--priority",
        "metadata",
        "--json",
    ]
    record = forensiq(*words).expect(0).json
    assert "1 file system first" in record["reading"]["strategy"]
    assert (tmp_path / "clone.dd").read_bytes() == path.read_bytes()
    forensiq("acquire", path, tmp_path / "E").expect(0)
    forensiq("acquire", tmp_path / "E.E01", tmp_path / "G", "--priority", "metadata").expect(2)
