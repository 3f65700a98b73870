"""``python -m tests.benchmarks.bench``: measures forensiq and its peers side by side.

Source and destination lie in memory (``--work``, a tmpfs), so that the programs are measured and not the disk;
``--disk DIR`` measures from disk to disk as well, with cold caches and everything synced. Peers run in turn with
forensiq; the medians of the ratios count. Results: JSON and Markdown in ``bench-results/``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

from msgspec import structs

from tests.benchmarks import look_inside
from tests.benchmarks.cases import CASES as ACQUISITION
from tests.benchmarks.cases import MIB, Bench, Row
from tests.benchmarks.corpus import build_corpus
from tests.benchmarks.measure import Contender

CASES = {**ACQUISITION, "listing": look_inside.listing, "hash": look_inside.hashing, "mount": look_inside.mounting}


def main() -> None:
    """Parse, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=[*CASES], help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--mib", type=int, default=4128, help="size of the medium in MiB (default 4128)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--work", type=Path, default=Path("/dev/shm/forensiq-bench"), help="folder in a tmpfs")
    parser.add_argument("--disk", type=Path, help="folder on a disk, for the disk-to-disk case")
    parser.add_argument("--results", type=Path, default=Path("bench-results"))
    options = parser.parse_args()
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"unknown case: {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    options.work.mkdir(parents=True)
    try:
        bench = _prepare(options.work, options.mib * MIB, options.rounds)
        for name in options.cases:
            rows += CASES[name](bench)
    finally:
        shutil.rmtree(options.work)
    if options.disk:
        rows += _disk_to_disk(options.disk / "forensiq-bench", options.mib * MIB, options.rounds)
    _report(rows, options.results)


def _prepare(work: Path, size: int, rounds: int) -> Bench:
    source = work / "source.bin"
    build_corpus(source, size)
    return Bench(source, size, work, rounds)


def _disk_to_disk(work: Path, size: int, rounds: int) -> list[Row]:
    work.mkdir(parents=True)
    try:
        bench = _prepare(work, size, rounds)

        def cold(contender: Contender, *, sync: bool) -> Contender:
            def prepare() -> None:
                contender.prepare()
                os.sync()
                with bench.source.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

            # ewfacquire syncs nothing: the time until its files are on the disk is part of the work.
            command = ["sh", "-c", '"$@" && sync', "sh", *contender.command] if sync else contender.command
            return structs.replace(contender, prepare=prepare, command=command)

        ours = bench.acquire("forensiq", "--block-hash-size", "none", "--no-segment-hash")
        peer = cold(bench.ewfacquire(), sync=True)
        return bench.compare("disk to disk, synced, E01 fast", cold(ours, sync=False), [(peer, 0.0)])
    finally:
        shutil.rmtree(work)


def _report(rows: list[Row], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    machine = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip(),
    }
    columns = ["case", "program", "MiB/s", "CPU s", "peak MiB", "times slower", "times the CPU", "promised"]
    columns += ["share of CPU limit", "stored bytes"]
    table = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        cpu_ratio = "" if row.cpu_ratio is None else f"{row.cpu_ratio:.2f}"
        promise = "" if not row.promise else f"{row.promise:.1f}"
        share = "" if row.limit_share is None else f"{row.limit_share:.0%}"
        cells = [row.case, row.subject, row.mib_per_s, row.cpu_s, row.peak_mib, ratio, cpu_ratio, promise, share]
        table.append("| " + " | ".join(map(str, [*cells, row.stored or ""])) + " |")
    text = "\n".join(["# Benchmark", "", *(f"- {key}: {value}" for key, value in machine.items()), "", *table]) + "\n"
    (folder / "result.md").write_text(text)
    (folder / "result.json").write_text(
        json.dumps({"machine": machine, "rows": [structs.asdict(row) for row in rows]}, indent=2) + "\n"
    )
    print(text)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
