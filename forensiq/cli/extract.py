"""``forensiq extract``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.image_options import image_options
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import count, exact_size, visible
from forensiq.errors import ExitCode, UsageError
from forensiq.procedures.extract import extract_files
from forensiq.procedures.partitions import image_reference

__all__ = ["command"]


@forensiq_command("extract", example="forensiq extract evidence/ITEM-1.E01 /Users out/users")
@click.argument("image", type=PATH)
@click.argument("places", nargs=-1, required=True, metavar="[PATH] DIR")
@click.option("--deleted", is_flag=True, help="Deleted files too, in a folder of their own.")
@click.option("--partition", type=int, metavar="N", help="Only from this partition.")
@image_options
@recorded("image")
def command(
    run: Run,
    image: Path,
    places: tuple[str, ...],
    deleted: bool,
    partition: int | None,
    image_format: str | None,
    sector_size: int | None,
    segments_in: tuple[Path, ...],
) -> ExitCode:
    """Write the files of an image (or those at PATH) into a new folder DIR, with a manifest of their digests.

    Names are made safe, links are listed and not made, times are kept.
    """
    if len(places) > 2:
        raise UsageError("expected [PATH] DIR after the image")
    reference = image_reference(image, image_format=image_format, sector_size=sector_size, segments_in=segments_in)
    path = places[0] if len(places) == 2 else None
    summary = extract_files(reference, Path(places[-1]), path=path, partition=partition, deleted=deleted)
    run.record(Path(summary.manifest), files=summary.written, manifest_sha256=summary.manifest_sha256)
    if run.json:
        run.result(summary)
    else:
        run.print(f"  Written    {count(summary.written, 'file')}, {exact_size(summary.bytes)}")
        if summary.incomplete:
            run.print(f"  Incomplete {count(summary.incomplete, 'file')} could not be read to the end", style="yellow")
        if summary.not_written:
            run.print(
                f"  Listed     {count(summary.not_written, 'entry', 'entries')} without content: links, names alone"
            )
        run.print(f"  Manifest   {visible(summary.manifest)}")
        run.print(f"             SHA-256 {summary.manifest_sha256}")
    return ExitCode.UNREADABLE_SECTORS if summary.incomplete else ExitCode.OK
