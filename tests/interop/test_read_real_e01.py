"""E01 images made by others with other tools, read by us: the digests that were taken when they were made."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from forensiq.errors import ImageFormatError, MissingSegmentError
from forensiq.images import open_image
from forensiq.images.base import EvidenceImage
from forensiq.images.ewf.reader import EwfImage
from forensiq.model.digest import HashAlgorithm
from forensiq.model.finding import Damage
from tests.support.real_images import real_images

WHOLE = {
    "bulk_extractor/ansi.E01": "37ecb548bdc9f5f620ee3c3aa9cf00ef",
    "bulk_extractor/german_ansi.E01": "37ecb548bdc9f5f620ee3c3aa9cf00ef",
    "bulk_extractor/kml_samples.E01": "f66a2f65a303818ce5b531c89ad939e3",
    "bulk_extractor/nps-2010-emails.E01": "7dae50cec8163697415e69fd72387c01",
    "dfvfs/ext2.E01": "196066add11fb71c4c49cf1bb50d6d24",
    "dfvfs/ext2.split.E01": "196066add11fb71c4c49cf1bb50d6d24",
    "e01-rs/image.E01": "28035e42858e28326c23732e6234bcf8",
    "ewf-forensic/exfat1.E01": "0777ee90c27ed5ff5868af2015bed635",
    "ewf-forensic/ntfs_sample.E01": "e4e9578a9c8bf6c6b375a80c630196a4",
    "forensic-vfs-engine/partitioned_ntfs.E01": "b2f1cc81f72eee7ce25638702d39591d",
    "go-ewf/rand.dd.E01": "b0ac1a238d20da977b07371c3b13cc65",
    "plaso/image.E01": "d73c51f10c7ee6a681b7b619ccc6f1c4",
    "sleuthkit/image.E01": "3ebb0b7dcd6b5fcd59a0020625d70994",
    "sleuthkit/imageformat_mmls_1.E01": "8ec671e301095c258224aad701740503",
}


def digest(image: EvidenceImage) -> tuple[str, list[Damage]]:
    hasher, offset = hashlib.md5(), 0
    damage: list[Damage] = []
    buffer = bytearray(1 << 20)
    while offset < image.size:
        count, found = image.read_checked(offset, memoryview(buffer))
        hasher.update(buffer[:count])
        damage += found
        offset += count
    return hasher.hexdigest(), damage


@pytest.mark.parametrize("name", WHOLE)
def test_whole_images(name: str) -> None:
    with open_image(real_images() / name) as image:
        assert digest(image) == (WHOLE[name], [])
        assert image.stored_digests[HashAlgorithm.MD5] == WHOLE[name]
        assert list(image.check_structure()) == []


def test_the_bad_chunk_is_located() -> None:
    with open_image(real_images() / "e01-rs/bad_chunk.E01") as image:
        _, damage = digest(image)
        assert [(each.media.offset // 512, each.media.length // 512, each.segment) for each in damage] == [
            (0, 64, "bad_chunk.E01")
        ]
        assert list(image.check_structure()) == []


def test_the_odd_tail_completes_the_digest() -> None:
    with EwfImage.open(real_images() / "dissect.evidence/ewf.E01") as image:
        buffer = bytearray(image.size)
        assert (image.read_into(0, memoryview(buffer)), len(image.tail)) == (4096, 1)
        stored = image.stored_digests[HashAlgorithm.MD5]
        assert hashlib.md5(buffer).hexdigest() != stored
        assert hashlib.md5(bytes(buffer) + image.tail).hexdigest() == stored


@pytest.mark.parametrize("name", ["ewf-forensic/fuzz-crash-parse_segment-add-overflow.E01", "sleuthkit/bogus.E01"])
def test_malformed_images_do_not_open(name: str) -> None:
    with pytest.raises(ImageFormatError):
        open_image(real_images() / name, lenient=True)


def test_a_real_set_without_its_third_segment(tmp_path: Path) -> None:
    folder = real_images() / "go-ewf"
    for number in (1, 2, 4, 5, 6):
        (tmp_path / f"rand.dd.E0{number}").symlink_to(folder / f"rand.dd.E0{number}")
    with pytest.raises(MissingSegmentError) as caught:
        open_image(tmp_path / "rand.dd.E01")
    assert caught.value.facts["missing"] == ["rand.dd.E03"]
    with open_image(tmp_path / "rand.dd.E01", lenient=True) as image:
        _, damage = digest(image)
        assert {each.code for each in damage} == {"segment.missing"}
        assert sum(each.media.length for each in damage) == 31 * 32768
        assert damage[0].media.offset == 62 * 32768
    with open_image(tmp_path / "rand.dd.E01", segments_in=[folder]) as image:
        assert digest(image) == (WHOLE["go-ewf/rand.dd.E01"], [])
