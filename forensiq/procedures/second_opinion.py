"""What a second library says of the same file system: differences are findings."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from forensiq.model.finding import Cause, Finding, Severity
from forensiq.procedures.listing import Listing

__all__ = ["SecondOpinion", "second_opinion"]


class SecondOpinion(Struct, frozen=True):
    """How many entries were compared, in how many file systems, and every difference."""

    file_systems: int
    entries: int
    differences: tuple[Finding, ...]


def second_opinion(listing: Listing) -> SecondOpinion:
    """Compare what The Sleuth Kit tells of every APFS volume with what libfsapfs tells; other file systems have no
    second reader. What cannot be compared is a loss of the listing."""
    systems = [fs for fs in listing.file_systems if fs.pool_block is not None]
    findings: list[Finding] = []
    compared = 0
    for fs in systems:
        differences, count = listing.explorer.second_opinion(fs)
        compared += count
        for each in differences:
            where = str(listing.explorer.locator(fs, each["inode"], each["path"]))
            findings.append(_finding(each, where))
    return SecondOpinion(len(systems), compared, tuple(findings))


def _finding(each: dict[str, Any], where: str) -> Finding:
    ours, theirs = str(each["sleuthkit"]), str(each["libfsapfs"])
    if each["what"] == "size" and ours == "0":
        text = "compressed by APFS: The Sleuth Kit tells no size, the listing has that of libfsapfs"
        return Finding(Severity.INFO, Cause.NOTE, "second_opinion.compressed", text, where, ours, theirs)
    text = f"{each['what']}: {ours} says The Sleuth Kit, {theirs} says libfsapfs"
    return Finding(Severity.WARNING, Cause.METADATA, f"second_opinion.{each['what']}", text, where, ours, theirs)
