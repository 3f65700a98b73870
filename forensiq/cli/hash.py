"""``forensiq hash``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from forensiq.cli.image_options import catalogue_option, image_options, tell_rest
from forensiq.cli.options import HASH, PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import count, visible
from forensiq.errors import ExitCode
from forensiq.model.digest import HashAlgorithm
from forensiq.procedures.catalogue import open_listing
from forensiq.procedures.hashing import HashRun, hash_files
from forensiq.procedures.partitions import image_reference

__all__ = ["command"]


@forensiq_command("hash", example="forensiq hash evidence/ITEM-1.E01 --known RDS_2026.03.1_modern_minimal.db")
@click.argument("image", type=PATH)
@click.option("--hash", "algorithms", type=HASH, multiple=True, help="Repeatable; default md5 and sha256.")
@click.option(
    "--known",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="A set of known files: a list of digests, or an NSRL RDSv3 database, read in place. Repeatable.",
)
@click.option("--unknown-only", is_flag=True, help="Leave out what a known set has.")
@click.option("--partition", type=int, metavar="N", help="Only this partition.")
@catalogue_option
@image_options
@recorded("image")
def command(
    run: Run,
    image: Path,
    algorithms: tuple[HashAlgorithm, ...],
    known: tuple[Path, ...],
    unknown_only: bool,
    partition: int | None,
    catalogue: Path | None,
    image_format: str | None,
    sector_size: int | None,
    segments_in: tuple[Path, ...],
) -> ExitCode:
    """Digest every file of an image, deleted ones that can be read included, and say which are known.

    A known file is one whose content is in a set; that says nothing about whether it is good.
    """
    reference = image_reference(image, image_format=image_format, sector_size=sector_size, segments_in=segments_in)
    chosen = algorithms or (HashAlgorithm.MD5, HashAlgorithm.SHA256)
    counts = HashRun()
    with open_listing(reference, partition=partition, catalogue=catalogue) as listing:
        for entry in hash_files(listing, reference, counts, algorithms=chosen, known=known):
            if unknown_only and entry.get("known"):
                continue
            if run.json:
                sys.stdout.write(json.dumps(entry) + "\n")
                continue
            shown = entry["digests"] or {}
            name = visible(entry["path"]) + (f":{visible(entry['stream'])}" if entry["stream"] else "")
            mark = "" if entry["allocated"] else "  [deleted]"
            sets = f"  [known: {', '.join(map(visible, entry['known']))}]" if entry.get("known") else ""
            digests = " ".join(shown.get(each.value, "could not be read") for each in chosen)
            sys.stdout.write(f"{digests}  {entry['partition']}:{name}{mark}{sets}\n")
        sys.stdout.flush()
        listing.losses.extend(loss for loss in counts.losses if loss not in listing.losses)
        if known:
            share = f" ({100 * counts.known / counts.files:.1f} %)" if counts.files else ""
            run.note(f"{count(counts.files, 'stream')}, {counts.known:,} of them known{share}")
        else:
            run.note(f"{count(counts.files, 'stream')} with content")
        return tell_rest(run, listing)
