"""The native reader: whole images, damaged ones, incomplete ones."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from forensiq.errors import ImageDamageError, ImageFormatError, MissingSegmentError
from forensiq.images import open_image
from forensiq.images.ewf.layout import Volume
from forensiq.images.ewf.reader import EwfImage
from forensiq.model.digest import HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause
from tests.support.ewf_builder import EwfBuilder, mixed_media

CHUNK = 4096
MEDIA = mixed_media(40 * CHUNK + 1024)


def read_all(image: EwfImage, step: int = 7 * CHUNK) -> tuple[bytes, list[tuple[int, int, str]]]:
    data, damage = bytearray(), []
    while len(data) < image.size:
        buffer = bytearray(step)
        count, found = image.read_checked(len(data), memoryview(buffer))
        data += buffer[:count]
        damage += [(each.media.offset, each.media.length, each.code) for each in found]
    return bytes(data), damage


def codes(image: EwfImage) -> set[str]:
    return {finding.code for finding in image.check_structure()}


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("tables_per_segment", [1, 3, 1000])
def test_reads_what_was_stored(tmp_path: Path, absolute: bool, tables_per_segment: int) -> None:
    paths = EwfBuilder(MEDIA, absolute=absolute, tables_per_segment=tables_per_segment).write(tmp_path / "x")
    for named in (paths[0], paths[-1]):
        with EwfImage.open(named) as image:
            assert read_all(image) == (MEDIA, [])
            assert codes(image) == set()
            assert (image.size, image.sector_size, image.chunk_size) == (len(MEDIA), 512, CHUNK)
            assert [segment.path for segment in image.segments] == [path.name for path in paths]
            assert image.metadata.examiner == "Ä. Lee"
            assert set(image.stored_digests) == {HashAlgorithm.MD5, HashAlgorithm.SHA1}


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 1), (4095, 2), (len(MEDIA) - 1, 50), (len(MEDIA), 10), (1, 100_000), (163, 4096)]
)
def test_reads_any_range(tmp_path: Path, offset: int, length: int) -> None:
    paths = EwfBuilder(MEDIA).write(tmp_path / "x")
    with EwfImage.open(paths[0]) as image:
        buffer = bytearray(length)
        count = image.read_into(offset, memoryview(buffer))
        assert bytes(buffer[:count]) == MEDIA[offset : offset + length]
        count, damage = image.read_checked(offset, memoryview(buffer))
        assert (bytes(buffer[:count]), list(damage)) == (MEDIA[offset : offset + length], [])


def test_a_missing_segment_is_refused_and_named(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, tables_per_segment=2).write(tmp_path / "x")
    paths[2].unlink()
    with pytest.raises(MissingSegmentError) as caught:
        EwfImage.open(paths[0])
    assert caught.value.facts["missing"] == ["x.E03"]
    with EwfImage.open(paths[0], lenient=True) as image:
        data, damage = read_all(image)
        hole = Extent(20 * CHUNK, 10 * CHUNK)
        assert [each.media for each in image.missing_media] == [hole]
        assert data[: hole.offset] == MEDIA[: hole.offset]
        assert data[hole.end :] == MEDIA[hole.end :]
        assert {code for _, _, code in damage} == {"segment.missing"}
        assert sum(length for _, length, _ in damage) == hole.length


def test_the_last_segment_missing(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, tables_per_segment=2).write(tmp_path / "x")
    paths[-1].unlink()
    with pytest.raises(MissingSegmentError) as caught:
        EwfImage.open(paths[0])
    assert caught.value.facts["missing"] == [paths[-1].name]


def test_a_missing_segment_is_found_elsewhere(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, tables_per_segment=2).write(tmp_path / "x")
    other = tmp_path / "other"
    other.mkdir()
    moved = Path(shutil.move(paths[1], other))
    for image in (EwfImage.open(paths[0], segments_in=[other]), EwfImage.open(paths[0], known=[moved])):
        with image:
            assert read_all(image) == (MEDIA, [])
            assert image.segments[1].path == str(moved)


def test_swapped_segments_are_put_in_order_and_named(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, tables_per_segment=2).write(tmp_path / "x")
    spare = tmp_path / "spare"
    paths[1].rename(spare)
    paths[2].rename(paths[1])
    spare.rename(paths[2])
    with EwfImage.open(paths[0]) as image:
        assert read_all(image) == (MEDIA, [])
        wrong = [finding for finding in image.findings() if finding.code == "ewf.segment.number"]
        assert {finding.segment for finding in wrong} == {"x.E02", "x.E03"}


def test_a_foreign_segment_is_left_out_and_named(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, tables_per_segment=2).write(tmp_path / "x")
    other = EwfBuilder(mixed_media(len(MEDIA), 9), tables_per_segment=2, set_identifier=b"0123456789abcdef")
    shutil.copy(other.write(tmp_path / "y")[1], paths[1])
    with pytest.raises(MissingSegmentError, match=r"x\.E02"):
        EwfImage.open(paths[0])
    with EwfImage.open(paths[0], lenient=True) as image:
        data, damage = read_all(image)
        assert {code for _, _, code in damage} == {"segment.foreign"}
        assert data[20 * CHUNK :] == MEDIA[20 * CHUNK :]
        assert data[: 10 * CHUNK] == MEDIA[: 10 * CHUNK]


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.999])
def test_a_cut_file_is_refused_and_reads_leniently(tmp_path: Path, keep: float) -> None:
    (path,) = EwfBuilder(MEDIA).write(tmp_path / "x")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ImageFormatError):
        EwfImage.open(path)
    with EwfImage.open(path, lenient=True) as image:
        data, damage = read_all(image)
        assert not image.finished
        whole = bytearray(MEDIA)
        for offset, length, _ in damage:
            whole[offset : offset + length] = data[offset : offset + length]
        assert data == bytes(whole)
        assert {finding.cause for finding in image.findings()} >= {Cause.DATA}


def test_trailing_bytes_are_named(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA).write(tmp_path / "x")
    with path.open("ab") as file:
        file.write(b"hidden")
    with EwfImage.open(path) as image:
        assert codes(image) == {"ewf.segment.trailing"}
        assert read_all(image) == (MEDIA, [])


def test_a_chunk_with_a_flipped_bit_is_located_and_given_as_stored(tmp_path: Path) -> None:
    media = random.Random(1).randbytes(12 * CHUNK)
    (path,) = EwfBuilder(media).write(tmp_path / "x")
    content = bytearray(path.read_bytes())
    at = content.find(media[5 * CHUNK : 5 * CHUNK + 64])
    content[at + 100] ^= 4
    path.write_bytes(content)
    with EwfImage.open(path) as image:
        data, damage = read_all(image)
        assert damage == [(5 * CHUNK, CHUNK, "chunk.checksum")]
        assert data[5 * CHUNK + 100] == media[5 * CHUNK + 100] ^ 4
        with pytest.raises(ImageDamageError) as caught:
            image.read_into(5 * CHUNK + 10, memoryview(bytearray(10)))
        assert caught.value.facts["segment"] == "x.E01"
        assert image.read_into(4 * CHUNK, memoryview(bytearray(CHUNK))) == CHUNK


def test_a_damaged_table_is_replaced_by_its_twin(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA).write(tmp_path / "x")
    content = bytearray(path.read_bytes())
    at = content.find(b"table\0") + 76 + 24
    content[at + 4] ^= 0x40
    path.write_bytes(content)
    with EwfImage.open(path) as image:
        assert codes(image) == {"ewf.table.checksum"}
        assert read_all(image) == (MEDIA, [])


def test_both_tables_damaged_in_different_places(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA).write(tmp_path / "x")
    content = bytearray(path.read_bytes())
    content[content.find(b"table\0") + 76 + 24 + 4] ^= 0x40
    content[content.find(b"table2\0") + 76 + 24 + 12] ^= 0x40
    path.write_bytes(content)
    with EwfImage.open(path) as image:
        assert read_all(image)[0] == MEDIA
        assert "ewf.table.checksum" in codes(image)


def test_a_zeroed_descriptor_does_not_end_the_reading(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA).write(tmp_path / "x")
    whole = path.read_bytes()
    for kind in (b"header\0", b"sectors\0", b"table\0", b"table2\0", b"hash\0"):
        content = bytearray(whole)
        at = content.find(kind)
        content[at : at + 76] = bytes(76)
        path.write_bytes(content)
        with EwfImage.open(path, lenient=True) as image:
            assert "ewf.section.checksum" in codes(image), kind
            assert read_all(image) == (MEDIA, []), kind


def test_both_tables_of_one_group_lost_leaves_the_rest_in_place(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA).write(tmp_path / "x")
    content = bytearray(path.read_bytes())
    start = content.find(b"table\0")
    end = content.find(b"sectors\0", start)
    content[start:end] = bytes(end - start)
    path.write_bytes(content)
    with EwfImage.open(path, lenient=True) as image:
        data, damage = read_all(image)
        assert data[5 * CHUNK :] == MEDIA[5 * CHUNK :]
        assert sum(length for _, length, _ in damage) == 5 * CHUNK


def test_an_odd_tail_is_kept(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA[: 3 * CHUNK + 512], tail=b"odd").write(tmp_path / "x")
    with EwfImage.open(path) as image:
        assert image.tail == b"odd"
        assert read_all(image) == (MEDIA[: 3 * CHUNK + 512], [])


def test_acquisition_errors_are_in_bytes(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA, unreadable=[(3, 2), (100, 8)]).write(tmp_path / "x")
    with EwfImage.open(path) as image:
        assert list(image.acquisition_errors) == [Extent(1536, 1024), Extent(51200, 4096)]


def test_files_beside_with_names_like_segments_are_no_segments(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, tables_per_segment=4).write(tmp_path / "x")
    for name in ("x.log", "x.map", "x.txt"):
        (tmp_path / name).write_text("not a segment")
    with EwfImage.open(paths[0]) as image:
        assert len(image.segments) == len(paths)


def test_lower_case_names(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, tables_per_segment=4).write(tmp_path / "x")
    for path in paths:
        path.rename(path.with_name(path.name.lower()))
    with EwfImage.open(tmp_path / "x.e02") as image:
        assert read_all(image) == (MEDIA, [])


@pytest.mark.parametrize(
    "content", [b"", b"EVF\x09\x0d\x0a\xff\x00", b"MZ" * 300, b"EVF\x09\x0d\x0a\xff\x00\x01\x01\x00\x00\x00"]
)
def test_what_is_no_image_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.E01"
    path.write_bytes(content)
    with pytest.raises(ImageFormatError):
        open_image(path, lenient=True)


def test_a_medium_without_sectors_is_malformed(tmp_path: Path) -> None:
    class Empty(EwfBuilder):
        def volume(self) -> Volume:
            return replace(super().volume(), sectors=0)

    (path,) = Empty(MEDIA[:CHUNK]).write(tmp_path / "x")
    with pytest.raises(ImageFormatError, match="no sectors"):
        open_image(path, lenient=True)
