"""Changed images: every flipped bit is found or changes nothing; hostile files raise nothing but our own errors."""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from forensiq.errors import ForensiqError
from forensiq.images.ewf.files import SegmentFiles
from forensiq.images.ewf.layout import adler32
from forensiq.images.ewf.reader import EwfImage
from forensiq.images.ewf.report import FindingList
from forensiq.images.ewf.sections import walk_sections
from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.finding import Cause, Damage, Finding, Severity
from forensiq.model.image import ImageMetadata
from tests.support.ewf_builder import EwfBuilder, mixed_media

CHUNK = 4096
MEDIA = mixed_media(20 * CHUNK + 1024)


class Content(Struct, frozen=True):
    """Everything that an image gives: it must not change unseen."""

    media: bytes
    sector_size: int
    metadata: ImageMetadata
    digests: DigestSet
    errors: tuple[Extent, ...]


def examine(path: Path) -> tuple[Content, list[Damage], list[Finding]]:
    with EwfImage.open(path, lenient=True) as image:
        assert image.size < 1 << 24, "a hostile size: nobody would hold it in memory"
        buffer = bytearray(image.size)
        _, damage = image.read_checked(0, memoryview(buffer))
        found = [each for each in image.check_structure() if each.severity is not Severity.INFO]
        content = Content(
            bytes(buffer), image.sector_size, image.metadata, image.stored_digests, tuple(image.acquisition_errors)
        )
        return content, list(damage), found


def metadata_bits(path: Path) -> list[int]:
    """Return the positions of all bits outside the stored chunks."""
    bits = list(range(13 * 8))
    for section in walk_sections(SegmentFiles([path]), 0, FindingList([path.name])):
        end = section.body if section.kind == "sectors" else section.end
        bits += range(section.offset * 8, end * 8)
    return bits


def flips(path: Path, bits: list[int]) -> Iterator[int]:
    whole = path.read_bytes()
    for bit in bits:
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        yield bit
    path.write_bytes(whole)


BUILDERS = {
    "encase 6": EwfBuilder(MEDIA, unreadable=[(3, 2)]),
    "absolute offsets": EwfBuilder(MEDIA, absolute=True, chunks_per_table=9),
    "no digests": EwfBuilder(MEDIA, digests=False),
}


@pytest.mark.parametrize("where", ["anywhere", "metadata"])
@pytest.mark.parametrize("kind", BUILDERS)
def test_every_flipped_bit_is_found_and_located_or_changes_nothing(tmp_path: Path, kind: str, where: str) -> None:
    (path,) = BUILDERS[kind].write(tmp_path / "x")
    whole, damage, found = examine(path)
    assert (damage, found) == ([], [])
    bits = metadata_bits(path) if where == "metadata" else list(range(path.stat().st_size * 8))
    count = 120 if where == "metadata" else 60
    located = 0
    for bit in flips(path, random.Random(kind + where).sample(bits, count)):
        seen, damage, found = examine(path)
        media = bytearray(seen.media)
        for each in damage:
            assert each.segment == path.name
            media[each.media.offset : each.media.end] = whole.media[each.media.offset : each.media.end]
        assert bytes(media) == whole.media, f"bit {bit}: media changed outside what was reported"
        if damage or found:
            located += 1
            assert all(each.segment == path.name or each.code.startswith("ewf.table") for each in found)
        else:
            assert seen == whole, f"bit {bit}: changed unseen"
    assert located > count // 2


def test_a_flip_in_metadata_alone_leaves_the_media_readable(tmp_path: Path) -> None:
    (path,) = BUILDERS["encase 6"].write(tmp_path / "x")
    bits = metadata_bits(path)
    for _ in flips(path, random.Random(3).sample(bits, 60)):
        seen, damage, found = examine(path)
        assert seen.media == MEDIA
        assert damage == []
        assert {each.cause for each in found} <= {Cause.METADATA, Cause.NOTE}


def mutate(data: bytearray, chance: random.Random) -> bytearray:
    kind = chance.randrange(7)
    at = chance.randrange(len(data))
    length = min(chance.choice([1, 4, 8, 76, 500, 5000]), len(data) - at)
    if kind == 0:
        data[at : at + length] = bytes(length)
    elif kind == 1:
        data[at : at + length] = chance.randbytes(length)
    elif kind == 2:
        del data[at : at + length]
    elif kind == 3:
        data[at:at] = data[: chance.randrange(2000)]
    elif kind == 4:
        del data[at:]
    elif kind == 5:
        data[at : at + length] = b"\xff" * length
    else:
        data += chance.randbytes(chance.randrange(1, 3000))
    return data


@pytest.mark.parametrize("seed", range(4))
def test_only_our_own_errors_come_out_of_hostile_files(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    paths = EwfBuilder(MEDIA, tables_per_segment=2, unreadable=[(1, 1)]).write(tmp_path / "x")
    whole = [path.read_bytes() for path in paths]
    tracemalloc.start()
    for _ in range(40):
        victim = chance.randrange(len(paths))
        data = bytearray(whole[victim])
        for _ in range(chance.randrange(1, 4)):
            data = mutate(data or bytearray(b"x"), chance)
        paths[victim].write_bytes(data)
        try:
            with EwfImage.open(paths[0], lenient=True) as image:
                list(image.check_structure())
                buffer = memoryview(bytearray(64 * CHUNK))
                for offset in range(0, min(image.size, 1 << 20), len(buffer)):
                    image.read_checked(offset, buffer)
        except ForensiqError:
            pass
        paths[victim].write_bytes(whole[victim])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20


def test_checksums_made_right_again_do_not_open_the_door(tmp_path: Path) -> None:
    """Descriptors and headers with absurd numbers, each with a right checksum."""

    (path,) = EwfBuilder(MEDIA).write(tmp_path / "x")
    whole = path.read_bytes()
    offsets = [section.offset for section in walk_sections(SegmentFiles([path]), 0, FindingList(["x"]))]
    for offset in offsets:
        for field in (16, 24):
            for value in (0, 1, 13, 2**63, 2**64 - 1, len(whole) - 10, offset - 1):
                changed = bytearray(whole)
                struct.pack_into("<Q", changed, offset + field, value % 2**64)
                struct.pack_into("<I", changed, offset + 72, adler32(bytes(changed[offset : offset + 72])))
                path.write_bytes(changed)
                try:
                    _, damage, found = examine(path)
                except ForensiqError:
                    continue
                if changed != whole:
                    assert damage or found, (offset, field, value)
