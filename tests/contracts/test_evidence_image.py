"""What every :class:`~forensiq.images.base.EvidenceImage` has to do, whatever the format.

A format joins by a line in ``FORMATS``: how to make files that hold a medium.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from forensiq.errors import ForensiqError, ImageFormatError
from forensiq.images import open_image
from forensiq.images.base import EvidenceImage
from forensiq.images.ewf.libewf import LibewfImage
from forensiq.images.ewf.reader import EwfImage
from forensiq.images.raw import RawImage
from forensiq.model.source import SourceKind
from tests.support.ewf_builder import EwfBuilder, mixed_media
from tests.support.packages import build_aff4, build_dmg
from tests.support.qcow2 import build_qcow2
from tests.support.virtual_disks import build_vdi, build_vhd, build_vhdx, build_vmdk

MEDIA = mixed_media(300_544)


def _e01(folder: Path) -> EvidenceImage:
    return EwfImage.open(EwfBuilder(MEDIA).write(folder / "x")[0])


def _segments(folder: Path) -> EvidenceImage:
    return EwfImage.open(EwfBuilder(MEDIA, tables_per_segment=2).write(folder / "x")[3])


def _libewf(folder: Path) -> EvidenceImage:
    return LibewfImage(EwfBuilder(MEDIA, sectors_per_chunk=64, tables_per_segment=1).write(folder / "x"))


def _raw(folder: Path) -> EvidenceImage:
    (folder / "x.dd").write_bytes(MEDIA)
    return RawImage(folder / "x.dd")


def _split(folder: Path) -> EvidenceImage:
    for number in range(4):
        (folder / f"x.{number + 1:03d}").write_bytes(MEDIA[number * 100_000 : (number + 1) * 100_000])
    return open_image(folder / "x.001")


def _qcow2(folder: Path) -> EvidenceImage:
    return open_image(build_qcow2(MEDIA, folder / "x.qcow2"))


def _compressed_qcow2(folder: Path) -> EvidenceImage:
    return open_image(build_qcow2(MEDIA, folder / "x.qcow2", compressed=True))


def _overlay(folder: Path) -> EvidenceImage:
    build_qcow2(MEDIA, folder / "base.qcow2", compressed=True)
    build_qcow2(MEDIA, folder / "middle.qcow2", only=range(3, 9), backing="base.qcow2")
    return open_image(build_qcow2(MEDIA, folder / "x.qcow2", only=range(40, 50), backing="middle.qcow2"))


def _flat_vmdk(folder: Path) -> EvidenceImage:
    (folder / "x-f001.vmdk").write_bytes(MEDIA[:102_400])
    (folder / "x-f002.vmdk").write_bytes(b"#" * 512 + MEDIA[102_400:200_704])
    lines = ['RW 200 FLAT "x-f001.vmdk" 0', 'RW 192 FLAT "x-f002.vmdk" 1', 'RW 195 SPARSE "x-s003.vmdk"']
    build_vmdk(MEDIA[200_704:], folder / "x-s003.vmdk")
    text = "\n".join(["# Disk DescriptorFile", "CID=1", "parentCID=ffffffff", *lines])
    (folder / "x.vmdk").write_text(text)
    return open_image(folder / "x.vmdk")


def _vmdk_snapshot(folder: Path) -> EvidenceImage:
    build_vmdk(MEDIA, folder / "base.vmdk", cid="00000001", compressed=True)
    return open_image(
        build_vmdk(MEDIA, folder / "x.vmdk", only=range(10, 20), parent_cid="1", parent="C:\\vm\\BASE.vmdk")
    )


def _differencing_vhd(folder: Path) -> EvidenceImage:
    build_vhd(MEDIA, folder / "base.vhd", kind=2, identifier=b"P" * 16)
    made = build_vhd(
        MEDIA, folder / "x.vhd", kind=4, only=range(2, 5), parent=b"P" * 16, parent_name="base.vhd", half=3
    )
    return open_image(made)


def _differencing_vhdx(folder: Path) -> EvidenceImage:
    build_vhdx(MEDIA, folder / "base.vhdx", data_write=b"P" * 16)
    linkage = {"parent_linkage": "{" + str(uuid.UUID(bytes_le=b"P" * 16)) + "}", "relative_path": ".\\base.vhdx"}
    return open_image(build_vhdx(MEDIA, folder / "x.vhdx", own=range(20, 300), locator=linkage))


def _differencing_vdi(folder: Path) -> EvidenceImage:
    build_vdi(MEDIA, folder / "base.vdi", identifier=b"P" * 16, state=b"Q" * 16)
    made = build_vdi(MEDIA, folder / "x.vdi", kind=4, only=range(5, 50), parent=b"P" * 16, parent_state=b"Q" * 16)
    return open_image(made)


def _made(
    build: Callable[..., Path], name: str, *arguments: object, **options: object
) -> Callable[[Path], EvidenceImage]:
    def make(folder: Path) -> EvidenceImage:
        return open_image(build(MEDIA, folder / name, *arguments, **options))

    return make


FORMATS: dict[str, Callable[[Path], EvidenceImage]] = {
    "e01": _e01,
    "e01 in segments": _segments,
    "libewf": _libewf,
    "raw": _raw,
    "split raw": _split,
    "qcow2": _qcow2,
    "compressed qcow2": _compressed_qcow2,
    "qcow2 with backing files": _overlay,
    "sparse vmdk": _made(build_vmdk, "x.vmdk"),
    "stream-optimised vmdk": _made(build_vmdk, "x.vmdk", compressed=True),
    "vmdk of flat and sparse extents": _flat_vmdk,
    "vmdk snapshot": _vmdk_snapshot,
    "fixed vhd": _made(build_vhd, "x.vhd", kind=2),
    "dynamic vhd": _made(build_vhd, "x.vhd"),
    "differencing vhd": _differencing_vhd,
    "vhdx": _made(build_vhdx, "x.vhdx"),
    "differencing vhdx": _differencing_vhdx,
    "vdi": _made(build_vdi, "x.vdi"),
    "fixed vdi": _made(build_vdi, "x.vdi", kind=2),
    "differencing vdi": _differencing_vdi,
    **{
        f"dmg ({codec})": _made(build_dmg, "x.dmg", codec) for codec in ("raw", "zlib", "bzip2", "lzfse", "lzma", "adc")
    },
    **{
        f"aff4 ({codec})": _made(build_aff4, "x.aff4", codec)
        for codec in ("stored", "snappy", "lz4", "deflate", "zlib")
    },
}


@pytest.fixture(params=FORMATS, ids=list(FORMATS))
def make(request: pytest.FixtureRequest) -> Callable[[Path], EvidenceImage]:
    return FORMATS[request.param]


def test_it_says_what_it_holds(make: Callable[[Path], EvidenceImage], tmp_path: Path) -> None:
    with make(tmp_path) as image:
        assert (image.size, image.sector_size) == (len(MEDIA), 512)
        assert (image.identity.kind, image.identity.size) == (SourceKind.IMAGE, len(MEDIA))
        assert image.parallel_reads >= 1
        assert [segment.number for segment in image.segments] == list(range(1, len(image.segments) + 1))
        assert all((tmp_path / segment.path).stat().st_size == segment.size for segment in image.segments)
        assert [each.severity.value for each in image.check_structure() if each.severity.value != "info"] == []


RANGES = [(0, 512), (511, 2), (4095, 4098), (0, 300_544), (300_543, 10), (300_544, 10), (1 << 50, 1), (100_000, 0)]


@pytest.mark.parametrize("read", ["read_into", "read_direct", "read_checked"])
def test_any_range_is_what_was_stored(make: Callable[[Path], EvidenceImage], tmp_path: Path, read: str) -> None:
    with make(tmp_path) as image:
        for offset, length in RANGES:
            buffer = bytearray(b"\xee" * length)
            answer = getattr(image, read)(offset, memoryview(buffer))
            count, damage = answer if read == "read_checked" else (answer, ())
            expected = MEDIA[offset : offset + length]
            assert (offset, count, list(damage)) == (offset, len(expected), [])
            assert bytes(buffer[:count]) == expected


def test_many_threads_read_the_same_bytes(make: Callable[[Path], EvidenceImage], tmp_path: Path) -> None:
    with make(tmp_path) as image, ThreadPoolExecutor(4) as pool:

        def read(number: int) -> bool:
            offset = number * 7919 % len(MEDIA)
            buffer = bytearray(9000)
            count = image.read_into(offset, memoryview(buffer))
            return bytes(buffer[:count]) == MEDIA[offset : offset + 9000]

        assert all(pool.map(read, range(200)))


def test_it_closes_twice(make: Callable[[Path], EvidenceImage], tmp_path: Path) -> None:
    image = make(tmp_path)
    image.close()
    image.close()


@pytest.mark.parametrize("name", ["x.txt", "x", "x.doc", "x.E01", "x.record.json"])
def test_nothing_is_taken_for_raw_only_because_it_is_nothing_else(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"just some text" * 100)
    with pytest.raises(ImageFormatError):
        open_image(tmp_path / name)
    with open_image(tmp_path / name, format="raw") as image:
        assert image.format == "raw"


def test_a_folder_a_fifo_and_nothing_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.E01")
    for path in (tmp_path, tmp_path / "fifo.E01", tmp_path / "absent.E01"):
        with pytest.raises(ForensiqError):
            open_image(path)
