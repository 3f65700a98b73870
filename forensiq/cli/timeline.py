"""``forensiq timeline``."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click

from forensiq.cli.image_options import catalogue_option, image_options, tell_rest
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.row_colours import timeline_colours
from forensiq.cli.run import Run
from forensiq.cli.text import visible
from forensiq.errors import ExitCode, UsageError
from forensiq.procedures.catalogue import open_listing
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.timeline import COLUMNS, EventForm, shown_rows, sorted_events

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
        if chosen == "body":
            if path is not None:
                raise UsageError("a body file is of whole partitions", hint="leave out PATH, or take --format csv")
            for batch in listing.body(mount_point):
                sys.stdout.buffer.write(batch)
            sys.stdout.buffer.flush()
            return tell_rest(run, listing)
        if chosen == "csv":
            sys.stdout.write(",".join(COLUMNS) + "\r\n")
        _write(sorted_events(listing, EventForm(chosen), path), EventForm(chosen))
        return tell_rest(run, listing)


def _write(batches: Iterable[list[bytes]], form: EventForm) -> None:
    sys.stdout.flush()
    out = sys.stdout.buffer
    colours = timeline_colours() if form is EventForm.TEXT else None
    end = b"\r\n" if form is EventForm.CSV else b"\n"
    for batch in batches:
        for start in range(0, len(batch), _AT_ONCE):
            rows = end.join(shown_rows(batch[start : start + _AT_ONCE], form, partial(_rendered, form))) + end
            out.write(rows if colours is None else colours(rows.decode("utf-8", "replace")).encode())
    out.flush()


def _rendered(form: EventForm, row: bytes) -> bytes:
    """Return the row of an event that came as JSON: its name needs care."""
    if form is EventForm.JSON:
        return row
    value = json.loads(row)
    text = _csv(value) if form is EventForm.CSV else _text(value)
    return text.encode("utf-8", "replace")


def _csv(value: dict[str, Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(["" if value.get(key) is None else value[key] for key in COLUMNS])
    return out.getvalue()


def _text(value: dict[str, Any]) -> str:
    name = visible(value["path"]) + (f":{visible(value['stream'])}" if value["stream"] else "")
    if value["source"] != "inode":
        name += f" ({value['source']})"
    if not value["allocated"]:
        name += "  [deleted]"
    size = "" if value["size"] is None else f"{value['size']:,}"
    when = value["time"][:19].replace("T", " ")
    return f"{when}  {value['activity']}  {size:>13}  {value['partition']}:{name}"
