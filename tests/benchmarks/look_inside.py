"""Listing, hashing and mounting against The Sleuth Kit and ewfmount, over a file system that is built for it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

from tests.benchmarks.cases import MIB, Bench, Row
from tests.benchmarks.corpus import build_corpus
from tests.benchmarks.measure import Contender, run

__all__ = ["hashing", "listing", "mounting"]


def build_tree(image: Path, folder: Path, files: int, most_bytes: int) -> None:
    """Write an ext4 image of ``files`` files below folders of up to 300; times differ from file to file.

    No rights are needed. Sizes go up to ``most_bytes``; six of ten files of a tree of small ones are empty.
    """
    chance = random.Random(5)
    noise = chance.randbytes(most_bytes)
    folders, made, total = [folder], 0, 0
    folder.mkdir()
    while made < files:
        place = chance.choice(folders[-400:]) / f"folder-{len(folders)}"
        place = place if len(place.parts) - len(folder.parts) < 12 else folder / place.name
        place.mkdir()
        folders.append(place)
        for _ in range(min(files - made, chance.choice((3, 8, 20, 80, 300)))):
            path = place / f"report_{made:06d}.{chance.choice(('txt', 'jpg', 'docx', 'html'))}"
            length = 0 if most_bytes < MIB and chance.random() < 0.6 else chance.randrange(1, most_bytes)
            path.write_bytes(noise[:length])
            when = (1_700_000_000 - chance.randrange(150_000_000)) * 10**9 + chance.randrange(10**9)
            os.utime(path, ns=(when, when - chance.randrange(10**15)))
            made += 1
            total += length
    size = f"{(total * 5 // 4 + files * 5120) // MIB + 64}M"
    command = [
        "mke2fs",
        "-q",
        "-F",
        "-t",
        "ext4",
        "-N",
        str(files * 5 // 4 + 1000),
        "-d",
        str(folder),
        str(image),
        size,
    ]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(folder)


def listing(bench: Bench) -> list[Row]:
    """``ls -r`` and ``timeline`` of ``FORENSIQ_BENCH_ENTRIES`` (default 500,000) files against ``fls -r -m``.

    Peak memory of a tenth of the files beside it: it must be about the same.
    """
    rows: list[Row] = []
    entries = int(os.environ.get("FORENSIQ_BENCH_ENTRIES", "500000"))
    for count in (entries // 10, entries):
        image = bench.work / "tree.img"
        build_tree(image, bench.work / "tree", count, 3000)
        small = Bench(image, image.stat().st_size, bench.work, bench.rounds)
        peer = small.reading("fls -r -m", ["fls", "-r", "-m", "/", str(image)])
        for name, arguments in (
            ("ls -r --json", ["ls", "-r", "--json"]),
            ("ls -r", ["ls", "-r"]),
            ("timeline --format body", ["timeline", "--format", "body"]),
            ("timeline", ["timeline"]),
        ):
            ours = small.reading("forensiq", small.forensiq(*arguments, str(image), "--quiet"))
            rows += small.compare(f"{name}, {count:,} files", ours, [(peer, 0.4)])
        image.unlink()
    return rows


def hashing(bench: Bench) -> list[Row]:
    """MD5 and SHA-256 of all files against recovering them and digesting them one after the other."""
    image = bench.work / "tree.img"
    build_tree(image, bench.work / "tree", 800, 2 * MIB)
    small = Bench(image, image.stat().st_size, bench.work, bench.rounds)
    out = bench.work / "out"
    script = f'tsk_recover -a "$1" {out}/r >/dev/null && find {out}/r -type f -print0 > {out}/names && '
    script += f"xargs -0 md5sum < {out}/names >/dev/null && xargs -0 sha256sum < {out}/names >/dev/null"
    peer = small.writing("tsk_recover, md5sum, sha256sum", ["sh", "-c", script, "sh", str(image)])
    ours = small.reading("forensiq", small.forensiq("hash", str(image), "--json", "--quiet"))
    rows = small.compare("hash of all files", ours, [(peer, 1.5)])
    image.unlink()
    return rows


_READ = """
import os, random, sys
path, way = sys.argv[1:]
file = os.open(path, os.O_RDONLY)
size = os.fstat(file).st_size
if way == "sequential":
    while os.read(file, 1 << 20):
        pass
else:
    chance = random.Random(2)
    for _ in range(5000):
        os.pread(file, 4096, chance.randrange(size // 4096) * 4096)
"""


def mounting(bench: Bench) -> list[Row]:
    """Reads through the mount of an E01 against ewfmount, and against the mount of the same medium as raw.

    It is mounted anew before each read, untimed, so that nothing is in a cache. Servers are no children: their CPU time
    is not counted.
    """
    if os.geteuid() != 0 or shutil.which("ewfmount") is None:
        print("mount: left out, it needs root and ewfmount", flush=True)
        return []
    medium = bench.work / "medium.bin"
    build_corpus(medium, 480 * MIB)
    small = Bench(medium, 480 * MIB, bench.work, bench.rounds)
    run(small.acquire("forensiq"), bench.work / "log")
    image = bench.work / "out" / "x.E01"
    reader, place = bench.work / "read.py", bench.work / "mnt"
    reader.write_text(_READ)
    place.mkdir()
    python, *_ = small.forensiq()

    def mounted(name: str, command: list[str], read: list[str]) -> Contender:
        def prepare() -> None:
            subprocess.run(["fusermount3", "-q", "-u", str(place)], check=False)
            subprocess.run(command, check=True, capture_output=True)

        return Contender(name, read, prepare)

    rows: list[Row] = []
    for way in ("sequential", "random 4 KiB"):
        read = [python, str(reader)]
        kind = way.split(maxsplit=1)[0]
        ours, raw = (
            mounted(name, small.forensiq("mount", str(path), str(place)), [*read, str(place / "media.raw"), kind])
            for name, path in (("forensiq, E01", image), ("forensiq, raw", medium))
        )
        peer = mounted("ewfmount", ["ewfmount", str(image), str(place)], [*read, str(place / "ewf1"), kind])
        rows += small.compare(f"mount, {way}", ours, [(peer, 1.5), (raw, 0.7)])
    subprocess.run(["fusermount3", "-u", str(place)], check=True)
    shutil.rmtree(bench.work / "out")
    medium.unlink()
    return rows
