"""What The Sleuth Kit's own command-line tools say of an image, as values to compare with."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from msgspec import Struct

__all__ = ["FlsEntry", "fls", "mmls"]

_LINE = re.compile(r"^(?:\+* )?(\S)/(\S) (\* )?(\d+)(?:-(\d+-\d+))?(\(realloc\))?:\t(.*)$")


class FlsEntry(Struct, frozen=True, order=True):
    """One line of ``fls -r -p``."""

    path: str
    inode: int
    attribute: str
    allocated: bool


def fls(image: Path, sector: int = 0, seconds: float = 60) -> set[FlsEntry] | None:
    """Return the lines of ``fls -r -p``; ``None`` where it fails or does not end in time."""
    command = ["fls", "-r", "-p", "-i", "raw", "-o", str(sector), str(image)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        return None
    result = set()
    for line in done.stdout.decode("utf-8", "replace").split("\n"):
        match = _LINE.match(line)
        if match:
            _, _, gone, inode, attribute, _, path = match.groups()
            result.add(FlsEntry(path, int(inode), attribute or "", gone is None))
    return result


def mmls(image: Path, sector_size: int = 512) -> list[tuple[int, int]] | None:
    """Return (first sector, sectors) of the allocated rows of ``mmls``; ``None`` where it finds no table."""
    command = ["mmls", "-i", "raw", "-b", str(sector_size), "-a", str(image)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if done.returncode:
        return None
    rows = re.findall(r"^\d+:\s+\S+\s+(\d+)\s+\d+\s+(\d+)\s", done.stdout.decode("utf-8", "replace"), re.MULTILINE)
    return [(int(start), int(length)) for start, length in rows]
