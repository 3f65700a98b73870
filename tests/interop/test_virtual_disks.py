"""Virtual disks that others made: the medium is theirs, byte for byte, in every kind that ``qemu-img`` writes."""

from __future__ import annotations

import hashlib
import lzma
import random
import struct
from pathlib import Path

import pytest

from forensiq.images import open_image
from forensiq.images.crc import crc32c
from tests.interop.peers import need, run
from tests.scenarios.program import forensiq
from tests.support.ewf_builder import mixed_media
from tests.support.packages import build_aff4
from tests.support.real_images import real_images


def _medium(size: int) -> bytes:
    """Return data, text, holes and single sectors, up to the very end."""
    chance = random.Random(6)
    data = bytearray(size)
    data[:300_544] = mixed_media(300_544)
    data[1 << 20 : (1 << 20) + 200_000] = chance.randbytes(200_000)
    data[2_500_096 : 2_500_096 + 512] = b"s" * 512
    text = b"a line of text that compresses well\n" * 20_000
    data[3 << 20 : (3 << 20) + len(text)] = text
    data[-512:] = b"E" * 512
    return bytes(data)


MEDIA = _medium(5 * (1 << 20) + 3 * 512)

QCOW2 = [
    *(["-o", options] for options in (
        "compat=1.1", "compat=0.10", "cluster_size=512", "cluster_size=2M", "extended_l2=on,cluster_size=16k",
        "preallocation=metadata", "preallocation=full", "data_file=data.bin", "data_file=data.bin,data_file_raw=on",
    )),
    *(["-c", "-o", options] for options in (
        "compat=1.1", "compat=0.10", "cluster_size=4096", "cluster_size=2M", "extended_l2=on", "compression_type=zstd",
    )),
]  # fmt: skip


def _same(path: Path, media: bytes = MEDIA) -> None:
    with open_image(path) as image:
        assert [each for each in image.check_structure() if each.severity.value == "error"] == []
        buffer = bytearray(image.size)
        count, damage = image.read_checked(0, memoryview(buffer))
        assert (count, list(damage)) == (len(buffer), [])
        assert hashlib.sha256(buffer).digest() == hashlib.sha256(media).digest()
        chance = random.Random(3)
        for _ in range(50):
            offset, length = chance.randrange(len(media)), chance.randrange(1, 100_000)
            piece = bytearray(length)
            done = image.read_into(offset, memoryview(piece))
            assert bytes(piece[:done]) == media[offset : offset + length]


def _convert(folder: Path, kind: str, name: str, *options: str) -> Path:
    need("qemu-img")
    (folder / "m.raw").write_bytes(MEDIA)
    resolved = [each.replace("data_file=", f"data_file={folder}/") for each in options]
    run("qemu-img", "convert", "-f", "raw", "-O", kind, *resolved, folder / "m.raw", folder / name)
    return folder / name


@pytest.mark.parametrize("options", QCOW2, ids=" ".join)
def test_qcow2(tmp_path: Path, options: list[str]) -> None:
    _same(_convert(tmp_path, "qcow2", "x.qcow2", *options))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("vpc", "subformat=dynamic,force_size=on"),
        ("vpc", "subformat=fixed,force_size=on"),
        ("vhdx", "subformat=dynamic"),
        ("vhdx", "subformat=dynamic,block_size=1M"),
        ("vhdx", "subformat=fixed"),
        ("vdi", "static=off"),
        ("vdi", "static=on"),
    ],
)
def test_vhd_vhdx_and_vdi(tmp_path: Path, kind: str, options: str) -> None:
    _same(_convert(tmp_path, kind, f"x.{'vhd' if kind == 'vpc' else kind}", "-o", options))


def test_the_log_of_a_vhdx_that_was_not_closed_is_replayed_in_memory(tmp_path: Path) -> None:
    need("qemu-img", "qemu-io")
    path = tmp_path / "x.vhdx"
    run("qemu-img", "create", "-q", "-f", "vhdx", path, "40M")
    run("qemu-io", "-c", "write -P 0x41 20M 64k", path)
    # QEMU clears the log when it is done; put back what was there a moment before: the page only in the log.
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"loge")
    place = struct.unpack_from("<Q", data, entry + 64 + 16)[0]
    data[place : place + 4096] = bytes(4096)
    newest = max((64 << 10, 128 << 10), key=lambda at: struct.unpack_from("<Q", data, at + 8)[0])
    data[newest + 48 : newest + 64] = data[entry + 32 : entry + 48]
    data[newest + 4 : newest + 8] = bytes(4)
    data[newest + 4 : newest + 8] = crc32c(bytes(data[newest : newest + 4096])).to_bytes(4, "little")
    path.write_bytes(data)
    expected = bytearray(40 << 20)
    expected[20 << 20 : (20 << 20) + (64 << 10)] = b"A" * (64 << 10)
    with open_image(path) as image:
        assert [each.code for each in image.findings()] == ["vhdx.log"]
    _same(path, bytes(expected))
    assert path.read_bytes() == data
    entry_data = data[entry + 4096 + 100]
    data[entry + 4096 + 100] = entry_data ^ 1
    path.write_bytes(data)
    with open_image(path) as image:
        assert [each.severity.value for each in image.findings()] == ["error"]


@pytest.mark.parametrize("zeroed", ["on", "off"])
@pytest.mark.parametrize("kind", ["monolithicSparse", "twoGbMaxExtentSparse", "streamOptimized"])
def test_sparse_vmdk(tmp_path: Path, kind: str, zeroed: str) -> None:
    _same(_convert(tmp_path, "vmdk", "x.vmdk", "-o", f"subformat={kind},zeroed_grain={zeroed}"))


@pytest.mark.parametrize("kind", ["monolithicFlat", "twoGbMaxExtentFlat"])
def test_flat_vmdk_by_its_descriptor_or_by_an_extent(tmp_path: Path, kind: str) -> None:
    path = _convert(tmp_path, "vmdk", "x.vmdk", "-o", f"subformat={kind}")
    _same(path)
    extent = next(each for each in tmp_path.glob("x-*.vmdk"))
    _same(extent)
    extent.unlink()
    for command in ("info", "verify", "ls", "partitions"):
        assert extent.name in forensiq(command, path, "--json").expect(9).out
    with open_image(path, lenient=True) as image:
        assert {each.code for each in image.read_checked(0, memoryview(bytearray(4096)))[1]} == {"extent.missing"}


def test_vmdk_snapshots_over_a_parent_and_a_parent_that_was_changed(tmp_path: Path) -> None:
    base = _convert(tmp_path, "vmdk", "base.vmdk")
    run("qemu-img", "create", "-q", "-f", "vmdk", "-b", base, "-F", "vmdk", tmp_path / "one.vmdk")
    run("qemu-io", "-c", "write -P 0x41 1M 128k", tmp_path / "one.vmdk")
    run("qemu-img", "create", "-q", "-f", "vmdk", "-b", tmp_path / "one.vmdk", "-F", "vmdk", tmp_path / "two.vmdk")
    run("qemu-io", "-c", "write -P 0x42 2M 4k", tmp_path / "two.vmdk")
    run("qemu-img", "convert", "-O", "raw", tmp_path / "two.vmdk", tmp_path / "flat.raw")
    _same(tmp_path / "two.vmdk", (tmp_path / "flat.raw").read_bytes())
    run("qemu-io", "-c", "write -P 0x43 3M 4k", base)
    message = forensiq("ls", tmp_path / "two.vmdk", "--json").expect(9).json["message"]
    assert "content identifier" in message


@pytest.mark.parametrize("base", ["raw", "qcow2"])
def test_qcow2_over_backing_files(tmp_path: Path, base: str) -> None:
    first = _convert(tmp_path, base, f"base.{base}")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", first, "-F", base, tmp_path / "one.qcow2")
    run("qemu-io", "-c", "write -P 0x41 1M 128k", "-c", "write -z 3M 100k", tmp_path / "one.qcow2")
    run("qemu-img", "snapshot", "-c", "before", tmp_path / "one.qcow2")
    run("qemu-io", "-c", "write -P 0x42 2M 4k", tmp_path / "one.qcow2")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", tmp_path / "one.qcow2", "-F", "qcow2", tmp_path / "two.qcow2")
    run("qemu-io", "-c", "write -P 0x43 1100k 4k", tmp_path / "two.qcow2")
    run("qemu-img", "convert", "-O", "raw", tmp_path / "two.qcow2", tmp_path / "flat.raw")
    _same(tmp_path / "two.qcow2", (tmp_path / "flat.raw").read_bytes())
    about = forensiq("info", tmp_path / "one.qcow2", "--json").expect(0).json
    assert "'before'" in about["container"]["snapshots"][0]


@pytest.mark.parametrize(
    ("name", "md5"),
    [
        ("plaso/image.qcow2", "d73c51f10c7ee6a681b7b619ccc6f1c4"),
        ("dfvfs/ext2.qcow2", "196066add11fb71c4c49cf1bb50d6d24"),
        ("keramics/fat16.qcow2", "038543875da3"),
        ("dfvfs/hfsplus_zlib.dmg", "9f743920a429dab38217082399d07b6f"),
        ("keramics/hfsplus_zlib.dmg", "399bfcc39637bde7e43eb86fcc8565ae"),
        ("keramics/hfsplus_bzip2.dmg", "7ec785450bbc17de417be373fd5d2159"),
        ("forensic-vfs-engine/apm_hfsplus.dmg", "9a4465157e0cc6ef8dd556cbfe099582"),
        ("dfvfs/ext2.vhdx.xz", "196066add11fb71c4c49cf1bb50d6d24"),
        ("dfvfs/ext2.vmdk", "196066add11fb71c4c49cf1bb50d6d24"),
        ("plaso/image.vmdk", "a528fc1bec79f4fef062f2bf1008c045"),
        ("vmdk-forensic/stream_opt.vmdk", "b6d81b360a5672d80c27430f39153e2c"),
    ],
)
def test_disks_made_by_others_have_the_digest_that_others_found(tmp_path: Path, name: str, md5: str) -> None:
    path = real_images() / name
    if path.suffix == ".xz":
        (tmp_path / path.stem).write_bytes(lzma.decompress(path.read_bytes()))
        path = tmp_path / path.stem
    done = forensiq("verify", path, "--json").expect(10)
    assert done.json["verdict"] == "no_reference"
    assert done.json["digests"]["md5"]["computed"].startswith(md5)


def test_every_command_reads_a_virtual_disk_and_refuses_one_without_its_parent(tmp_path: Path) -> None:
    need("qemu-img")
    source = real_images() / "plaso" / "image.qcow2"
    (tmp_path / "base.qcow2").write_bytes(source.read_bytes())
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", tmp_path / "child.qcow2")
    child = tmp_path / "child.qcow2"
    assert "/passwords.txt" in {row["path"] for row in forensiq("ls", "-r", child, "--json").expect(0).lines}
    assert len(forensiq("hash", child, "--json").expect(0).lines) > 2
    assert forensiq("partitions", child, "--json").expect(0).out
    record = forensiq("acquire", child, tmp_path / "copy", "--json").expect(0).json
    assert record["digests"]["md5"] == "d73c51f10c7ee6a681b7b619ccc6f1c4"
    assert forensiq("verify", tmp_path / "copy.E01", "--json").expect(0).json["verdict"] == "verified"
    forensiq("convert", child, tmp_path / "raw", "--format", "raw").expect(0)
    assert forensiq("info", child, "--json").expect(0).json["container"]["backing_file"] == "base.qcow2"
    (tmp_path / "base.qcow2").unlink()
    for command in ("ls", "hash", "partitions", "verify", "info"):
        done = forensiq(command, child, "--json").expect(9)
        assert "base.qcow2" in done.out
    forensiq("acquire", child, tmp_path / "again").expect(9)


def test_unreadable_and_unknown_regions_stay_apart_in_the_map_of_a_copy(tmp_path: Path) -> None:
    media = mixed_media(204_800)
    source = build_aff4(media, tmp_path / "x.aff4", unreadable=range(8192, 12_288), unknown=range(40_960, 49_152))
    done = forensiq("convert", source, tmp_path / "copy", "--format", "raw", "--json").expect(3)
    assert done.json["map"]["bytes_by_status"]["unreadable"] == 4096
    assert done.json["map"]["bytes_by_status"]["not_tried"] == 8192
    text = (tmp_path / "copy.map").read_text()
    assert "0x00002000  0x00001000  -" in text
    assert "0x0000A000  0x00002000  ?" in text


@pytest.mark.parametrize("name", ["Base-Linear.aff4", "Base-Linear_1.aff4", "Base-Linear_2.aff4"])
def test_aff4_of_others_is_proven_by_its_own_digests(name: str) -> None:
    done = forensiq("verify", real_images() / "pyaff4" / name, "--json").expect(0)
    assert done.json["verdict"] == "verified"
    assert done.json["digests"]["md5"]["computed"] == "dd6dbda282e27fd0d196abd95f5c3e58"


def test_an_aff4_with_unreadable_sectors_and_one_without_its_other_stripe(tmp_path: Path) -> None:
    folder = real_images() / "pyaff4"
    about = forensiq("info", folder / "Base-Linear-ReadError.aff4", "--json").expect(0).json
    assert about["acquisition_errors"] == [
        {"first_lba": 30_720, "sectors": 2048},
        {"first_lba": 174_080, "sectors": 2048},
    ]
    (tmp_path / "Base-Linear_1.aff4").write_bytes((folder / "Base-Linear_1.aff4").read_bytes())
    assert (
        forensiq("verify", tmp_path / "Base-Linear_1.aff4", "--json").expect(9).json["error"] == "MissingSegmentError"
    )
    assert "AFF4-L" in forensiq("info", folder / "dream.aff4", "--json").expect(9).json["message"]
