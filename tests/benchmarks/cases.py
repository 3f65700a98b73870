"""What is measured, against whom, and what the project promises."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from forensiq.model.extent import Extent, merge
from tests.benchmarks.corpus import build_corpus
from tests.benchmarks.limits import measure_limit
from tests.benchmarks.measure import Contender, alternate, median_ratio, run
from tests.rig import faulty_device

__all__ = ["CASES", "Bench", "Row"]

MIB = 1 << 20


class Row(Struct, frozen=True):
    """One line of the result. ``ratio`` is how many times longer the peer took, ``cpu_ratio`` how many times more
    CPU time (sturdier on a busy machine); ``promise`` is what is promised of the first.

    ``limit_share`` is the least possible wall time (CPU limit of the machine) divided by ours.
    """

    case: str
    subject: str
    mib_per_s: float
    cpu_s: float
    peak_mib: float
    ratio: float | None = None
    cpu_ratio: float | None = None
    promise: float | None = None
    limit_share: float | None = None
    stored: int = 0
    note: str = ""


class Bench(Struct, frozen=True):
    """Where the benchmark works: a source of ``size`` bytes, a folder for what is written, and how often."""

    source: Path
    size: int
    work: Path
    rounds: int

    def forensiq(self, *arguments: str) -> list[str]:
        """Return the command line of this working copy's program."""
        return [sys.executable, "-m", "forensiq", *arguments]

    def clean(self) -> None:
        """Remove what the last run wrote."""
        shutil.rmtree(self.work / "out", ignore_errors=True)
        (self.work / "out").mkdir()

    def stored(self) -> int:
        """Return the bytes of the image that was written last."""
        endings = (".json", ".txt", ".map", ".csv", ".log")
        return sum(path.stat().st_size for path in (self.work / "out").iterdir() if path.suffix not in endings)

    def writing(self, name: str, command: Sequence[str], *, terminal: bool = False) -> Contender:
        """Return a contender that writes an image."""
        return Contender(name, command, self.clean, self.stored, terminal)

    def reading(self, name: str, command: Sequence[str]) -> Contender:
        """Return a contender that only reads."""
        return Contender(name, command, lambda: None)

    def acquire(self, name: str, *options: str, terminal: bool = False) -> Contender:
        """Return an acquisition of the source by forensiq, without read-back."""
        quiet = () if terminal else ("--quiet",)
        target = str(self.work / "out" / "x")
        return self.writing(
            name,
            self.forensiq("acquire", str(self.source), target, "--no-verify", "--allow-low-space", *quiet, *options),
            terminal=terminal,
        )

    def ewfacquire(self) -> Contender:
        """Return an acquisition by ewfacquire: the same format, compression and digests."""
        target = str(self.work / "out" / "x")
        options = ["-u", "-q", "-f", "encase6", "-c", "fast", "-d", "sha256", "-b", "64", "-S", "1500MiB"]
        return self.writing("ewfacquire", ["ewfacquire", *options, "-t", target, str(self.source)])

    def compare(
        self, case: str, ours: Contender, peers: Sequence[tuple[Contender, float]], limit: float | None = None
    ) -> list[Row]:
        """Run all in turn and return their rows, ours first for each peer."""
        print(case, flush=True)
        costs = alternate([ours, *(peer for peer, _ in peers)], self.rounds, self.work / "log")
        rows: list[Row] = []
        for contender in [ours, *(peer for peer, _ in peers)]:
            measured = costs[contender.name]
            wall = statistics.median(each.wall for each in measured)
            promised = next((promise for peer, promise in peers if peer is contender), None)
            rows.append(
                Row(
                    case=case,
                    subject=contender.name,
                    mib_per_s=round(self.size / MIB / wall, 1),
                    cpu_s=round(statistics.median(each.cpu for each in measured), 2),
                    peak_mib=round(max(each.peak for each in measured) / MIB, 1),
                    ratio=round(median_ratio(measured, costs[ours.name]), 2) if contender is not ours else None,
                    cpu_ratio=round(median_ratio(measured, costs[ours.name], cpu=True), 2)
                    if contender is not ours
                    else None,
                    promise=promised,
                    limit_share=round(limit / wall, 2) if limit and contender is ours else None,
                    stored=measured[-1].stored,
                )
            )
        return rows


def e01_plain(bench: Bench) -> list[Row]:
    """E01, fast, MD5 and SHA-256, without block and segment digests."""
    limit = measure_limit(bench.source, deflate=True, block_digest=False, stored_share=0)
    ours = bench.acquire("forensiq", "--block-hash-size", "none", "--no-segment-hash")
    return bench.compare("E01 fast, MD5 + SHA-256", ours, [(bench.ewfacquire(), 6.5)], limit)


def e01_default(bench: Bench) -> list[Row]:
    """E01 with everything that is on by default but the read-back."""
    limit = measure_limit(bench.source, deflate=True, block_digest=True, stored_share=0.5)
    return bench.compare("E01, all defaults", bench.acquire("forensiq"), [(bench.ewfacquire(), 5.0)], limit)


def raw(bench: Bench) -> list[Row]:
    """Raw with MD5 and SHA-256."""
    source, target = str(bench.source), str(bench.work / "out" / "x.dd")
    log = str(bench.work / "out" / "peer.log")
    dc3dd = bench.writing(
        "dc3dd", ["dc3dd", f"if={source}", f"of={target}", "hash=md5", "hash=sha256", f"log={log}", "verb=off"]
    )
    dcfldd = bench.writing(
        "dcfldd", ["dcfldd", f"if={source}", f"of={target}", "hash=md5,sha256", "bs=1M", f"hashlog={log}", "status=off"]
    )
    limit = measure_limit(bench.source, deflate=False, block_digest=False, stored_share=0)
    ours = bench.acquire("forensiq", "--format", "raw", "--block-hash-size", "none", "--no-segment-hash")
    return bench.compare("raw, MD5 + SHA-256", ours, [(dc3dd, 4.0), (dcfldd, 4.0)], limit)


def verify(bench: Bench) -> list[Row]:
    """Verification of one E01 with MD5 and SHA-256, and of its chunks alone."""
    run(bench.acquire("forensiq"), bench.work / "log")
    image = str(bench.work / "out" / "x.E01")
    ours = bench.reading("forensiq", bench.forensiq("verify", image, "--quiet"))
    peer = bench.reading("ewfverify", ["ewfverify", "-q", "-d", "sha256", image])
    rows = bench.compare("verify, MD5 + SHA-256", ours, [(peer, 1.8)])
    chunks = bench.reading("forensiq", bench.forensiq("verify", image, "--structure-only", "--quiet"))
    return rows + bench.compare("verify, chunk checks alone", chunks, [])


def progress_view(bench: Bench) -> list[Row]:
    """A live view on a terminal against none; the peer's ratio is 1 / (1 + what the view costs)."""
    plain = ("--block-hash-size", "none", "--no-segment-hash")
    watched = bench.acquire("forensiq, live view", *plain, terminal=True)
    return bench.compare("progress view", bench.acquire("forensiq, no view", *plain), [(watched, 0.0)])


def memory(bench: Bench) -> list[Row]:
    """Peak memory on sparse media of 1 GiB and of the size in ``FORENSIQ_BENCH_SPARSE_GIB`` (default 64)."""
    rows: list[Row] = []
    for gib in (1, int(os.environ.get("FORENSIQ_BENCH_SPARSE_GIB", "64"))):
        sparse = bench.work / "sparse.bin"
        with sparse.open("wb") as file:
            file.truncate(gib << 30)
        small = Bench(sparse, gib << 30, bench.work, 1)
        rows += small.compare(f"memory, sparse {gib} GiB", small.acquire("forensiq", "--hash", "blake3"), [])
        sparse.unlink()
    return rows


def rescue(bench: Bench) -> list[Row]:
    """A failing device (needs root): each read around a bad area takes 50 ms.

    GNU ddrescue alone, and with the digests that forensiq makes from openssl, afterwards. One retry each.
    """
    if os.geteuid() != 0 or shutil.which("nbdfuse") is None:
        print("rescue: left out, it needs root and nbdfuse", flush=True)
        return []
    disk = bench.work / "failing.bin"
    size = 256 * MIB
    build_corpus(disk, size)
    chance = random.Random(3)
    places = [Extent(chance.randrange(size // 512 - 64) * 512, chance.randrange(1, 16) * 512) for _ in range(40)]
    bad = merge(places)
    around = [Extent.between(max(0, each.offset - 2048), each.end + 2048) for each in bad]
    with faulty_device(disk, bench.work / "rig", bad=bad, slow=around, delay_s=0.05) as device:
        small = Bench(Path(device.path), size, bench.work, bench.rounds)
        ours = small.acquire("forensiq", "--format", "raw", "--retries", "1", "--no-probe")
        target = str(bench.work / "out" / "d")
        alone = small.writing(
            "ddrescue", ["ddrescue", "-q", "-d", "-r1", device.path, f"{target}.img", f"{target}.map"]
        )
        script = f'ddrescue -q -d -r1 "$1" {target}.img {target}.map && openssl md5 {target}.img && '
        script += f"openssl sha256 {target}.img"
        peer = small.writing("ddrescue, openssl", ["sh", "-c", script, "sh", device.path])
        rows = small.compare("rescue of 40 bad areas", replace(ours, codes=(3,)), [(alone, 1.0), (peer, 1.0)])
    disk.unlink()
    return rows


def scope(bench: Bench) -> list[Row]:
    """The used space of a disk that is a fifth full, against the full image and against partclone.

    partclone gets the digests that forensiq makes from openssl, of its image; ``partclone`` alone makes a CRC-32.
    """
    if any(shutil.which(each) is None for each in ("partclone.ext4", "mkfs.ext4", "debugfs")):
        print("scope: left out, it needs partclone, mkfs.ext4 and debugfs", flush=True)
        return []
    disk, content = bench.work / "fifth.img", bench.work / "content.bin"
    build_corpus(content, bench.size // 5)
    with disk.open("wb") as file:
        file.truncate(bench.size)
    subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
    subprocess.run(["debugfs", "-w", "-R", f"write {content} content.bin", disk], check=True, capture_output=True)
    content.unlink()
    small = Bench(disk, bench.size, bench.work, bench.rounds)
    plain = ("--format", "raw", "--block-hash-size", "none", "--no-segment-hash", "--no-probe")
    ours = small.acquire("forensiq, allocated", "--scope", "allocated", *plain)
    target = str(bench.work / "out" / "p.img")
    clone = f'partclone.ext4 -c -q -L /dev/null -s "$1" -o {target} 2>/dev/null'
    digests = f"openssl md5 {target} && openssl sha256 {target}"
    peers = [
        (small.acquire("forensiq, full image", *plain), 2.85),
        (small.writing("partclone, openssl", ["sh", "-c", f"{clone} && {digests}", "sh", str(disk)]), 1.0),
        (small.writing("partclone", ["sh", "-c", clone, "sh", str(disk)]), 0.0),
    ]
    rows = small.compare("used space of a disk that is a fifth full", ours, peers)
    disk.unlink()
    return rows


def convert(bench: Bench) -> list[Row]:
    """E01 to QCOW2 and VMDK against ewfexport and qemu-img, both with MD5 and SHA-256; raw to E01 against acquire.

    Without the read-back.
    """
    if shutil.which("qemu-img") is None:
        print("convert: left out, it needs qemu-img", flush=True)
        return []
    kept = bench.work / "image"
    kept.mkdir()
    run(bench.acquire("forensiq"), bench.work / "log")
    for path in (bench.work / "out").iterdir():
        path.rename(kept / path.name)
    image, out = str(kept / "x.E01"), bench.work / "out"
    rows: list[Row] = []
    for name, subformat, options in (
        ("qcow2", "qcow2", ()),
        ("vmdk", "vmdk", ()),
        ("qcow2", "qcow2 -c", ("--compression", "fast")),
        ("vmdk-stream", "vmdk -o subformat=streamOptimized", ()),
    ):
        words = ("convert", image, str(out / "x"), "--format", name, "--no-verify", "--quiet", *options)
        ours = bench.writing("forensiq", bench.forensiq(*words, "--block-hash-size", "none", "--no-segment-hash"))
        script = f"ewfexport -q -u -f raw -d sha256 -t {out}/raw {image} && "
        script += f"qemu-img convert -f raw -O {subformat} {out}/raw.raw {out}/y && rm {out}/raw.raw"
        peer = bench.writing("ewfexport, qemu-img", ["sh", "-c", script])
        rows += bench.compare(f"convert E01 to {subformat}", ours, [(peer, 1.0)])
    words = (
        "convert",
        str(bench.source),
        str(out / "x"),
        "--format",
        "e01",
        "--no-verify",
        "--quiet",
        "--allow-low-space",
    )
    ours = bench.writing("forensiq convert", bench.forensiq(*words))
    rows += bench.compare("convert raw to E01", ours, [(bench.acquire("forensiq acquire"), 0.95)])
    shutil.rmtree(kept)
    return rows


CASES: dict[str, Callable[[Bench], list[Row]]] = {
    "e01": e01_plain,
    "default": e01_default,
    "raw": raw,
    "verify": verify,
    "progress": progress_view,
    "memory": memory,
    "rescue": rescue,
    "convert": convert,
    "scope": scope,
}
