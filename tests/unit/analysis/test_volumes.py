"""Partition tables: what is read, what is refused, and what is said about damage."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiq.analysis.volumes import read_volumes
from forensiq.model.listing import ContentKind, VolumeKind, VolumeSystem
from tests.support.disks import gpt_disk, mbr_entry, mbr_sector
from tests.support.media import MemorySource


def partitions(system: VolumeSystem) -> list[tuple[int | None, int, int]]:
    return [(row.index, row.offset, row.length) for row in system.volumes if row.kind is VolumeKind.PARTITION]


def codes(system: VolumeSystem) -> set[str]:
    return {finding.code for finding in system.findings} | {
        finding.code for row in system.volumes for finding in row.findings
    }


def test_primary_partitions_gaps_and_table_cover_the_medium() -> None:
    disk = mbr_sector(mbr_entry(0x83, 8, 8), mbr_entry(0x07, 32, 16)).ljust(64 * 512, b"\0")
    system = read_volumes(MemorySource(disk))
    assert partitions(system) == [(1, 4096, 4096), (2, 16384, 8192)]
    covered = sorted((row.offset, row.length) for row in system.volumes)
    assert covered == [(0, 512), (512, 3584), (4096, 4096), (8192, 8192), (16384, 8192), (24576, 8192)]


def test_logical_partitions_are_numbered_from_five() -> None:
    disk = bytearray(128 * 512)
    disk[:512] = mbr_sector(mbr_entry(0x83, 2, 6), mbr_entry(0x05, 16, 100))
    disk[16 * 512 : 17 * 512] = mbr_sector(mbr_entry(0x83, 2, 10), mbr_entry(0x05, 32, 20))
    disk[48 * 512 : 49 * 512] = mbr_sector(mbr_entry(0x07, 4, 8))
    system = read_volumes(MemorySource(bytes(disk)))
    assert partitions(system) == [(1, 1024, 3072), (5, 18 * 512, 5120), (6, 52 * 512, 4096)]


def test_a_chain_that_loops_ends_with_a_finding() -> None:
    disk = bytearray(64 * 512)
    disk[:512] = mbr_sector(mbr_entry(0x0F, 8, 50))
    disk[8 * 512 : 9 * 512] = mbr_sector(mbr_entry(0x83, 1, 2), mbr_entry(0x05, 0, 10))
    system = read_volumes(MemorySource(bytes(disk)))
    assert "mbr.extended.loop" in codes(system)
    assert partitions(system) == [(5, 9 * 512, 1024)]


def test_a_partition_behind_the_end_is_said() -> None:
    disk = mbr_sector(mbr_entry(0x83, 1, 100), mbr_entry(0x83, 500, 1)).ljust(8 * 512, b"\0")
    assert {"partition.truncated", "partition.outside"} <= codes(read_volumes(MemorySource(disk)))


def test_both_copies_of_a_guid_table_are_checked() -> None:
    disk = gpt_disk([(40, 79, "first"), (80, 99, "Zweite ü")])
    system = read_volumes(MemorySource(bytes(disk)))
    assert system.schemes == ("gpt",)
    assert partitions(system) == [(1, 40 * 512, 40 * 512), (2, 80 * 512, 20 * 512)]
    assert [row.name for row in system.volumes if row.index] == ["first", "Zweite ü"]
    assert not {code for code in codes(system) if "crc" in code or "missing" in code}


@pytest.mark.parametrize(
    ("place", "code"),
    [
        (512 + 40, "gpt.primary.header_crc"),
        (1024 + 5, "gpt.primary.entries_crc"),
        (255 * 512 + 40, "gpt.backup.header_crc"),
        (223 * 512 + 5, "gpt.backup.entries_crc"),
    ],
)
def test_damage_to_one_copy_is_named_and_the_other_used(place: int, code: str) -> None:
    disk = gpt_disk([(40, 79, "first")])
    disk[place] ^= 0xFF
    system = read_volumes(MemorySource(bytes(disk)))
    assert code in codes(system)
    assert partitions(system) == [(1, 40 * 512, 40 * 512)]


def test_a_backup_table_alone_is_used() -> None:
    disk = gpt_disk([(40, 79, "first")])
    disk[512:1024] = bytes(512)
    system = read_volumes(MemorySource(bytes(disk)))
    assert "gpt.primary.missing" in codes(system)
    assert partitions(system) == [(1, 40 * 512, 40 * 512)]


def test_a_table_of_4096_byte_sectors_is_found_in_a_raw_image() -> None:
    disk = gpt_disk([(8, 15, "native")], sectors=64, sector_size=4096)
    system = read_volumes(MemorySource(bytes(disk)))
    assert system.sector_size == 4096
    assert partitions(system) == [(1, 8 * 4096, 8 * 4096)]
    assert partitions(read_volumes(MemorySource(bytes(disk), sector_size=4096))) == [(1, 8 * 4096, 8 * 4096)]


def test_a_hybrid_table_shows_both() -> None:
    disk = gpt_disk([(40, 79, "first")])
    disk[:512] = mbr_sector(mbr_entry(0xEE, 1, 39), mbr_entry(0x07, 100, 20))
    system = read_volumes(MemorySource(bytes(disk)))
    assert "gpt.hybrid" in codes(system)
    assert {(offset, length) for _, offset, length in partitions(system)} == {
        (40 * 512, 40 * 512),
        (100 * 512, 20 * 512),
    }
    assert len({index for index, _, _ in partitions(system)}) == 2


def test_apple_map_entries_count_in_its_own_blocks() -> None:
    disk = bytearray(64 * 512)
    disk[:4] = b"ER\x02\x00"
    for number, (start, count, name, kind) in enumerate(
        [(1, 7, b"Apple", b"Apple_partition_map"), (8, 40, b"disk image", b"Apple_HFS")], 1
    ):
        entry = struct.pack(">2sHIII32s32s", b"PM", 0, 2, start, count, name, kind)
        disk[number * 512 : number * 512 + len(entry)] = entry
    system = read_volumes(MemorySource(bytes(disk)))
    assert system.schemes == ("apm",)
    assert partitions(system)[1] == (2, 4096, 40 * 512)


def test_a_medium_without_anything_is_one_volume_of_unknown_content() -> None:
    system = read_volumes(MemorySource(b"x" * 5000))
    assert [(row.index, row.length, row.contents) for row in system.volumes] == [(0, 5000, ())]


def test_encryption_is_recognised() -> None:
    luks = b"LUKS\xba\xbe\x00\x02".ljust(168, b"\0") + b"c0ffee00-0000-0000-0000-000000000000".ljust(40, b"\0")
    disk = mbr_sector(mbr_entry(0x83, 8, 8)).ljust(4096, b"\0") + luks.ljust(8192, b"\0")
    (volume,) = [row for row in read_volumes(MemorySource(disk)).volumes if row.index == 1]
    content = volume.content(ContentKind.ENCRYPTION)
    assert content is not None
    assert (content.name, content.uuid) == ("LUKS2", "c0ffee00-0000-0000-0000-000000000000")


@settings(max_examples=100, deadline=None)
@given(
    st.binary(min_size=64, max_size=64),
    st.lists(st.tuples(st.integers(0, 64 * 512 - 1), st.integers(0, 255)), max_size=30),
)
def test_hostile_tables_never_fail_and_rows_are_in_bounds(entries: bytes, changes: list[tuple[int, int]]) -> None:
    disk = gpt_disk([(40, 59, "a")], sectors=128)[: 64 * 512]
    disk[446:510] = entries
    for place, value in changes:
        disk[place] = value
    system = read_volumes(MemorySource(bytes(disk)))
    assert all(row.offset >= 0 and row.length >= 0 for row in system.volumes)
    assert system.volumes
