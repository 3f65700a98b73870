"""What damaged ranges fall in: file by file, byte by byte, on a volume whose layout is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forensiq.errors import ImageFormatError
from forensiq.model.extent import Extent
from forensiq.model.mapfile import MapfileState, format_mapfile
from forensiq.model.media_map import READ, MediaMap, RangeStatus, ReadStatus
from forensiq.procedures.impact import DamageSource, ImpactRecord, damage_of_image, impact_of
from forensiq.procedures.partitions import image_reference
from tests.support.disks import mbr_entry, mbr_sector
from tests.support.fat import fat_volume
from tests.support.records import write_record

FILES = {b"A       TXT": b"alpha" * 300, b"B       TXT": b"beta" * 500}
DATA = 5 * 512
"""Where cluster 2 is: boot sector, two tables, a root directory of two sectors."""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.dd"
    table = mbr_sector(mbr_entry(0x01, 8, 128)).ljust(8 * 512, b"\0")
    path.write_bytes(table + fat_volume(FILES) + bytes(16 * 512))
    return path


def impact(image: Path, *ranges: tuple[int, int]) -> ImpactRecord:
    extents = tuple(Extent(offset, length) for offset, length in ranges)
    return impact_of(image_reference(image), [DamageSource("test", extents)])


def test_a_sector_of_a_file(image: Path) -> None:
    record = impact(image, (8 * 512 + DATA + 512, 512))
    (hit,) = [each for each in record.files if each.allocated]
    assert (hit.partition, hit.path, hit.kind, hit.bytes, hit.size) == (1, "/A.TXT", "content", 512, 1500)
    assert hit.share == pytest.approx(512 / 1500, abs=1e-5)
    assert list(hit.ranges) == [{"offset": 512, "length": 512, "medium_offset": 8 * 512 + DATA + 512}]
    assert record.bytes_by_kind == {"content": 512}
    assert record.files_hit == 1


def test_slack_is_not_content(image: Path) -> None:
    record = impact(image, (8 * 512 + DATA + 1500, 36))
    assert [(hit.kind, hit.bytes) for hit in record.files] == [("slack", 36)]
    assert record.files_hit == 0


def test_free_space_metadata_and_what_is_outside(image: Path) -> None:
    record = impact(image, (0, 512), (512, 1024), (8 * 512, 512), (8 * 512 + 100 * 512, 1024), (136 * 512, 2048))
    kinds = record.bytes_by_kind
    assert kinds["partition_table"] == 512
    assert kinds["unpartitioned"] == 1024 + 2048
    assert kinds["unallocated"] == 1024
    assert record.files_hit == 0
    assert sum(kinds.values()) == record.damaged_bytes


def test_every_damaged_byte_is_accounted_for_once(image: Path) -> None:
    size = image.stat().st_size
    record = impact(image, (0, size))
    assert sum(record.bytes_by_kind.values()) == size
    assert {hit.path for hit in record.files if hit.kind == "content"} >= {"/A.TXT", "/B.TXT"}


def test_ranges_come_from_the_map_beside_the_image_and_a_verification(image: Path, tmp_path: Path) -> None:
    size = image.stat().st_size
    media_map = MediaMap(size, READ)
    media_map.mark(Extent(1024, 512), RangeStatus(ReadStatus.UNREADABLE, errno=5))
    text = format_mapfile(media_map, MapfileState(0, "+", 1))
    image.with_suffix(".map").write_text(text)
    verification = tmp_path / "verify.json"
    verification.write_text(json.dumps({"damage": [{"offset": 4096, "length": 512}]}))
    sources = damage_of_image(image_reference(image), verification=verification)
    assert [source.extents for source in sources] == [(Extent(1024, 512),), (Extent(4096, 512),)]


def test_a_map_of_a_part_counts_from_the_start_of_the_source(image: Path) -> None:
    size, start = image.stat().st_size, 4096
    media_map = MediaMap(start + size, READ)
    media_map.mark(Extent(start + 1024, 512), RangeStatus(ReadStatus.UNREADABLE, errno=5))
    image.with_suffix(".map").write_text(format_mapfile(media_map, MapfileState(0, "+", 1)))
    with pytest.raises(ImageFormatError, match="the medium ends"):
        damage_of_image(image_reference(image))
    part = {"offset": start, "length": size, "whole": False}
    write_record(image.with_suffix(""), [image], image.read_bytes(), "raw", range=part)
    sources = damage_of_image(image_reference(image))
    assert [source.extents for source in sources] == [(Extent(1024, 512),)]


def test_nothing_damaged_is_said(image: Path) -> None:
    record = impact(image)
    assert record.damaged_bytes == 0
    assert "no unreadable" in record.summary
