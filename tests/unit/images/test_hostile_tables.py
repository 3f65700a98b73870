"""Tables of containers that lie about what they hold: overlaps are told, and memory stays bounded."""

from __future__ import annotations

import os
import random
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiq.clock import monotonic
from forensiq.errors import ImageDamageError, ImageFormatError, MissingSegmentError
from forensiq.images import open_image
from forensiq.images.aff4.writer import Aff4Writer
from forensiq.images.container_file import ContainerConfig
from forensiq.images.places import AlignedPlaces, Places
from forensiq.model.chunk import Batch
from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.image import ClosingFacts
from tests.scenarios.program import forensiq
from tests.support.ewf_builder import mixed_media
from tests.support.packages import URN, build_aff4, build_dmg
from tests.support.qcow2 import build_qcow2
from tests.support.virtual_disks import build_vdi, build_vhd, build_vmdk

MEDIA = mixed_media(100 * 2048)
MIB = 1 << 20


@contextmanager
def bounded(mib: int, seconds: float = 20) -> Iterator[None]:
    """Fail where more than ``mib`` MiB were allocated at once, or where it took longer."""
    started = monotonic()
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < mib * MIB
    finally:
        tracemalloc.stop()
    assert monotonic() - started < seconds


def codes(path: Path) -> list[str]:
    with open_image(path) as image:
        return [each.code for each in image.check_structure() if each.severity.value == "error"]


@given(st.lists(st.integers(0, 300), max_size=30), st.integers(1, 20))
def test_places_tell_every_overlap(starts: list[int], unit: int) -> None:
    places, taken = Places(320, unit), set[int]()
    for start in starts:
        mine = set(range(start, start + unit))
        assert places.take(start) == (not mine & taken)
        if not mine & taken:
            taken |= mine


@given(st.lists(st.integers(0, 40), max_size=60))
def test_units_that_are_counted_are_taken_once(numbers: list[int]) -> None:
    places, taken = AlignedPlaces(41), set[int]()
    for number in numbers:
        assert places.take(number) == (number not in taken)
        taken.add(number)


def _vmdk_overlap(path: Path) -> Path:
    build_vmdk(MEDIA, path)
    data = bytearray(path.read_bytes())
    table = list(struct.unpack_from("<512I", data, 22 * 512))
    first, second = [number for number, sector in enumerate(table) if sector][:2]
    for place in (22, 28):
        struct.pack_into("<I", data, place * 512 + second * 4, table[first] + 3)
    path.write_bytes(data)
    return path


def _vhd_overlap(path: Path) -> Path:
    build_vhd(MEDIA, path)
    data = bytearray(path.read_bytes())
    count = -(-len(MEDIA) // 16_384)
    table = list(struct.unpack_from(f">{count}I", data, 1536))
    first, second = [number for number, entry in enumerate(table) if entry != 0xFFFF_FFFF][:2]
    struct.pack_into(">I", data, 1536 + second * 4, table[first] + 1)
    path.write_bytes(data)
    return path


def _vdi_overlap(path: Path) -> Path:
    build_vdi(MEDIA, path)
    data = bytearray(path.read_bytes())
    count = -(-len(MEDIA) // 4096)
    table = list(struct.unpack_from(f"<{count}I", data, 1024))
    first, second = [number for number, entry in enumerate(table) if entry != 0xFFFF_FFFF][:2]
    struct.pack_into("<I", data, 1024 + second * 4, table[first])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("make", "name", "code"),
    [
        (_vmdk_overlap, "x.vmdk", "vmdk.overlap"),
        (_vhd_overlap, "x.vhd", "vhd.overlap"),
        (_vdi_overlap, "x.vdi", "vdi.overlap"),
    ],
)
def test_units_that_share_bytes_are_told(tmp_path: Path, make: Callable[[Path], Path], name: str, code: str) -> None:
    assert code in codes(make(tmp_path / name))


def test_extents_of_a_vmdk_that_share_bytes_are_told(tmp_path: Path) -> None:
    (tmp_path / "flat").write_bytes(MEDIA)
    path = tmp_path / "x.vmdk"
    head = "# Disk DescriptorFile\nCID=1\nparentCID=ffffffff\n"
    path.write_text(f'{head}RW 100 FLAT "flat" 0\nRW 100 FLAT "flat" 99\n')
    assert codes(path) == ["vmdk.overlap"]
    path.write_text(f'{head}RW 100 FLAT "flat" 0\nRW 100 FLAT "flat" 100\n')
    assert codes(path) == []


def test_a_sparse_file_of_any_size_takes_no_memory_for_its_size(tmp_path: Path) -> None:
    path = build_qcow2(MEDIA, tmp_path / "x.qcow2")
    os.truncate(path, 15 << 40)
    with bounded(300), open_image(path) as image:
        list(image.check_structure())
    other = build_vmdk(MEDIA, tmp_path / "x.vmdk")
    os.truncate(other, 15 << 40)
    with bounded(300), open_image(other) as image:
        assert "container.overlap.unchecked" in [each.code for each in image.check_structure()]


def test_a_sparse_extent_that_is_named_a_thousand_times_is_read_once(tmp_path: Path) -> None:
    extent = build_vmdk(MEDIA, tmp_path / "a.vmdk")
    data = bytearray(extent.read_bytes())
    struct.pack_into("<Q", data, 12, 8 * 512 * (1 << 18))  # a directory of 1 MiB
    extent.write_bytes(data)
    os.truncate(extent, 4 * MIB)
    lines = '\nRW 400 SPARSE "a.vmdk"' * 1000
    (tmp_path / "x.vmdk").write_text(f"# Disk DescriptorFile\nCID=1\nparentCID=ffffffff{lines}\n")
    with bounded(60), open_image(tmp_path / "x.vmdk") as image:
        buffer = memoryview(bytearray(400 * 512))
        image.read_checked(999 * 400 * 512, buffer)
        assert bytes(buffer) == MEDIA[: len(buffer)]


def test_resources_of_a_dmg_that_share_bytes_do_not_multiply_them(tmp_path: Path) -> None:
    plain = bytearray(build_dmg(MEDIA, tmp_path / "x.dmg", "raw").read_bytes())
    body = struct.pack(">I", 4 * MIB) + bytes(4 * MIB)
    count = 60_000
    fork_map = bytes(24) + struct.pack(">HHH", 28, 0, 0) + struct.pack(">4sHH", b"blkx", count - 1, 10)
    fork_map += struct.pack(">HHI", 0, 0xFFFF, 0) * count + bytes(64)
    fork = struct.pack(">II", 8, 8 + len(body)) + body + fork_map
    trailer = plain[-512:]
    struct.pack_into(">QQ", trailer, 40, 0, len(fork))
    struct.pack_into(">QQ", trailer, 24, 0, 0)
    struct.pack_into(">QQ", trailer, 216, 0, 0)
    (tmp_path / "y.dmg").write_bytes(fork + trailer)
    with bounded(40), pytest.raises(ImageFormatError, match="damaged"):
        open_image(tmp_path / "y.dmg")


def _replaced(path: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(path) as package:
        members = {each: package.read(each) for each in package.namelist() if each != name}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.comment = URN.encode()
        for each, data in members.items():
            package.writestr(each, data, zipfile.ZIP_STORED)
        package.writestr(name, content)


def test_a_map_that_unpacks_to_hundreds_of_mib_is_not_unpacked(tmp_path: Path) -> None:
    path = build_aff4(MEDIA, tmp_path / "x.aff4")
    _replaced(path, "map/map", bytes(28 * 4 * MIB))
    assert path.stat().st_size < 2 * MIB
    with bounded(40), pytest.raises(ImageFormatError, match="map of the AFF4 image"):
        open_image(path)


def test_a_changed_byte_in_the_facts_of_an_aff4_is_seen(tmp_path: Path) -> None:
    path = build_aff4(MEDIA, tmp_path / "x.aff4")
    with zipfile.ZipFile(path) as package:
        facts = package.read("information.turtle")
    _replaced(path, "information.turtle", facts)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as package:
        header = package.getinfo("information.turtle").header_offset
    place = data.index(b"PK\x01\x02", header) - 5
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(ImageFormatError, match=r"information\.turtle"):
        open_image(path)


def test_facts_that_are_too_large_are_not_called_damaged(tmp_path: Path) -> None:
    path = build_aff4(MEDIA, tmp_path / "x.aff4", turtle="#" * (40 * MIB))
    with pytest.raises(ImageFormatError, match="reads at most") as caught:
        open_image(path)
    assert "AFF4-L" in (caught.value.hint or "")


def _written(path: Path, media: bytes) -> Path:
    writer = Aff4Writer(ContainerConfig(path=path, media_size=len(media), compression="fast"))
    writer.begin()
    writer.write(writer.encode(Batch(0, 0, memoryview(media))))
    writer.finish(ClosingFacts(DigestSet()))
    return path


def test_block_digests_of_an_aff4_say_where_it_is_damaged(tmp_path: Path) -> None:
    media = bytes(200_000 // 512 * 512) + random.Random(4).randbytes(300_000 // 512 * 512)
    path = _written(tmp_path / "x.aff4", media)
    whole = path.read_bytes()
    assert forensiq("verify", path, "--json").expect(0).json["verdict"] == "verified"
    place = whole.index(media[250_000:250_064])
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    damaged = Extent(250_000 // 32_768 * 32_768, 32_768)
    done = forensiq("verify", path, "--json").expect(4).json
    assert [(each["offset"], each["length"]) for each in done["damage"]] == [(damaged.offset, damaged.length)]
    assert "sha256" in done["damage"][0]["reason"]
    with open_image(path) as image:
        with pytest.raises(ImageDamageError):
            image.read_into(damaged.offset, memoryview(bytearray(512)))
        buffer = memoryview(bytearray(damaged.offset))
        image.read_into(0, buffer)
        assert bytes(buffer) == media[: damaged.offset]
        image.read_into(damaged.end, memoryview(bytearray(len(media) - damaged.end)))


def test_a_changed_list_of_block_digests_is_told(tmp_path: Path) -> None:
    media = random.Random(4).randbytes(64 << 10)
    path = _written(tmp_path / "x.aff4", media)
    with zipfile.ZipFile(path) as package:
        name = next(each for each in package.namelist() if each.endswith(".blockHash.sha256"))
        info = package.getinfo(name)
    data = bytearray(path.read_bytes())
    data[info.header_offset + 30 + len(name)] ^= 1
    path.write_bytes(data)
    assert "aff4.blocks" in codes(path)


def test_a_link_that_leads_out_of_the_evidence_is_not_followed(tmp_path: Path) -> None:
    case, elsewhere = tmp_path / "case", tmp_path / "elsewhere"
    case.mkdir()
    elsewhere.mkdir()
    (elsewhere / "secret").write_bytes(MEDIA)
    (case / "base").symlink_to(elsewhere / "secret")
    path = build_qcow2(MEDIA, case / "x.qcow2", only=range(3), backing="base")
    with pytest.raises(MissingSegmentError) as caught:
        open_image(path)
    assert "links" in (caught.value.hint or "")
    with open_image(path, segments_in=[elsewhere]) as image:
        assert image.size == len(MEDIA)
    (case / "real").write_bytes(MEDIA)
    (case / "base").unlink()
    (case / "base").symlink_to("real")
    with open_image(path) as image:
        assert image.size == len(MEDIA)


def test_a_parent_in_another_folder_is_found_by_acquire_clone_and_convert(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    path = build_qcow2(MEDIA, tmp_path / "a" / "x.qcow2", only=range(3), backing="base.qcow2")
    build_qcow2(MEDIA, tmp_path / "b" / "base.qcow2")
    for words in (
        ("acquire", path, "one", "--format", "raw"),
        ("convert", path, "two", "--format", "raw"),
        ("clone", path, tmp_path / "three.dd"),
    ):
        forensiq(*words, "--segments-in", tmp_path / "b", "--json", folder=tmp_path).expect(0)
    for name in ("one.dd", "two.dd", "three.dd"):
        assert (tmp_path / name).read_bytes() == MEDIA
