"""Damaged, hostile and incomplete QCOW2 files: each is refused or told, and none gives zeros in silence."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from forensiq.errors import ImageDamageError, ImageFormatError, MissingSegmentError, UnsupportedContentError
from forensiq.images import open_image
from forensiq.images.qcow2.reader import Qcow2Image
from tests.support.ewf_builder import mixed_media
from tests.support.qcow2 import CLUSTER, DATA, L1, L2, build_qcow2

MEDIA = mixed_media(200_704)


def _read(path: Path, *, lenient: bool = False) -> tuple[bytes, list[str]]:
    with open_image(path, lenient=lenient) as image:
        buffer = bytearray(image.size)
        _, damage = image.read_checked(0, memoryview(buffer))
        return bytes(buffer), [each.code for each in damage]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"version": 1}, "version 1"),
        ({"version": 9}, "version 9"),
        ({"bits": 8}, "2^8"),
        ({"bits": 63}, "2^63"),
        ({"size": 0}, "not possible"),
        ({"size": 1 << 62}, "not possible"),
        ({"size": 1 << 40}, "entries where"),
        ({"l1_entries": 1 << 31}, "L1 table"),
        ({"l1_at": 1 << 60}, "L1 table"),
        ({"l1_at": 4097}, "L1 table"),
        ({"incompatible": 1 << 20}, "does not know"),
        ({"length": 1 << 30}, "header"),
        ({"backing_at": 1 << 50, "backing_size": 20}, "backing file"),
        ({"backing_at": 512, "backing_size": 1 << 31}, "backing file"),
    ],
)
def test_a_header_that_cannot_be_is_refused(tmp_path: Path, fields: dict[str, int], said: str) -> None:
    path = build_qcow2(MEDIA, tmp_path / "x.qcow2", fields=fields)
    with pytest.raises(ImageFormatError) as caught:
        open_image(path)
    assert said in caught.value.message


@pytest.mark.parametrize(("method", "name"), [(1, "AES"), (2, "LUKS"), (7, "method 7")])
def test_an_encrypted_one_is_named(tmp_path: Path, method: int, name: str) -> None:
    path = build_qcow2(MEDIA, tmp_path / "x.qcow2", fields={"crypt": method})
    with pytest.raises(UnsupportedContentError) as caught:
        open_image(path)
    assert f"encrypted QCOW2 image ({name})" in caught.value.message


@pytest.mark.parametrize("size", [3, 70, 103, 4096, 2 * CLUSTER])
def test_a_file_cut_off_before_its_data_is_refused_or_all_lost(tmp_path: Path, size: int) -> None:
    path = build_qcow2(MEDIA, tmp_path / "x.qcow2")
    os.truncate(path, size)
    try:
        _, codes = _read(path)
    except ImageFormatError:
        return
    assert set(codes) == {"qcow2.l2"}


@pytest.mark.parametrize("compressed", [False, True])
def test_what_was_cut_off_is_damage_and_the_rest_is_whole(tmp_path: Path, compressed: bool) -> None:
    path = build_qcow2(MEDIA, tmp_path / "x.qcow2", compressed=compressed)
    os.truncate(path, DATA + (path.stat().st_size - DATA) // 2)
    data, codes = _read(path)
    assert codes
    assert set(codes) <= {"file.truncated", "chunk.inflate", "qcow2.entry"}
    assert data[:CLUSTER] == MEDIA[:CLUSTER]
    with open_image(path) as image, pytest.raises(ImageDamageError):
        image.read_into(0, memoryview(bytearray(image.size)))


@pytest.mark.parametrize("entry", [3 << 61, 1 << 57 | DATA, DATA + 512, 1 << 62 | (1 << 40), 1 << 62 | 1 << 63 | DATA])
def test_an_entry_that_cannot_be_is_damage_of_its_cluster_alone(tmp_path: Path, entry: int) -> None:
    path = build_qcow2(MEDIA, tmp_path / "x.qcow2")
    with path.open("r+b") as file:
        file.seek(L2 + 8 * 5)
        file.write(struct.pack(">Q", entry))
    data, codes = _read(path)
    assert codes in (["qcow2.entry"], ["chunk.inflate"])
    assert data[: 5 * CLUSTER] + data[6 * CLUSTER :] == MEDIA[: 5 * CLUSTER] + MEDIA[6 * CLUSTER :]


def test_a_cluster_that_is_used_twice_is_told(tmp_path: Path) -> None:
    path = build_qcow2(MEDIA, tmp_path / "x.qcow2")
    with path.open("r+b") as file:
        file.seek(L2 + 8 * 5)
        file.write(struct.pack(">2Q", 1 << 63 | DATA, 1 << 63 | L1))
    with open_image(path) as image:
        assert [each.code for each in image.check_structure()] == ["qcow2.overlap"] * 2


def test_a_backing_file_that_is_not_there_is_missing_and_never_zeros(tmp_path: Path) -> None:
    path = build_qcow2(MEDIA, tmp_path / "x.qcow2", only=range(3), backing="/srv/base.qcow2")
    with pytest.raises(MissingSegmentError) as caught:
        open_image(path)
    assert caught.value.facts["missing"] == ["/srv/base.qcow2"]
    _, codes = _read(path, lenient=True)
    assert codes == ["parent.missing"]
    with open_image(path, lenient=True) as image:
        assert isinstance(image, Qcow2Image)
        assert [each.media.offset for each in image.missing_media] == [3 * CLUSTER]
        assert not image.complete


def test_a_backing_file_is_taken_from_beside_the_image_and_from_folders_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    path = build_qcow2(MEDIA, tmp_path / "a" / "x.qcow2", only=range(3), backing="../b/base.qcow2")
    build_qcow2(MEDIA, tmp_path / "b" / "base.qcow2")
    with pytest.raises(MissingSegmentError):
        open_image(path)
    build_qcow2(bytes(len(MEDIA)), tmp_path / "a" / "base.qcow2")
    with open_image(path, segments_in=[tmp_path / "b"]) as image:
        assert [each.code for each in image.findings()] == ["qcow2.backing"]
        buffer = bytearray(image.size)
        image.read_into(0, memoryview(buffer))
        assert bytes(buffer) == MEDIA


def test_an_absolute_path_is_never_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "case").mkdir()
    base = build_qcow2(MEDIA, tmp_path / "elsewhere" / "base.qcow2")
    path = build_qcow2(MEDIA, tmp_path / "case" / "x.qcow2", only=range(3), backing=str(base))
    with pytest.raises(MissingSegmentError):
        open_image(path)


def test_a_loop_of_backing_files_is_refused(tmp_path: Path) -> None:
    first = build_qcow2(MEDIA, tmp_path / "a.qcow2", only=range(3), backing="b.qcow2")
    build_qcow2(MEDIA, tmp_path / "b.qcow2", only=range(3), backing="a.qcow2")
    own = build_qcow2(MEDIA, tmp_path / "own.qcow2", only=range(3), backing="own.qcow2")
    for path in (first, own):
        with pytest.raises(ImageFormatError) as caught:
            open_image(path, lenient=True)
        assert "loop" in caught.value.message


def test_a_chain_without_end_is_refused(tmp_path: Path) -> None:
    for number in range(70):
        build_qcow2(MEDIA[:4096], tmp_path / f"{number}.qcow2", only=range(0), backing=f"{number + 1}.qcow2")
    build_qcow2(MEDIA[:4096], tmp_path / "70.qcow2")
    with pytest.raises(ImageFormatError) as caught:
        open_image(tmp_path / "0.qcow2")
    assert "more than 64" in caught.value.message
    with open_image(tmp_path / "40.qcow2") as image:
        assert len(image.segments) == 31


def test_the_medium_behind_a_shorter_backing_file_is_zeros(tmp_path: Path) -> None:
    (tmp_path / "base").write_bytes(MEDIA[:10_000])
    path = build_qcow2(MEDIA, tmp_path / "x.qcow2", only=range(0), backing="base")
    data, codes = _read(path)
    assert (data, codes) == (MEDIA[:10_000].ljust(len(MEDIA), b"\0"), [])
