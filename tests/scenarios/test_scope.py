"""``--scope``: only what was asked for is read, and nothing that was left out is ever called data."""

from __future__ import annotations

import errno
import hashlib
import json
import threading
from pathlib import Path

import pytest
from msgspec import Struct

from forensiq.model.allocation import Allocation, AllocationClass
from forensiq.model.extent import Extent
from forensiq.model.mapfile import parse_mapfile
from forensiq.model.media_map import MediaMap, RangeStatus, ReadStatus
from forensiq.procedures import mounting
from forensiq.procedures.acquire import acquire
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.allocation import allocation_of
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.practice.drive import practice_bytes
from forensiq.procedures.scope_choice import parse_scope
from tests.rig import loop_device
from tests.scenarios.program import forensiq

pytestmark = pytest.mark.slow

LEFT_OUT = (AllocationClass.FREE, AllocationClass.UNPARTITIONED)


class Disk(Struct, frozen=True):
    """A disk whose free space is full of ``old data``."""

    path: Path
    data: bytes
    allocation: Allocation

    @property
    def free(self) -> tuple[Extent, ...]:
        return self.allocation.of(*LEFT_OUT)

    @property
    def used(self) -> bytes:
        kinds = [each for each in AllocationClass if each not in LEFT_OUT]
        return b"".join(self.data[each.offset : each.end] for each in self.allocation.of(*kinds))


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    path = tmp_path_factory.mktemp("disk") / "disk.dd"
    data = bytearray(practice_bytes())
    path.write_bytes(data)
    allocation = allocation_of(image_reference(path, image_format="raw"))
    for extent in allocation.of(*LEFT_OUT):
        data[extent.offset : extent.end] = (b"old data" * (extent.length // 8 + 1))[: extent.length]
    path.write_bytes(data)
    return Disk(path, bytes(data), allocation)


def without(disk: Disk) -> bytes:
    """Return the medium as an image with the scope ``allocated`` holds it."""
    kept = bytearray(disk.data)
    for extent in disk.free:
        kept[extent.offset : extent.end] = bytes(extent.length)
    return bytes(kept)


def test_allocated_takes_what_is_used_and_says_what_it_left_out(disk: Disk, tmp_path: Path) -> None:
    done = forensiq("acquire", disk.path, "X", "--scope", "allocated", "--format", "raw", "--json", folder=tmp_path)
    record = done.expect(0).json
    assert (tmp_path / "X.dd").read_bytes() == without(disk)
    assert record["status"] == "complete"
    assert "PARTIAL BY SCOPE" in record["summary"]
    assert record["range"]["whole"] is False
    scope = record["scope"]
    left = sum(each.length for each in disk.free)
    assert scope["request"] == "allocated"
    assert scope["skipped_bytes"] == left
    assert scope["taken_bytes"] == len(disk.data) - left
    assert scope["share"] == pytest.approx(1 - left / len(disk.data), abs=1e-6)
    assert {each["file_system"] for each in scope["volumes"]} == {"FAT16", "ext2"}
    # The digests are of the bytes that were taken, and say so.
    assert record["digests"]["sha256"] == hashlib.sha256(disk.used).hexdigest()
    assert f"{left:,} bytes that were skipped by scope are not covered" in record["digest_coverage"]
    assert record["map"]["bytes_by_status"]["skipped_by_scope"] == left
    assert record["unreadable"] == []
    media_map, _ = parse_mapfile((tmp_path / "X.map").read_text())
    assert media_map.extents(ReadStatus.SKIPPED_BY_SCOPE) == disk.free
    # GNU ddrescue reads the same map: what was skipped is not tried, and neither bad nor read.
    rows = [line.split() for line in (tmp_path / "X.map").read_text().splitlines() if line and line[0] != "#"][1:]
    assert sum(int(size, 16) for _, size, letter in rows if letter == "?") == left
    log = (tmp_path / "X.log.txt").read_text()
    assert "COMPLETE AND VERIFIED, PARTIAL BY SCOPE" in log
    assert "skipped or never tried" not in log
    assert record["statistics"]["bytes_seen"] == len(disk.used)
    # Where nothing was read, nothing is stored either.
    assert (tmp_path / "X.dd").stat().st_blocks * 512 < len(disk.used) + (1 << 20)


def test_verify_info_and_impact_say_that_it_is_partial(disk: Disk, tmp_path: Path) -> None:
    forensiq("acquire", disk.path, "X", "--scope", "allocated", "--quiet", folder=tmp_path).expect(0)
    verified = forensiq("verify", "X.E01", "--json", folder=tmp_path).expect(0).json
    assert "PARTIAL BY SCOPE" in verified["partial_by_scope"]
    assert "PARTIAL BY SCOPE" in verified["summary"]
    assert verified["digests"]["md5"]["match"] is True
    about = forensiq("info", "X.E01", "--json", folder=tmp_path).expect(0).json
    assert about["scope"]["request"] == "allocated"
    assert about["acquisition_errors"] == []
    assert about["stored_digests"] == {}, "a container's digest is of its whole medium"
    # The container says so itself, for those who have nothing else.
    assert "PARTIAL BY SCOPE" in about["metadata"]["notes"]
    impact = forensiq("impact", "X.E01", "--json", folder=tmp_path).expect(0).json
    assert impact["damaged_bytes"] == 0
    assert "PARTIAL BY SCOPE" in impact["summary"]
    compared = forensiq("verify", "X.E01", "--against", disk.path, "--json", folder=tmp_path).expect(0).json
    assert compared["details"]["bytes_differing_from_drive"] == 0
    # Another container, the same bytes, still partial.
    forensiq("convert", "X.E01", "Y", "--format", "raw", "--quiet", folder=tmp_path).expect(0)
    assert (tmp_path / "Y.dd").read_bytes() == without(disk)
    again = json.loads((tmp_path / "Y.record.json").read_text())
    assert again["scope"] == about["scope"]
    assert again["digests"] == json.loads((tmp_path / "X.record.json").read_text())["digests"]


def test_bytes_that_appear_where_nothing_was_taken_are_found(disk: Disk, tmp_path: Path) -> None:
    options = ["--scope", "allocated", "--format", "raw", "--block-hash-size", "none", "--no-segment-hash"]
    forensiq("acquire", disk.path, "X", *options, "--quiet", folder=tmp_path).expect(0)
    with (tmp_path / "X.dd").open("r+b") as file:
        file.seek(disk.free[-1].offset)
        file.write(b"planted")
    verified = forensiq("verify", "X.dd", "--json", folder=tmp_path).expect(4).json
    assert verified["verdict"] == "damaged"
    assert verified["damage"][0]["code"] == "scope.not_empty"


def test_without_its_map_nobody_knows_what_is_data(disk: Disk, tmp_path: Path) -> None:
    forensiq("acquire", disk.path, "X", "--scope", "allocated", "--quiet", folder=tmp_path).expect(0)
    (tmp_path / "X.map").unlink()
    verified = forensiq("verify", "X.E01", "--json", folder=tmp_path).expect(4).json
    assert "scope.map" in [each["code"] for each in verified["structure"]]
    assert forensiq("acquire", "X.E01", "Z", folder=tmp_path).code == 9


def test_nothing_outside_of_the_scope_is_read(disk: Disk, tmp_path: Path) -> None:
    faults = MediaMap(len(disk.data), RangeStatus(ReadStatus.READ))
    for extent in disk.free:
        faults.mark(extent, RangeStatus(ReadStatus.UNREADABLE, errno.EIO))
    request = AcquireRequest(
        source=str(disk.path), output=tmp_path / "X", scope=parse_scope("allocated"), practice_faults=faults
    )
    record = acquire(request)
    assert record.status == "complete"
    assert record.reading["failed_reads"] == 0


def test_a_bad_sector_inside_is_rescued_and_nothing_else_is_touched(disk: Disk, tmp_path: Path) -> None:
    faults = MediaMap(len(disk.data), RangeStatus(ReadStatus.READ))
    # Everything that is free, and eight sectors in the middle of the film.
    film = next(each for each in disk.allocation.of(AllocationClass.ALLOCATED) if each.length > 2_000_000)
    bad = Extent(film.offset + 512_000, 8 * 512)
    for extent in (*disk.free, bad):
        faults.mark(extent, RangeStatus(ReadStatus.UNREADABLE, errno.EIO))
    request = AcquireRequest(
        source=str(disk.path), output=tmp_path / "X", scope=parse_scope("allocated"), practice_faults=faults
    )
    record = acquire(request)
    assert record.status == "complete_with_unreadable_sectors"
    assert [(each.offset, each.length) for each in record.unreadable] == [(bad.offset, bad.length)]
    assert record.map.bytes_by_status["skipped_by_scope"] == sum(each.length for each in disk.free)
    assert record.verification is not None
    assert record.verification.verdict == "verified"
    assert record.impact is not None
    assert [each.path for each in record.impact.files] == ["/holiday film.mov"]


def test_a_scope_goes_on_where_it_was_interrupted(disk: Disk, tmp_path: Path) -> None:
    stop = threading.Event()
    request = AcquireRequest(source=str(disk.path), output=tmp_path / "X", scope=parse_scope("allocated"))
    first = acquire(request, stop=stop, on_start=lambda _: stop.set())
    assert first.status == "interrupted"
    done = forensiq("acquire", disk.path, "X", "--resume", "--json", folder=tmp_path).expect(0).json
    assert done["digests"]["sha256"] == hashlib.sha256(disk.used).hexdigest()
    assert done["scope"]["request"] == "allocated"
    assert done["sittings"] == 2


def test_a_partition_with_the_tables_and_nothing_of_the_other_one(disk: Disk, tmp_path: Path) -> None:
    done = forensiq("acquire", disk.path, "X", "--scope", "partition:2", "--format", "raw", "--json", folder=tmp_path)
    record = done.expect(0).json
    stored = (tmp_path / "X.dd").read_bytes()
    first, second = disk.allocation.volumes
    assert stored[:512] == disk.data[:512]
    assert not any(stored[first.offset : first.offset + first.length])
    assert stored[second.offset : second.offset + second.length] == disk.data[second.offset :][: second.length]
    assert record["scope"]["volumes"][0]["taken_bytes"] == 0
    wrong = forensiq("acquire", disk.path, "Y", "--scope", "partition:7", "--json", folder=tmp_path).expect(2)
    assert wrong.json["known"] == ["1", "2"]


def test_listed_paths_can_be_read_and_other_files_are_never_given_as_zeros(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("/home/lee\n")
    forensiq("acquire", disk.path, "X", "--scope", "paths:list", "--quiet", folder=tmp_path).expect(0)
    notes = forensiq("cat", "X.E01", "/home/lee/notes.txt", folder=tmp_path).expect(0)
    assert "Montag" in notes.out
    # The whole tree can be listed; what was not asked for says so, instead of giving zeros.
    names = {line["path"] for line in forensiq("ls", "X.E01", "-r", "--json", folder=tmp_path).expect(0).lines}
    assert "/var/log/syslog" in names
    other = forensiq("cat", "X.E01", "/var/log/syslog", folder=tmp_path)
    assert other.code == 4
    assert other.out == ""
    assert "outside of the scope" in other.err
    hashed = {
        line["path"]: line["digests"]
        for line in forensiq("hash", "X.E01", "--json", folder=tmp_path).lines
        if "digests" in line
    }
    assert hashed["/var/log/syslog"] is None
    assert hashed["/home/lee/notes.txt"]
    # A mount answers with an error, too, and still gives what is there.
    operations = mounting._Operations(image_reference(tmp_path / "X.E01"), deleted=False)
    assert operations.medium.read_into(0, memoryview(head := bytearray(512))) == 512
    try:
        assert head == disk.data[:512]
        with pytest.raises(OSError, match="not acquired"):
            operations.medium.read_into(disk.free[-1].offset, memoryview(bytearray(4096)))
    finally:
        operations.destroy("/")
    # Nothing of the other partition but what no partition holds.
    scope = json.loads((tmp_path / "X.record.json").read_text())["scope"]
    assert scope["volumes"][0]["taken_bytes"] == 0
    assert scope["paths"] == ["/home/lee"]
    (tmp_path / "wrong").write_text("/home/lee\n/nowhere\n")
    done = forensiq("acquire", disk.path, "Y", "--scope", "paths:wrong", "--json", folder=tmp_path).expect(2)
    assert done.json["missing"] == ["/nowhere"]
    assert not list(tmp_path.glob("Y*"))


def test_a_volume_that_cannot_be_read_is_taken_whole(disk: Disk, tmp_path: Path) -> None:
    second = disk.allocation.volumes[1]
    data = bytearray(disk.data)
    data[second.offset : second.offset + 4096] = b"x" * 4096  # its superblock is gone
    (tmp_path / "odd.dd").write_bytes(data)
    done = forensiq("acquire", "odd.dd", "X", "--scope", "allocated", "--format", "raw", "--json", folder=tmp_path)
    record = done.expect(0).json
    stored = (tmp_path / "X.dd").read_bytes()
    assert stored[second.offset : second.offset + second.length] == data[second.offset :][: second.length]
    assert record["scope"]["volumes"][1]["reason"]
    assert "scope.whole" in [each["code"] for each in record["findings"]]


@pytest.mark.parametrize(
    "words",
    [
        ["--scope", "used"],
        ["--scope", "partition:x"],
        ["--scope", "paths:/no/such/list"],
        ["--scope", "allocated", "--partition", "1"],
        ["--scope", "allocated", "--reread"],
    ],
)
def test_what_contradicts_itself_is_refused(disk: Disk, tmp_path: Path, words: list[str]) -> None:
    forensiq("acquire", disk.path, "X", *words, folder=tmp_path).expect(2)
    assert not list(tmp_path.glob("X*"))


@pytest.mark.root
def test_a_real_block_device(disk: Disk, tmp_path: Path) -> None:
    with loop_device(disk.path) as device:
        words = ["acquire", device.path, "X", "--scope", "allocated", "--format", "raw", "--no-probe", "--json"]
        record = forensiq(*words, folder=tmp_path).expect(0).json
    assert (tmp_path / "X.dd").read_bytes() == without(disk)
    assert record["write_block"]["method"] == "kernel_read_only_flag"
