"""Mutated real images: whatever a C library does with them, the run goes on and says what was lost."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiq.analysis.explorer import entries_of
from forensiq.errors import ForensiqError
from forensiq.model.extent import Extent
from forensiq.procedures.impact import DamageSource, impact_of
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference, list_partitions
from tests.interop.test_listings_against_tsk import unpacked
from tests.support.real_images import real_images

SEEDS = [
    "dfvfs/ext4.raw.xz",
    "dfvfs/ntfs.raw.xz",
    "dfvfs/fat12.raw.xz",
    "dfvfs/hfsplus.raw.xz",
    "dfvfs/apfs.raw.xz",
    "dissect/fat/exfat.bin.xz",
    "dfvfs/gpt.raw.xz",
    "dfvfs/iso9660.raw",
    "forensic-vfs-engine/ufs.img.xz",
]


def mutated(data: bytearray, source: random.Random) -> bytearray:
    """Change a few bytes where there is something: flips, extreme numbers, pieces copied over others, a cut."""
    busy = [at for at in range(0, len(data), 512) if any(data[at : at + 512])]
    for _ in range(source.randrange(1, 12)):
        at = source.choice(busy) + source.randrange(512)
        kind = source.randrange(4)
        if kind == 0:
            data[min(at, len(data) - 1)] ^= 1 << source.randrange(8)
        elif kind == 1:
            value = source.choice([b"\xff" * 4, b"\x00" * 4, b"\xff\xff\xff\x7f", b"\x80" * 8, b"\xff" * 8])
            data[at : at + len(value)] = value
        elif kind == 2:
            other = source.choice(busy)
            data[at : at + 64] = data[other : other + 64]
        else:
            data[at : at + 2] = source.randbytes(2)
    return data[: source.randrange(1024, len(data))] if source.randrange(10) == 0 else data


def look(image: Path) -> int:
    """Do everything with an image; return how many workers died."""
    reference = image_reference(image, image_format="raw")
    list_partitions(reference)
    died = 0
    try:
        with Listing(reference, stall=15) as listing:
            for fs in listing.file_systems:
                for batch in listing.explorer.walk(fs):
                    assert all(entry.path.startswith("/") for entry in entries_of(batch))
                list(listing.explorer.walk(fs, do="digest", algorithms=["md5"]))
            died = sum("process that reads" in loss.message for loss in listing.losses)
        impact_of(reference, [DamageSource("test", (Extent(0, min(image.stat().st_size, 1 << 20)),))])
    except ForensiqError:
        # Refused in our own words: that is an answer.
        return died
    return died


def rounds(folder: Path, count: int, seed: int) -> dict[str, int]:
    deaths: dict[str, int] = {}
    source = random.Random(seed)
    root = real_images()
    for name in SEEDS:
        if not (root / name).exists():
            continue
        stored = unpacked(root / name, folder)
        assert stored is not None
        original = stored.read_bytes()
        for number in range(count):
            target = folder / f"mutant-{number}.dd"
            target.write_bytes(mutated(bytearray(original), source))
            deaths[name] = deaths.get(name, 0) + look(target)
            target.unlink()
    return deaths


def test_one_mutant_of_each_kind(tmp_path: Path) -> None:
    rounds(tmp_path, 1, seed=5)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_many_mutants(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    count = int(os.environ.get("FORENSIQ_FUZZ_ROUNDS", "50"))
    deaths = rounds(tmp_path, count, seed=int(os.environ.get("FORENSIQ_FUZZ_SEED", "1")))
    record_property("workers that died, by image", deaths)
