"""``forensiq cat``."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import click

from forensiq.cli.image_options import image_options
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.errors import UsageError
from forensiq.model.jsonable import to_json
from forensiq.procedures.listing import Listing
from forensiq.procedures.partitions import image_reference
from forensiq.procedures.reading import find_stream, read_stream

__all__ = ["command"]


@forensiq_command("cat", example="forensiq cat evidence/ITEM-1.E01 /Users/lee/notes.txt")
@click.argument("image", type=PATH)
@click.argument("path", required=False)
@click.option("--inode", type=int, metavar="N", help="The file with this inode, instead of a path.")
@click.option("--attribute", metavar="T-I", help="With --inode: the stream, as The Sleuth Kit numbers it (128-1).")
@click.option("--deleted", is_flag=True, help="The deleted file of that name.")
@click.option("--slack", is_flag=True, help="Go on to the end of the last block.")
@click.option("--partition", type=int, metavar="N", help="In this partition.")
@image_options
@recorded("image")
def command(
    run: Run,
    image: Path,
    path: str | None,
    inode: int | None,
    attribute: str | None,
    deleted: bool,
    slack: bool,
    partition: int | None,
    image_format: str | None,
    sector_size: int | None,
    segments_in: tuple[Path, ...],
) -> None:
    """Write the bytes of a file to stdout; a named stream as PATH:STREAM.

    With --json the bytes stay where they are and their digests are told.
    """
    if path is not None and inode is not None:
        raise UsageError("name a path or an inode, not both")
    reference = image_reference(image, image_format=image_format, sector_size=sector_size, segments_in=segments_in)
    with Listing(reference, partition=partition) as listing:
        found = find_stream(listing, path, inode=inode, attribute=attribute, deleted=deleted)
        pieces = read_stream(listing, found, slack=slack)
        if run.json:
            md5, sha256, total = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
            for piece in pieces:
                md5.update(piece)
                sha256.update(piece)
                total += len(piece)
            value = to_json(found.entry)
            assert isinstance(value, dict)
            run.result(value | {"bytes": total, "digests": {"md5": md5.hexdigest(), "sha256": sha256.hexdigest()}})
            return
        sys.stdout.flush()
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
