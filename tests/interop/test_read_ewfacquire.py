"""Images of every format that ewfacquire writes, read by us: media bytes, digests, case fields, bad sectors."""

from __future__ import annotations

import hashlib
import random
import subprocess
from pathlib import Path

import pytest

from forensiq.images import open_image
from forensiq.images.ewf.reader import EwfImage
from forensiq.model.digest import HashAlgorithm
from forensiq.procedures.verify import verify_image
from tests.interop.peers import need
from tests.support.ewf_builder import mixed_media

MEDIA = mixed_media(4_500_480)
FORMATS = ["ewf", "smart", "ftk", "encase2", "encase3", "encase4", "encase5", "encase6", "encase7", "linen5", "linen6"]


def acquire(folder: Path, *options: str, media: bytes = MEDIA) -> Path:
    need("ewfacquire")
    (folder / "source.raw").write_bytes(media)
    command = ["ewfacquire", "-u", "-q", *options, "-S", "1048576", "-C", "case 7", "-E", "item 3", "-e", "A. Lee"]
    command += ["-t", str(folder / "image"), str(folder / "source.raw")]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "source.raw").unlink()
    return next(each for each in sorted(folder.iterdir()) if each.name.lower().startswith(("image.e01", "image.s01")))


def check(path: Path, media: bytes) -> None:
    with open_image(path) as image:
        assert list(image.check_structure()) == []
        assert image.size == len(media)
        data = bytearray(image.size)
        assert image.read_checked(0, memoryview(data)) == (len(media), [])
        assert data == media
        assert image.stored_digests[HashAlgorithm.MD5] == hashlib.md5(media).hexdigest()
        fields = image.metadata
        assert (fields.case_number, fields.evidence_number, fields.examiner) == ("case 7", "item 3", "A. Lee")
        assert fields.acquired is not None
    record = verify_image(path)
    assert (record.verdict, record.damage) == ("verified", ())


@pytest.mark.parametrize("image_format", [*FORMATS, "linen7", "ewfx"])
def test_every_format(tmp_path: Path, image_format: str) -> None:
    path = acquire(tmp_path, "-f", image_format, "-c", "fast", "-d", "sha1,sha256")
    check(path, MEDIA)
    with open_image(path) as image:
        assert len(image.segments) > 1
        if image_format == "ewfx":
            assert image.stored_digests[HashAlgorithm.SHA256] == hashlib.sha256(MEDIA).hexdigest()


@pytest.mark.parametrize("compression", ["none", "empty-block", "best"])
@pytest.mark.parametrize("image_format", ["encase5", "encase6", "smart"])
def test_every_compression(tmp_path: Path, image_format: str, compression: str) -> None:
    check(acquire(tmp_path, "-f", image_format, "-c", compression), MEDIA)


@pytest.mark.parametrize("sectors", ["16", "1024", "32768"])
def test_chunk_sizes(tmp_path: Path, sectors: str) -> None:
    check(acquire(tmp_path, "-f", "encase6", "-c", "fast", "-b", sectors), MEDIA)


@pytest.mark.parametrize("sector", ["2048", "4096"])
def test_sector_sizes(tmp_path: Path, sector: str) -> None:
    media = mixed_media(2048 * 1000)
    path = acquire(tmp_path, "-f", "encase6", "-P", sector, media=media)
    check(path, media)
    with open_image(path) as image:
        assert image.sector_size == int(sector)


def test_a_source_that_is_no_multiple_of_its_sector(tmp_path: Path) -> None:
    """ewfacquire digests the odd bytes; where the image has them, we say so, else the digest cannot agree."""
    path = acquire(tmp_path, "-f", "encase6", media=MEDIA[: 100 * 512 + 1])
    record = verify_image(path)
    with EwfImage.open(path) as image:
        expected = "verified" if image.tail else "mismatch"
    assert record.verdict == expected
    assert record.damage == ()


@pytest.mark.parametrize("image_format", ["smart", "ftk", "encase5", "ewfx"])
def test_flipped_bits_in_images_of_others(tmp_path: Path, image_format: str) -> None:
    media = mixed_media(200_192)
    path = acquire(tmp_path, "-f", image_format, "-c", "fast", media=media)
    whole = path.read_bytes()
    with open_image(path) as image:
        metadata, digests = image.metadata, image.stored_digests
    for bit in random.Random(image_format).sample(range(len(whole) * 8), 60):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        record = verify_image(path)
        if record.verdict == "verified":
            with open_image(path) as image:
                data = bytearray(image.size)
                image.read_into(0, memoryview(data))
                assert (bytes(data), image.metadata, image.stored_digests) == (media, metadata, digests), bit
        else:
            assert record.damage or record.structure, bit
