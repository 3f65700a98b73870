"""Preflight of the destination: place, room, file sizes, whether it is blank."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from forensiq.devices.inventory import lies_on
from forensiq.devices.system import System
from forensiq.model.preflight import CheckVerdict, PreflightCheck
from forensiq.model.records import DestinationFacts
from forensiq.model.source import SourceIdentity, SourceKind
from forensiq.procedures.environment import nearest_folder

__all__ = ["DestinationNeeds", "check_destination", "check_place", "check_writable", "largest_file"]

_LARGEST_FILE = {"vfat": (1 << 32) - 1, "msdos": (1 << 32) - 1, "hfs": (1 << 31) - 1, "ext3": 1 << 41, "ext4": 1 << 44}
"""Bytes of the largest file, by the kernel's name of the file system (with blocks of 4 KiB)."""


class DestinationNeeds(Struct, frozen=True):
    """What an image takes at most, in bytes: all files together, and the largest one. ``segments`` is their number.

    ``low_space_allowed`` turns too little room into a warning.
    """

    total: int
    largest: int
    segments: int
    low_space_allowed: bool = False


def check_destination(
    identity: SourceIdentity,
    output: Path,
    destination: DestinationFacts,
    needs: DestinationNeeds | None,
    system: System,
) -> Iterator[PreflightCheck]:
    """Check the place where the image is going to be written."""
    folder = nearest_folder(output)
    if (closed := check_writable(folder)) is not None:
        yield closed
    if identity.kind is SourceKind.BLOCK_DEVICE:
        yield check_place(identity.path, folder, system)
    if needs is not None:
        yield _room(destination, needs)
        yield from _file_size(destination, needs)
    if destination.blank is not None:
        message = (
            "the folder of the destination is new or empty" if destination.blank else "the folder holds other files"
        )
        yield PreflightCheck("destination.blank", CheckVerdict.GO, message, facts={"blank": destination.blank})


def largest_file(filesystem: str | None) -> int | None:
    """Return the bytes of the largest file on a file system, where a limit is known that an image may reach."""
    return _LARGEST_FILE.get(filesystem or "")


def check_writable(folder: Path) -> PreflightCheck | None:
    """Say that ``folder``, which is there, cannot be written to; ``None`` where it can."""
    if os.access(folder, os.W_OK | os.X_OK):
        return None
    return PreflightCheck("destination.writable", CheckVerdict.NO_GO, f"{folder} cannot be written to")


def check_place(source: str, folder: Path, system: System | None = None) -> PreflightCheck:
    """Check that ``folder``, which is there, does not lie on the drive ``source``."""
    code = "destination.place"
    on_source = lies_on(str(folder), source, system or System())
    if on_source:
        message = f"{folder} lies on the source"
        return PreflightCheck(code, CheckVerdict.NO_GO, message, "choose a folder on another drive")
    if on_source is None:
        message = f"on which drive {folder} lies could not be determined"
        return PreflightCheck(code, CheckVerdict.UNKNOWN, message, "make sure that it is not the source")
    return PreflightCheck(code, CheckVerdict.GO, "the destination is not on the source")


def _room(destination: DestinationFacts, needs: DestinationNeeds) -> PreflightCheck:
    code, free = "destination.room", destination.free_before
    facts: dict[str, str | int | float | bool | None] = {"needed": needs.total, "free": free}
    if free is None:
        return PreflightCheck(code, CheckVerdict.UNKNOWN, "how much room is free is not known", facts=facts)
    told = f"worst case {needs.total:,} bytes, {free:,} are free"
    if needs.total <= free:
        return PreflightCheck(code, CheckVerdict.GO, f"enough room: {told}", facts=facts)
    hint = "choose a larger drive, or go on with --allow-low-space or --spill DIR"
    verdict = CheckVerdict.WARNING if needs.low_space_allowed else CheckVerdict.NO_GO
    return PreflightCheck(code, verdict, f"not enough room: {told}", hint, facts)


def _file_size(destination: DestinationFacts, needs: DestinationNeeds) -> Iterator[PreflightCheck]:
    limit = largest_file(destination.filesystem)
    if limit is None:
        return
    code = "destination.file_size"
    facts: dict[str, str | int | float | bool | None] = {"largest": needs.largest, "limit": limit}
    if needs.largest > limit:
        message = (
            f"files on {destination.filesystem} end at {limit:,} bytes, the largest one may take {needs.largest:,}"
        )
        yield PreflightCheck(code, CheckVerdict.NO_GO, message, "choose a smaller --segment-size", facts)
    else:
        message = f"files fit into the limit of {destination.filesystem}"
        yield PreflightCheck(code, CheckVerdict.GO, message, facts=facts)
