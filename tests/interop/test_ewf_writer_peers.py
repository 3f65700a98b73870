"""E01 images of ours, read by libewf's tools, pyewf and The Sleuth Kit."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from forensiq.images.ewf.chunk import Compression
from forensiq.images.ewf.config import SECTION_CHUNKS, EwfConfig
from forensiq.images.ewf.writer import EwfWriter
from forensiq.model.chunk import Batch
from forensiq.model.digest import HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.model.image import ClosingFacts
from tests.interop.peers import ewfexport_md5, ewfinfo, ewfverify, img_stat_size, need, pyewf_md5, run
from tests.support.ewf import IDENTIFIER, corpus, digests, feed, files_of, write_image

DATA = corpus(2_500_096)

CASES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "fast": (DATA, {}),
    "best": (DATA, {"compression": Compression.BEST}),
    "none": (DATA, {"compression": Compression.NONE}),
    "several segments": (DATA, {"segment_size": 400_000}),
    "more than 99 segments": (random.Random(3).randbytes(2_000_384), {"segment_size": 19_000, "sectors_per_chunk": 8}),
    "large chunks": (DATA, {"sectors_per_chunk": 1024}),
    "small chunks": (DATA, {"sectors_per_chunk": 8}),
    "sectors of 2048": (DATA[: 1024 * 2048], {"sector_size": 2048}),
    "sectors of 4096": (DATA[: 512 * 4096], {"sector_size": 4096, "sectors_per_chunk": 8}),
    "one sector": (DATA[:512], {}),
    "one sector more than a chunk": (DATA[: 32768 + 512], {}),
    "all zeros": (bytes(3 * 32768), {}),
    "all noise": (random.Random(4).randbytes(3 * 32768), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_peers_read_the_same_medium(tmp_path: Path, name: str) -> None:
    data, settings = CASES[name]
    manifest = write_image(tmp_path / "x", data, **settings)
    paths = files_of(tmp_path / "x", manifest)
    expected = hashlib.md5(data).hexdigest()
    output = ewfverify(paths[0])
    for digest in (expected, hashlib.sha1(data).hexdigest()):
        assert output.count(digest) == 2, "stored and computed digests"
    assert hashlib.sha256(data).hexdigest() in output
    assert ewfexport_md5(paths[0], tmp_path) == expected
    assert pyewf_md5(paths) == expected
    assert img_stat_size(paths[0]) == len(data)
    if name == "more than 99 segments":
        assert paths[99].suffix == ".EAA"


def test_many_sections_of_full_tables(tmp_path: Path) -> None:
    data = bytes(SECTION_CHUNKS * 4096) + corpus(SECTION_CHUNKS * 4096)
    manifest = write_image(tmp_path / "x", data, sectors_per_chunk=8, batch_chunks=1024)
    paths = files_of(tmp_path / "x", manifest)
    ewfverify(paths[0])
    assert pyewf_md5(paths) == hashlib.md5(data).hexdigest()


def test_ewfinfo_shows_every_field_in_any_language(tmp_path: Path) -> None:
    write_image(tmp_path / "x", DATA, unreadable=(Extent(5 * 512, 1024), Extent(512 * 100, 512)))
    info = ewfinfo(tmp_path / "x.E01")
    expected = {
        "Case number": "2026-014",
        "Description": "a drive",
        "Examiner name": "Zoë Ωmega 測試",
        "Evidence number": "ITEM-1",
        "Notes": "two lines of notes",
        "Model": "860 EVO",
        "Serial number": "S3Z9NB0K123456",
        "Acquisition date": "Sun Nov 22 20:58:54 2026",
        "System date": "Sun Nov 22 20:58:55 2026",
        "Operating system used": "Linux",
        "Software version used": "forensiq",
        "File format": "EnCase 6",
        "Sectors per chunk": "64",
        "Compression method": "deflate",
        "Set identifier": str(IDENTIFIER),
        "Media type": "fixed disk",
        "Is physical": "yes",
        "Bytes per sector": "512",
        "MD5": hashlib.md5(DATA).hexdigest(),
        "SHA1": hashlib.sha1(DATA).hexdigest(),
    }
    assert {key: info.get(key) for key in expected} == expected


def test_ewfinfo_lists_unreadable_sectors(tmp_path: Path) -> None:
    need("ewfinfo")
    write_image(tmp_path / "x", DATA, unreadable=(Extent(5 * 512, 1024), Extent(512 * 100, 512)))
    output = run("ewfinfo", "-e", tmp_path / "x.E01")
    assert "total number: 2" in output
    assert "at sector(s): 5 - 6 number: 2" in output
    assert "at sector(s): 100 - 100 number: 1" in output


def test_an_image_without_sha1_verifies(tmp_path: Path) -> None:
    writer = EwfWriter(EwfConfig(stem=tmp_path / "x", media_size=len(DATA)))
    writer.begin()
    feed(writer, DATA)
    writer.finish(ClosingFacts(digests(DATA, (HashAlgorithm.MD5, HashAlgorithm.SHA256))))
    output = ewfverify(tmp_path / "x.E01", "sha256")
    assert output.count(hashlib.md5(DATA).hexdigest()) == 2


def test_xhash_is_read_by_libewf(tmp_path: Path) -> None:
    pyewf = pytest.importorskip("pyewf")
    write_image(tmp_path / "x", DATA, xhash=True)
    handle = pyewf.handle()
    handle.open([str(tmp_path / "x.E01")])
    try:
        assert handle.get_hash_values()["SHA256"] == hashlib.sha256(DATA).hexdigest()
    finally:
        handle.close()


def test_pyewf_reads_in_parallel_with_one_handle_per_thread(tmp_path: Path) -> None:
    manifest = write_image(tmp_path / "x", DATA, segment_size=400_000)
    paths = files_of(tmp_path / "x", manifest)
    with ThreadPoolExecutor(2) as pool:
        found = set(pool.map(pyewf_md5, [paths] * 4))
    assert found == {hashlib.md5(DATA).hexdigest()}


@pytest.mark.long
def test_media_beyond_32_bit_sectors(tmp_path: Path) -> None:
    """2.5 TiB of zeros in chunks of 16 MiB: one encoded batch, written again and again (2.6 GB of image)."""
    need("ewfinfo")
    size = 5 << 39
    writer = EwfWriter(EwfConfig(stem=tmp_path / "x", media_size=size, sectors_per_chunk=32768, segment_size=1 << 33))
    writer.begin()
    step = 4 * writer.chunk_size
    zeros = memoryview(bytes(step))
    encoded = writer.encode(Batch(0, 0, zeros))
    for offset in range(0, size, step):
        writer.write(replace(encoded, media=Extent(offset, step)))
    beyond = Extent((1 << 32) * 512 + 512, 512)
    manifest = writer.finish(ClosingFacts(digests(b"", ()), (Extent(0, 512), beyond)))
    assert [finding.code for finding in manifest.findings] == ["ewf.error2.limit"]
    info = ewfinfo(tmp_path / "x.E01")
    assert info["Number of sectors"] == str(size // 512)
    assert "total number: 1" in run("ewfinfo", "-e", tmp_path / "x.E01")
    assert img_stat_size(tmp_path / "x.E01") == size
