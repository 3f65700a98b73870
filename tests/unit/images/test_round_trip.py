"""Raw to each kind of disk image and back through our own readers: any small medium, empty, sparse, full, 4Kn."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiq.images import open_image
from forensiq.images.container_file import ContainerConfig
from forensiq.images.containers import CONTAINERS, container_path
from forensiq.model.chunk import Batch
from forensiq.model.digest import DigestSet
from forensiq.model.image import ClosingFacts

VARIANTS = [(name, compression) for name, kind in CONTAINERS.items() for compression in kind.compressions]


def medium(size: int, share: float, seed: int) -> bytes:
    """Return zeros with noise and text in ``share`` of the sectors, the last one among them."""
    chance = random.Random(seed)
    data = bytearray(size)
    for at in range(0, size, 512):
        if chance.random() < share or (share and at == size - 512):
            data[at : at + 512] = (
                chance.randbytes(512) if chance.random() < 0.5 else (b"text and text again\n" * 26)[:512]
            )
    return bytes(data[:size])


@pytest.mark.parametrize(("name", "compression"), VARIANTS)
@settings(max_examples=12, deadline=None)
@given(
    units=st.integers(1, 400),
    sector=st.sampled_from([512, 4096]),
    share=st.sampled_from([0.0, 0.02, 0.6, 1.0]),
    seed=st.integers(0, 999),
)
def test_the_medium_comes_back(name: str, compression: str, units: int, sector: int, share: float, seed: int) -> None:
    kind = CONTAINERS[name]
    sector = kind.only or sector
    data = medium(units * sector, share, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = container_path(name, Path(folder) / "x")
        config = ContainerConfig(
            path=path, media_size=len(data), sector_size=sector, compression=compression, segment_hash=False
        )
        writer = kind.writer(config)
        writer.begin()
        step = kind.chunk_size
        for number, offset in enumerate(range(0, len(data), step)):
            writer.write(writer.encode(Batch(number, offset, memoryview(data)[offset : offset + step])))
        writer.finish(ClosingFacts(DigestSet()))
        with open_image(path, format="iso" if name == "iso" else None) as image:
            assert [each.message for each in image.check_structure() if each.severity.value == "error"] == []
            buffer = bytearray(image.size)
            assert image.read_into(0, memoryview(buffer)) == len(data)
            assert bytes(buffer) == data
            start = seed * 37 % len(data)
            piece = bytearray(min(5000, len(data) - start))
            image.read_into(start, memoryview(piece))
            assert bytes(piece) == data[start : start + len(piece)]
