"""Fuzzing of everything that looks into an image: ``python -m tests.fuzz.run --minutes 60 --seed 1 --out result.json``.

Each mutant goes through every question that a worker can be asked. What the C libraries do (crash, hang, memory) is
counted by image and by kind; what our own code does wrong (an exception that is not ours, a broken protocol, a worker
that ends by itself) is a fault, and its mutant is kept. Image, seed and number name a mutant: it can be made again.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import lzma
import random
import re
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from forensiq.analysis.explorer import entries_of
from forensiq.errors import ForensiqError
from forensiq.model.extent import Extent
from forensiq.procedures.impact import DamageSource, impact_of
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference, list_partitions
from tests.fuzz.mutate import hot_places, mutated

__all__ = ["SEEDS", "Tally", "explore", "fuzz_round", "load"]

SEEDS = (
    "dfvfs/ext2.raw.xz", "dfvfs/ext4.raw.xz", "dfvfs/ntfs.raw.xz", "dfvfs/fat12.raw.xz", "dfvfs/hfsplus.raw.xz",
    "dfvfs/apfs.raw.xz", "dissect/apfs/case_insensitive_beta.bin.gz", "dissect/fat/exfat.bin.xz",
    "dfir_ntfs/fat32_small.raw.gz", "dfir_ntfs/ntfs_index.raw.gz", "dfvfs/gpt.raw.xz", "dfvfs/mbr.raw.xz",
    "dfvfs/iso9660.raw", "dfvfs/ufs1.raw.xz", "forensic-vfs-engine/ufs.img.xz", "util-linux/bsd.img.xz",
    "go-ext4/tiny.ext4.xz", "cryptsetup/img_fs_xfs.img.xz", "dissect/xfs/xfs.bin.gz",
)  # fmt: skip
"""Images that mutants are made of; those larger than 24 MiB are left out."""

_LARGEST = 24 << 20
_STALL = 10.0
_DEATH = re.compile(r"the process that reads the image (crashed \(\w+\)|did not move|ended unexpectedly|broke)")
_OURS = ("ended unexpectedly", "broke")


class Tally:
    """What happened, by image."""

    def __init__(self) -> None:
        self.mutants: Counter[str] = Counter()
        self.workers: dict[str, Counter[str]] = {}
        self.slow: Counter[str] = Counter()
        self.faults: list[str] = []
        self.seconds = 0.0

    def death(self, name: str, message: str) -> None:
        """Count a worker that died, if that is what a message tells."""
        found = _DEATH.search(message)
        if found:
            self.workers.setdefault(name, Counter())[found[1]] += 1
            if found[1] in _OURS:
                self.faults.append(f"{name}: {message}")

    def as_json(self) -> dict[str, object]:
        """Return the numbers."""
        return {
            "mutants": dict(self.mutants),
            "total": self.mutants.total(),
            "seconds": round(self.seconds),
            "workers_that_died": {name: dict(kinds) for name, kinds in self.workers.items()},
            "longer_than_240_seconds": dict(self.slow),
            "faults": self.faults,
        }


def load(path: Path) -> bytes | None:
    """Return an image, unpacked; ``None`` where it is too large."""
    with (
        gzip.open(path)
        if path.suffix == ".gz"
        else lzma.open(path)
        if path.suffix == ".xz"
        else path.open("rb") as file
    ):
        data = bytes(file.read(_LARGEST + 1))
    return data if len(data) <= _LARGEST else None


def explore(image: Path, name: str, tally: Tally) -> None:
    """Ask everything about one image."""
    reference = image_reference(image, image_format="raw")
    try:
        for row in list_partitions(reference).rows:
            tally.death(name, row.reason or "")
        with Listing(reference, stall=_STALL) as listing:
            for fs in listing.file_systems:
                first = None
                for batch in listing.explorer.walk(fs):
                    for entry in entries_of(batch):
                        assert entry.path.startswith("/")
                        if first is None and entry.type == "file" and entry.size:
                            first = entry
                list(listing.explorer.walk(fs, recovery=False, body="/"))
                list(listing.explorer.walk(fs, do="digest", algorithms=["md5"]))
                list(listing.explorer.walk(fs, do="types"))
                asked = {"texts": ["password"], "expressions": [], "hexes": [], "free": True}
                list(listing.explorer.walk(fs, do="scan", **asked))  # type: ignore[arg-type]
                if first is not None:
                    listing.explorer.find(fs, first.path)
                    list(listing.explorer.read(fs, first.inode, first.attribute, length=1 << 20, slack=True))
            for loss in listing.losses:
                tally.death(name, loss.message)
        damage = DamageSource("fuzz", (Extent(0, min(image.stat().st_size, 1 << 20)),))
        for loss in impact_of(reference, [damage]).losses:
            tally.death(name, loss.message)
    except ForensiqError as error:
        # Refused in our own words: that is an answer, unless it is our own process that failed.
        tally.death(name, error.message)


@contextlib.contextmanager
def _watched(seconds: int) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} seconds for one mutant")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fuzz_round(
    seeds: dict[str, bytes], seed: int, number: int, folder: Path, tally: Tally, keep: Path | None = None
) -> None:
    """Make one mutant of each image and look into it."""
    for name, original in seeds.items():
        data = mutated(original, random.Random(f"{seed}/{name}/{number}"), hot_places(original))
        image = folder / "mutant.dd"
        image.write_bytes(data)
        faults = len(tally.faults)
        tally.mutants[name] += 1
        try:
            with _watched(240):
                explore(image, name, tally)
        except TimeoutError:
            tally.slow[name] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what this looks for
            where = "".join(traceback.format_exception(error)[-4:])
            tally.faults.append(f"{name}: {where}")
        if len(tally.faults) > faults and keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{name.replace('/', '-')}-{seed}-{number}.dd").write_bytes(data)
        image.unlink()


def main() -> None:
    """Fuzz for some time and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--only", default="", help="only images whose name holds this")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--keep", type=Path, help="folder for mutants that show a fault of ours")
    asked = parser.parse_args()
    tally = Tally()
    begun = time.monotonic()  # noqa: TID251
    loaded = {
        name: load(asked.images / name) for name in SEEDS if asked.only in name and (asked.images / name).exists()
    }
    seeds = {name: data for name, data in loaded.items() if data is not None}
    number = 0
    with tempfile.TemporaryDirectory(prefix="forensiq-fuzz-") as folder:
        while tally.seconds < asked.minutes * 60:
            fuzz_round(seeds, asked.seed, number, Path(folder), tally, asked.keep)
            number += 1
            tally.seconds = time.monotonic() - begun  # noqa: TID251
            asked.out.write_text(json.dumps(tally.as_json(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
