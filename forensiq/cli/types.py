"""``forensiq types``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from forensiq.cli.image_options import catalogue_option, image_options, tell_rest
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import count, visible
from forensiq.errors import ExitCode
from forensiq.procedures.catalogue import open_listing
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.search import types_of_image

__all__ = ["command"]


@forensiq_command("types", example="forensiq types evidence/ITEM-1.E01 --mismatch")
@click.argument("image", type=PATH)
@click.option("--mismatch", is_flag=True, help="Only files whose content contradicts their ending.")
@click.option("--partition", type=int, metavar="N", help="Only this partition.")
@catalogue_option
@image_options
@recorded("image")
def command(
    run: Run,
    image: Path,
    mismatch: bool,
    partition: int | None,
    catalogue: Path | None,
    image_format: str | None,
    sector_size: int | None,
    segments_in: tuple[Path, ...],
) -> ExitCode:
    """Tell what files are by their first bytes, and which do not fit their ending."""
    reference = image_reference(image, image_format=image_format, sector_size=sector_size, segments_in=segments_in)
    odd = 0
    with open_listing(reference, partition=partition, catalogue=catalogue) as listing:
        for entry in types_of_image(listing, mismatches=mismatch):
            odd += entry["mismatch"]
            if run.json:
                sys.stdout.write(json.dumps(entry) + "\n")
                continue
            name = visible(entry["path"]) + (f":{visible(entry['stream'])}" if entry["stream"] else "")
            mark = "!" if entry["mismatch"] else " "
            sys.stdout.write(f"{mark} {entry['content_type'] or 'not known':40} {entry['partition']}:{name}\n")
        sys.stdout.flush()
        run.note(f"{count(odd, 'file')} whose content contradicts the ending")
        return tell_rest(run, listing)
