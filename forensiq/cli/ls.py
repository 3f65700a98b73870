"""``forensiq ls``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from forensiq.cli.image_options import catalogue_option, image_options, tell_rest
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.row_colours import heading, listing_colours
from forensiq.cli.run import Run
from forensiq.cli.text import count, visible
from forensiq.errors import ExitCode, UsageError
from forensiq.model.finding import Severity
from forensiq.model.jsonable import to_json
from forensiq.model.listing import FileEntry, Recovery
from forensiq.model.listing_text import SIGNS, listing_row
from forensiq.procedures.catalogue import open_listing
from forensiq.procedures.listing import Listing, entries_of
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.second_opinion import second_opinion

__all__ = ["command"]

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
        if run.json:
            # Lines are checked to be plain ASCII JSON where they come in; they are passed on as they are.
            sys.stdout.flush()
            for batch in listing.batches(path, recurse=recursive, deleted=deleted):
                sys.stdout.buffer.write(batch)
            sys.stdout.buffer.flush()
        else:
            _Page(run, listing).show(path, recurse=recursive, deleted=deleted)
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


class _Page:
    """Rows for people, with a heading for each partition and a count at the end."""

    def __init__(self, run: Run, listing: Listing) -> None:
        self._run = run
        self._listing = listing
        self._names = {
            fs.volume.index: (fs.volume.contents[0].name if fs.volume.contents else "file system")
            for fs in listing.file_systems
        }
        self._current: int | None = None
        self._shown = self._gone = 0
        self._colours = listing_colours()

    def show(self, path: str | None, *, recurse: bool, deleted: bool) -> None:
        if (path is None or not path.strip("/")) and not deleted:
            for fs, batch in self._listing.rows(recurse=recurse):
                if fs is None:
                    self._entries(batch)
                    continue
                self._heading(fs.volume.index or 0, fs.volume.offset if fs.pool_offset is None else fs.pool_offset)
                self._rows(batch)
        else:
            for batch in self._listing.batches(path, recurse=recurse, deleted=deleted):
                self._entries(batch)
        sys.stdout.flush()
        self._run.note(f"{count(self._shown, 'entry', 'entries')}, {self._gone:,} of them deleted")

    def _rows(self, batch: bytes) -> None:
        """Rows that are plain go out as they are: they were checked to be printable where they came in."""
        if batch.startswith(b"{") or b"\n{" in batch:
            for row in batch.splitlines(keepends=True):
                if row.startswith(b"{"):
                    self._entries(row)
                else:
                    self._shown += 1
                    sys.stdout.write(self._colours(row.decode()))
            return
        self._shown += batch.count(b"\n")
        sys.stdout.write(self._colours(batch.decode()))

    def _entries(self, batch: bytes) -> None:
        lines: list[str] = []
        for entry in entries_of(batch):
            self._heading(entry.partition, entry.partition_offset)
            lines.append(self._colours(_line(entry) + "\n"))
            self._shown += 1
            self._gone += not entry.allocated
        sys.stdout.write("".join(lines))

    def _heading(self, partition: int, offset: int) -> None:
        if partition != self._current:
            self._current = partition
            place = "Whole medium" if partition == 0 else f"Partition {partition}"
            name = self._names.get(partition, "file system")
            sys.stdout.write(heading(f"{place} · {name} · from byte {offset:,}") + "\n")


def _line(entry: FileEntry) -> str:
    sign = SIGNS.get(entry.type, "?")
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
    return listing_row(sign, size, when, name, gone=not entry.allocated)
