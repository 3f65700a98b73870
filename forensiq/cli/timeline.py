"""``forensiq timeline``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import click

from forensiq.cli.image_options import catalogue_option, image_options, tell_rest
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import visible
from forensiq.errors import ExitCode, UsageError
from forensiq.procedures.catalogue import open_listing
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.timeline import COLUMNS, Event, event_csv, event_json, sorted_events

__all__ = ["command"]

_AT_ONCE = 2000


@forensiq_command("timeline", example="forensiq timeline evidence/ITEM-1.E01 --format csv")
@click.argument("image", type=PATH)
@click.argument("path", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "body", "csv", "jsonl"]),
    help="Default: text, or jsonl with --json. body: as 'fls -m', in the order of the walk, for mactime.",
)
@click.option("--mount-point", default="/", show_default=True, metavar="TEXT", help="What body-file paths begin with.")
@click.option("--partition", type=int, metavar="N", help="Only this partition.")
@catalogue_option
@image_options
@recorded("image")
def command(
    run: Run,
    image: Path,
    path: str | None,
    form: str | None,
    mount_point: str,
    partition: int | None,
    catalogue: Path | None,
    image_format: str | None,
    sector_size: int | None,
    segments_in: tuple[Path, ...],
) -> ExitCode:
    """Show when files were modified (m), accessed (a), changed (c) and born (b), sorted, in UTC."""
    reference = image_reference(image, image_format=image_format, sector_size=sector_size, segments_in=segments_in)
    chosen = form or ("jsonl" if run.json else "text")
    with open_listing(reference, partition=partition, catalogue=catalogue) as listing:
        lines: Iterator[str]
        if chosen == "body":
            if path is not None:
                raise UsageError("a body file is of whole partitions", hint="leave out PATH, or take --format csv")
            for batch in listing.body(mount_point):
                sys.stdout.buffer.write(batch)
            sys.stdout.buffer.flush()
            return tell_rest(run, listing)
        if chosen == "csv":
            heading = ",".join(COLUMNS) + "\r\n"
            lines = chain((heading,), (event_csv(event) for event in sorted_events(listing, path)))
        elif chosen == "jsonl":
            lines = (event_json(event) for event in sorted_events(listing, path))
        else:
            lines = (_text(event) for event in sorted_events(listing, path))
        _write(lines)
        return tell_rest(run, listing)


def _write(lines: Iterator[str]) -> None:
    out = sys.stdout.buffer
    sys.stdout.flush()
    held: list[str] = []
    for line in lines:
        held.append(line)
        if len(held) >= _AT_ONCE:
            out.write("".join(held).encode("utf-8", "replace"))
            held.clear()
    out.write("".join(held).encode("utf-8", "replace"))
    out.flush()


def _text(event: Event) -> str:
    value = json.loads(event[2])
    name = visible(value["path"]) + (f":{visible(value['stream'])}" if value["stream"] else "")
    if value["source"] != "inode":
        name += f" ({value['source']})"
    if not value["allocated"]:
        name += "  [deleted]"
    size = "" if value["size"] is None else f"{value['size']:,}"
    return f"{event[1][:19].replace('T', ' ')}  {value['activity']}  {size:>13}  {value['partition']}:{name}\n"
