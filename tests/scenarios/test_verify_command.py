"""``verify`` and ``info`` as a user types them."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.program import forensiq
from tests.support.ewf_builder import EwfBuilder, mixed_media

MEDIA = mixed_media(200_704)


def test_a_whole_image(tmp_path: Path) -> None:
    EwfBuilder(MEDIA).write(tmp_path / "x")
    told = forensiq("verify", "x.E01", folder=tmp_path).expect(0)
    assert told.out.startswith("VERIFIED\n")
    record = forensiq("verify", "x.E01", "--json", folder=tmp_path).expect(0).json
    assert (record["schema"], record["verdict"]) == ("forensiq/verification/1", "verified")
    assert set(record["digests"]) == {"md5", "sha1"}
    assert set(record["digests"]["md5"]) == {"computed", "stored", "record", "match"}
    assert (record["damage"], record["structure"], record["size"]) == ([], [], len(MEDIA))


def test_a_damaged_one_names_sectors_and_segment(tmp_path: Path) -> None:
    (path,) = EwfBuilder(MEDIA).write(tmp_path / "x")
    content = bytearray(path.read_bytes())
    content[content.find(MEDIA[12 * 4096 : 12 * 4096 + 64])] ^= 1
    path.write_bytes(content)
    told = forensiq("verify", "x.E01", folder=tmp_path).expect(4)
    assert told.out.startswith("DAMAGED\n")
    assert "LBA 96 to 103 (8 sectors) in x.E01" in told.out
    record = forensiq("verify", "x.E01", "--json", "--structure-only", folder=tmp_path).expect(4).json
    assert set(record["damage"][0]) >= {"offset", "length", "first_lba", "sectors", "segment", "reason"}
    assert (record["damage"][0]["first_lba"], record["damage"][0]["segment"]) == (96, "x.E01")


def test_a_missing_segment_in_another_folder(tmp_path: Path) -> None:
    paths = EwfBuilder(MEDIA, tables_per_segment=3).write(tmp_path / "x")
    (tmp_path / "other").mkdir()
    paths[1].rename(tmp_path / "other" / paths[1].name)
    record = forensiq("verify", "x.E01", "--json", folder=tmp_path).expect(9).json
    assert record["verdict"] == "damaged"
    assert forensiq("info", "x.E01", "--json", folder=tmp_path).expect(0).json["complete"] is False
    forensiq("verify", "x.E01", "--segments-in", "other", folder=tmp_path).expect(0)


def test_without_reference(tmp_path: Path) -> None:
    (tmp_path / "x.dd").write_bytes(MEDIA)
    assert forensiq("verify", "x.dd", "--json", folder=tmp_path).expect(10).json["verdict"] == "no_reference"


def test_against_and_second_opinion(tmp_path: Path) -> None:
    EwfBuilder(MEDIA, sectors_per_chunk=64).write(tmp_path / "x")
    (tmp_path / "drive.dd").write_bytes(MEDIA)
    run = forensiq("verify", "x.E01", "--json", "--against", "drive.dd", "--second-opinion", folder=tmp_path)
    record = run.expect(0).json
    assert record["second_opinion"]["agrees"] == "yes"
    assert "holds the same bytes" in record["summary"]


def test_info(tmp_path: Path) -> None:
    EwfBuilder(MEDIA, unreadable=[(5, 3)]).write(tmp_path / "x")
    about = forensiq("info", "x.E01", "--json", folder=tmp_path).expect(0).json
    keys = {"format", "size", "sector_size", "segments", "metadata", "stored_digests", "acquisition_errors"}
    assert set(about) >= keys | {"compression", "chunk_size", "created_by"}
    assert about["acquisition_errors"] == [{"first_lba": 5, "sectors": 3}]
    assert "Ä. Lee" in forensiq("info", "x.E01", folder=tmp_path).expect(0).out
