"""Whole verifications: images, records, drives."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from forensiq.errors import ExitCode, ImageFormatError, Interrupted
from forensiq.model.finding import Cause
from forensiq.model.image import ImageMetadata
from forensiq.procedures.info import inspect_image
from forensiq.procedures.verify import exit_code_of, verify_image
from tests.support.ewf_builder import EwfBuilder, mixed_media
from tests.support.records import write_record

CHUNK = 4096
MEDIA = mixed_media(50 * CHUNK + 512)
METADATA = ImageMetadata(case_number="2026-1", examiner="Ä. Lee", notes="notes")


def codes(record: Any) -> set[str]:
    return {each.code for each in record.structure}


def test_an_image_with_its_digests_is_verified(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, tables_per_segment=3).write(tmp_path / "x")
    record = verify_image(paths[1])
    assert (record.verdict, record.damage, record.structure) == ("verified", (), ())
    assert record.digests["md5"].computed == hashlib.md5(MEDIA).hexdigest()
    assert record.reference == "digests in the image"
    assert exit_code_of(record) is ExitCode.OK


def test_without_any_digest_there_is_no_reference(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA, digests=False).write(tmp_path / "x")
    record = verify_image(path)
    assert record.verdict == "no_reference"
    assert record.digests["sha256"].computed == hashlib.sha256(MEDIA).hexdigest()
    assert exit_code_of(record) is ExitCode.NO_REFERENCE


def test_the_record_gives_the_digests_that_the_image_cannot_hold(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, digests=False).write(tmp_path / "x")
    write_record(tmp_path / "x", paths, MEDIA)
    record = verify_image(paths[0])
    assert (record.verdict, codes(record)) == ("verified", set())
    assert record.digests["sha256"].match
    assert record.segments[0].sha256 == hashlib.sha256(paths[0].read_bytes()).hexdigest()
    assert "x.record.json" in record.reference


def test_with_the_record_every_flipped_bit_is_found(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA[: 4 * CHUNK]).write(tmp_path / "x")
    write_record(tmp_path / "x", [path], MEDIA[: 4 * CHUNK])
    whole = path.read_bytes()
    for bit in range(5, len(whole) * 8, len(whole) * 8 // 60):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        record = verify_image(path)
        assert record.verdict == "damaged", bit
        assert exit_code_of(record) is ExitCode.VERIFICATION
        assert "record.segment.differs" in codes(record)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[" * 100_000,
        b'{"schema": "forensiq/acquisition/1"}',
        b'{"schema": "forensiq/acquisition/1", "status": 7}',
        b"\xff\xfe\x00",
    ],
)
def test_a_malformed_record_is_a_finding(tmp_path: Path, content: bytes) -> None:
    (path,) = EwfBuilder(MEDIA).write(tmp_path / "x")
    (tmp_path / "x.record.json").write_bytes(content)
    record = verify_image(path)
    assert codes(record) == {"record.malformed"}
    assert record.verdict == "damaged"
    assert "media bytes are intact" in record.summary


def test_a_record_of_other_case_data_is_told(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA).write(tmp_path / "x")
    write_record(
        tmp_path / "x", paths, MEDIA, metadata={"case_number": "2026-2", "examiner": "Ä. Lee", "notes": "notes"}
    )
    record = verify_image(paths[0])
    assert [(each.where, each.expected, each.found) for each in record.structure] == [
        ("case_number", "2026-2", "2026-1")
    ]
    assert record.verdict == "damaged"


def test_a_record_of_another_image_is_a_mismatch(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA).write(tmp_path / "x")
    write_record(tmp_path / "x", paths, MEDIA, digests={"md5": "0" * 32})
    record = verify_image(paths[0])
    assert record.verdict == "mismatch"
    assert record.digests["md5"].match is False


def test_a_raw_image_is_verified_against_its_record(tmp_path: Path) -> None:
    path = tmp_path / "x.dd"
    path.write_bytes(MEDIA)
    write_record(tmp_path / "x", [path], MEDIA, "raw")
    assert verify_image(path).verdict == "verified"
    changed = bytearray(MEDIA)
    changed[1000] ^= 1
    path.write_bytes(changed)
    record = verify_image(path)
    assert record.verdict in ("mismatch", "damaged")
    assert record.digests["sha256"].match is False


def test_structure_only_computes_no_digest_of_the_medium(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA).write(tmp_path / "x")
    record = verify_image(path, structure_only=True)
    assert (record.verdict, record.scope) == ("verified", "structure")
    assert record.digests["md5"].computed is None
    assert "not computed" in record.summary


def test_an_odd_tail_is_explained(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA, tail=b"odd").write(tmp_path / "x")
    record = verify_image(path)
    assert record.verdict == "verified"
    assert codes(record) == {"ewf.odd_tail"}
    assert "3 odd bytes" in record.summary
    assert record.digests["md5"].computed == hashlib.md5(MEDIA + b"odd").hexdigest()
    assert record.details["md5_without_odd_tail"] == hashlib.md5(MEDIA).hexdigest()


def test_a_missing_segment_is_exit_9_and_still_tells_the_range(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, tables_per_segment=2).write(tmp_path / "x")
    paths[2].unlink()
    record = verify_image(paths[0])
    assert record.verdict == "damaged"
    assert exit_code_of(record) is ExitCode.NOT_AN_IMAGE
    assert [(each.offset, each.length) for each in record.damage] == [(20 * CHUNK, 10 * CHUNK)]


def test_against_the_drive(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA, unreadable=[(8, 1)]).write(tmp_path / "x")
    drive = tmp_path / "drive.dd"
    drive.write_bytes(MEDIA)
    same = verify_image(path, against=drive)
    assert same.verdict == "verified"
    assert "holds the same bytes" in same.summary
    changed = bytearray(MEDIA)
    changed[8 * 512] ^= 1
    changed[20 * 512] ^= 1
    changed[21 * 512 + 100] ^= 1
    drive.write_bytes(changed)
    record = verify_image(path, against=drive)
    assert record.verdict == "mismatch"
    assert {(each.code, each.where) for each in record.structure} == {
        ("source.differs", "LBA 20 to 21"),
        ("source.was_unreadable", "LBA 8 to 8"),
    }
    drive.write_bytes(MEDIA + bytes(512))
    assert verify_image(path, against=drive).verdict == "mismatch"


def test_what_could_not_be_read_of_a_part_is_counted_from_its_start(tmp_path: Path) -> None:
    # The record counts bytes of the source, the image those of the part.
    start = 64 * 512
    paths = EwfBuilder(MEDIA).write(tmp_path / "x")
    lost = {"offset": start + 8 * 512, "length": 512, "first_lba": 72, "sectors": 1, "errno": 5}
    part = {"offset": start, "length": len(MEDIA), "whole": False}
    source = {"kind": "file", "path": "d", "size": start + len(MEDIA), "sector_size": 512}
    record = write_record(tmp_path / "x", paths, MEDIA, unreadable=[lost], range=part, source=source)
    drive = tmp_path / "drive.dd"
    changed = bytearray(MEDIA)
    changed[8 * 512] ^= 1
    changed[72 * 512] ^= 1
    drive.write_bytes(bytes(start) + changed)
    found = verify_image(paths[0], against=drive)
    assert {(each.code, each.where) for each in found.structure} >= {
        ("source.differs", "LBA 72 to 72"),
        ("source.was_unreadable", "LBA 8 to 8"),
    }
    lost["offset"] = start - 512
    write_record(tmp_path / "x", paths, MEDIA, unreadable=[lost], range=part, source=source)
    assert "record.malformed" in codes(verify_image(paths[0]))
    record.unlink()
    record.mkdir()
    assert "record.malformed" in codes(verify_image(paths[0]))


def test_a_second_opinion(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, sectors_per_chunk=64, tables_per_segment=1).write(tmp_path / "x")
    record = verify_image(paths[0], second_opinion=True)
    assert record.second_opinion is not None
    assert record.second_opinion["agrees"] == "yes"


def test_a_stop_request_ends_it(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA).write(tmp_path / "x")
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        verify_image(path, stop=stop)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("hello")
    with pytest.raises(ImageFormatError):
        verify_image(path)


def test_info_tells_without_reading(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, unreadable=[(3, 2)], tables_per_segment=4).write(tmp_path / "x")
    about = inspect_image(paths[0])
    assert structs.replace(about.metadata, other={}) == METADATA
    assert (about.format, about.size, about.complete, len(about.segments)) == ("e01", len(MEDIA), True, len(paths))
    assert [(each.first_lba, each.sectors) for each in about.acquisition_errors] == [(3, 2)]
    paths[-1].unlink()
    assert not inspect_image(paths[0]).complete


def test_the_damage_is_data_and_nothing_else(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA).write(tmp_path / "x")
    content = bytearray(path.read_bytes())
    at = content.find(MEDIA[12 * CHUNK : 12 * CHUNK + 64])  # noise: stored as it is
    content[at] ^= 1
    path.write_bytes(content)
    record = verify_image(path)
    assert record.details["causes"] in (f"{Cause.DATA.value}", f"{Cause.DATA.value}, {Cause.DIGEST.value}")
    assert [(each.first_lba, each.sectors, each.segment) for each in record.damage] == [(96, 8, "x.E01")]
    assert "8 sectors in 1 place" in record.summary


def write_blocks(stem: Path, media: bytes, size: int) -> dict[str, Any]:
    digests = [hashlib.sha256(media[at : at + size]).digest() for at in range(0, len(media), size)]
    lines = ["start_lba,end_lba,sha256,unreadable"]
    for index, each in enumerate(digests):
        last = min((index + 1) * size, len(media)) // 512 - 1
        lines.append(f"{index * size // 512},{last},{each.hex()},")
    path = stem.with_name(stem.name + ".blocks.csv")
    path.write_text("\n".join(lines) + "\n")
    return {
        "algorithm": "sha256",
        "block_size": size,
        "blocks": len(digests),
        "root": hashlib.sha256(b"".join(digests)).hexdigest(),
        "path": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def test_block_digests_tell_which_blocks_are_intact(tmp_path: Path) -> None:
    path = tmp_path / "x.dd"
    path.write_bytes(MEDIA)
    facts = write_blocks(tmp_path / "x", MEDIA, 16384)
    write_record(tmp_path / "x", [path], MEDIA, "raw", block_digests=facts)
    assert verify_image(path).verdict == "verified"
    assert verify_image(path, sample=10).verdict == "verified"
    assert "chosen at random" in verify_image(path, sample=10).summary
    changed = bytearray(MEDIA)
    changed[20000] ^= 1
    path.write_bytes(changed)
    record = verify_image(path)
    assert record.verdict == "damaged"
    assert [(each.offset, each.length, each.code) for each in record.damage] == [(16384, 16384, "block.digest")]
    assert any(each.message.startswith("12 of 13 blocks") for each in record.structure)
    assert verify_image(path, sample=100).verdict == "damaged"


def test_block_digests_that_are_not_those_of_the_record_are_not_used(tmp_path: Path) -> None:
    path = tmp_path / "x.dd"
    path.write_bytes(MEDIA)
    facts = write_blocks(tmp_path / "x", MEDIA, 16384)
    write_record(tmp_path / "x", [path], MEDIA, "raw", block_digests=facts)
    list_file = tmp_path / "x.blocks.csv"
    list_file.write_text(list_file.read_text().replace("a", "b"))
    record = verify_image(path)
    assert (record.verdict, codes(record)) == ("verified", {"record.blocks"})


def test_a_sample_without_any_checksum_verifies_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.dd"
    path.write_bytes(MEDIA)
    assert verify_image(path, sample=50).verdict == "no_reference"


def test_a_sample_of_an_incomplete_image_is_never_verified(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, tables_per_segment=2).write(tmp_path / "x")
    paths[2].unlink()
    record = verify_image(paths[0], sample=1)
    assert exit_code_of(record) is ExitCode.NOT_AN_IMAGE
    assert record.damage
