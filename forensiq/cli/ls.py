"""``forensiq ls``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from forensiq.cli.image_options import catalogue_option, image_options, tell_rest
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import count, visible
from forensiq.errors import ExitCode, UsageError
from forensiq.model.finding import Severity
from forensiq.model.jsonable import to_json
from forensiq.model.listing import FileEntry, Recovery
from forensiq.procedures.catalogue import open_listing
from forensiq.procedures.listing import Listing, entries_of
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.second_opinion import second_opinion

__all__ = ["command"]

_SIGNS = {"directory": "d", "symlink": "l", "file": "-", "virtual_directory": "V", "virtual_file": "V", "fifo": "p",
          "socket": "s", "character_device": "c", "block_device": "b", "whiteout": "w"}  # fmt: skip
_STATES = {
    Recovery.RECOVERABLE: "deleted, recoverable",
    Recovery.PARTLY_OVERWRITTEN: "deleted, partly overwritten",
    Recovery.NAME_ONLY: "deleted, only the name is left",
    Recovery.UNKNOWN: "deleted",
}


@forensiq_command("ls", example="forensiq ls evidence/ITEM-1.E01 -r --deleted")
@click.argument("image", type=PATH)
@click.argument("path", required=False)
@click.option("-r", "--recursive", is_flag=True, help="Folders within folders too.")
@click.option("--deleted", is_flag=True, help="Only deleted and orphan entries.")
@click.option("--partition", type=int, metavar="N", help="Only this partition, by its number in 'partitions'.")
@click.option("--second-opinion", "second", is_flag=True, help="Compare APFS volumes with libfsapfs too.")
@catalogue_option
@image_options
@recorded("image")
def command(
    run: Run,
    image: Path,
    path: str | None,
    recursive: bool,
    deleted: bool,
    partition: int | None,
    second: bool,
    catalogue: Path | None,
    image_format: str | None,
    sector_size: int | None,
    segments_in: tuple[Path, ...],
) -> ExitCode:
    """List the files of an image, deleted ones included, in every partition or at PATH.

    With --json one object a line; sizes in bytes, times in UTC.
    """
    if catalogue is not None and (not recursive or path is not None):
        raise UsageError("a catalogue keeps whole listings", hint="add -r and leave out PATH, or leave out --catalogue")
    reference = image_reference(image, image_format=image_format, sector_size=sector_size, segments_in=segments_in)
    with open_listing(reference, partition=partition, catalogue=catalogue) as listing:
        batches = listing.batches(path, recurse=recursive, deleted=deleted)
        if run.json:
            # Lines are checked to be plain ASCII JSON where they come in; they are passed on as they are.
            sys.stdout.flush()
            for batch in batches:
                sys.stdout.buffer.write(batch)
            sys.stdout.buffer.flush()
        else:
            _show(run, listing, (entry for batch in batches for entry in entries_of(batch)))
        differ = second and _compare(run, listing)
        code = tell_rest(run, listing)
        return ExitCode.VERIFICATION if differ else code


def _compare(run: Run, listing: Listing) -> bool:
    """Tell where libfsapfs says something else; return whether anything contradicts the listing."""
    opinion = second_opinion(listing)
    if not opinion.file_systems:
        run.warn("no second opinion: there is a second reader for APFS only")
        return False
    weighty = [each for each in opinion.differences if each.severity is not Severity.INFO]
    if run.json:
        for each in opinion.differences:
            sys.stdout.write(json.dumps({"schema": "forensiq/finding/1", "finding": to_json(each)}) + "\n")
    for each in weighty[:20]:
        run.warn(f"{visible(each.where or '')}: {visible(each.message)}")
    compressed = len(opinion.differences) - len(weighty)
    run.note(
        f"second opinion: {count(opinion.entries, 'entry', 'entries')} compared with libfsapfs, "
        f"{len(weighty):,} differ, {compressed:,} compressed"
    )
    run.record(second_opinion_compared=opinion.entries, second_opinion_differences=len(weighty))
    return bool(weighty)


def _show(run: Run, listing: Listing, entries: Iterable[FileEntry]) -> None:
    names = {
        fs.volume.index: (fs.volume.contents[0].name if fs.volume.contents else "file system")
        for fs in listing.file_systems
    }
    current: int | None = None
    shown = gone = 0
    lines: list[str] = []
    for entry in entries:
        if entry.partition != current:
            current = entry.partition
            place = "Whole medium" if current == 0 else f"Partition {current}"
            lines.append(f"{place} · {names.get(current, 'file system')} · from byte {entry.partition_offset:,}\n")
        lines.append(_line(entry) + "\n")
        shown += 1
        gone += not entry.allocated
        if len(lines) >= 500:
            sys.stdout.write("".join(lines))
            lines.clear()
    sys.stdout.write("".join(lines))
    sys.stdout.flush()
    run.note(f"{count(shown, 'entry', 'entries')}, {gone:,} of them deleted")


def _line(entry: FileEntry) -> str:
    sign = _SIGNS.get(entry.type, "?")
    size = "" if entry.size is None else f"{entry.size:,}"
    when = entry.mtime[:16].replace("T", " ") if entry.mtime else ""
    name = visible(entry.path) + (f":{visible(entry.stream)}" if entry.stream else "")
    if entry.link_target:
        name += f" -> {visible(entry.link_target)}"
    if not entry.allocated:
        state = _STATES.get(entry.recovery, "deleted") if entry.recovery else "deleted"
        name += f"  [{state}]"
    elif entry.metadata_allocated is False:
        name += "  [orphan]" if entry.orphan else "  [inode not allocated]"
    if entry.recovery is Recovery.NAME_ONLY:
        size = when = ""
    return f"  {sign}{' ' if entry.allocated else '*'} {size:>13}  {when:16}  {name}"
