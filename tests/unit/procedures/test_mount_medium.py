"""The bytes of a mounted medium: what many readers get, what is kept, and what damage costs."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from forensiq.errors import ImageDamageError
from forensiq.model.extent import Extent
from forensiq.model.scope import MediumScope
from forensiq.procedures.mount_medium import MediumReader

MIB = 1 << 20


class Image:
    """Bytes, of which ``bad`` cannot be given; notes what was asked for."""

    format = "e01"
    parallel_reads = 8

    def __init__(self, size: int, bad: Extent | None = None) -> None:
        self.data = hashlib.shake_256(b"medium").digest(size)
        self.size = size
        self.bad = bad
        self.asked: list[Extent] = []

    def read_into(self, offset: int, buffer: memoryview) -> int:
        wanted = Extent.between(offset, min(offset + len(buffer), self.size))
        self.asked.append(wanted)
        if self.bad is not None and wanted.overlaps(self.bad):
            raise ImageDamageError("damaged", offset=self.bad.offset, length=self.bad.length, reason="damaged")
        buffer[: wanted.length] = self.data[wanted.offset : wanted.end]
        return wanted.length


def reader_of(image: Image, taken: MediumScope | None = None) -> MediumReader:
    return MediumReader(image, taken)  # type: ignore[arg-type]


def read(reader: MediumReader, offset: int, size: int) -> bytes:
    target = bytearray(size)
    return bytes(target[: reader.read_into(offset, memoryview(target))])


def test_any_read_gives_the_bytes_of_the_image() -> None:
    image = Image(5 * MIB + 777)
    reader = reader_of(image)
    chance = random.Random(7)
    for _ in range(300):
        offset = chance.randrange(image.size + 100)
        size = chance.choice((1, 512, 4096, 65_536, 131_072, MIB, 3 * MIB))
        assert read(reader, offset, size) == image.data[offset : offset + size]
    for offset in range(0, image.size, 131_072):
        assert read(reader, offset, 131_072) == image.data[offset : offset + 131_072]
    reader.close()


def test_many_readers_at_once() -> None:
    image = Image(12 * MIB)
    reader = reader_of(image)

    def whole(number: int) -> str:
        digest, step = hashlib.sha256(), (65_536, 131_072, MIB)[number % 3]
        for offset in range(0, image.size, step):
            digest.update(read(reader, offset, step))
        return digest.hexdigest()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(whole, range(8))) == {hashlib.sha256(image.data).hexdigest()}
    reader.close()


def test_what_is_kept_is_bounded_and_read_once_by_who_reads_on() -> None:
    image = Image(80 * MIB)
    reader = reader_of(image)
    for offset in range(0, image.size, 131_072):
        read(reader, offset, 131_072)
        assert reader.kept <= 36 * MIB
    assert sum(each.length for each in image.asked) < image.size + 2 * MIB
    reader.close()


def test_small_reads_anywhere_decode_nothing_ahead() -> None:
    image = Image(20 * MIB)
    reader = reader_of(image)
    chance = random.Random(3)
    for _ in range(200):
        read(reader, chance.randrange(image.size // 4096) * 4096, 4096)
    assert {each.length for each in image.asked} == {4096}
    assert not reader.kept


def test_damage_costs_what_it_covers_and_gives_no_zeros() -> None:
    bad = Extent(3 * MIB + 8192, 512)
    image = Image(6 * MIB, bad)
    reader = reader_of(image)
    for offset in range(0, image.size, 65_536):
        if Extent(offset, 65_536).overlaps(bad):
            with pytest.raises(OSError, match="cannot be given"):
                read(reader, offset, 65_536)
        else:
            assert read(reader, offset, 65_536) == image.data[offset : offset + 65_536]
    reader.close()


def test_what_a_scope_left_out_is_an_error() -> None:
    image = Image(2 * MIB)
    reader = reader_of(image, MediumScope([Extent(0, MIB)]))
    assert read(reader, 0, 4096) == image.data[:4096]
    for offset, size in ((MIB, 4096), (MIB - 2048, 4096), (MIB - 65_536, 131_072)):
        with pytest.raises(OSError, match="not acquired"):
            read(reader, offset, size)


def test_a_block_that_is_short_of_bytes_is_not_believed() -> None:
    image = Image(4 * MIB)
    whole = image.read_into
    image.read_into = lambda offset, buffer: whole(offset, buffer[: max(0, 2 * MIB + 100 - offset)])  # type: ignore[method-assign]
    reader = reader_of(image)
    got = b"".join(read(reader, offset, 131_072) for offset in range(0, image.size, 131_072))
    assert got == image.data[: 2 * MIB + 100]
    reader.close()
