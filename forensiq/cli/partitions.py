"""``forensiq partitions``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.image_options import image_options
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import count, exact_size, size, visible
from forensiq.model.finding import Severity
from forensiq.procedures.partitions import PartitionRow, image_reference, list_partitions

__all__ = ["command"]

_SCHEMES = {
    "gpt": "GUID partition table (GPT)",
    "mbr": "master boot record (MBR)",
    "apm": "Apple partition map",
    "bsd": "BSD disk label",
    "sun": "Sun label",
}


@forensiq_command("partitions", example="forensiq partitions evidence/ITEM-1.E01")
@click.argument("image", type=PATH)
@image_options
@recorded("image")
def command(
    run: Run, image: Path, image_format: str | None, sector_size: int | None, segments_in: tuple[Path, ...]
) -> None:
    """Show the partition tables of an image, what each volume holds, and the space that belongs to none."""
    reference = image_reference(image, image_format=image_format, sector_size=sector_size, segments_in=segments_in)
    listing = list_partitions(reference)
    if run.json:
        run.results(listing.rows)
        for finding in listing.findings:
            if finding.severity is not Severity.INFO:
                run.warn(finding.message)
        return
    tables = " and ".join(_SCHEMES.get(scheme, scheme) for scheme in listing.schemes) or "no partition table"
    run.paragraph(
        f"{visible(str(image))}: {exact_size(listing.size)}, {tables}, sectors of {listing.sector_size} bytes"
    )
    for finding in listing.findings:
        if finding.severity is not Severity.INFO:
            run.paragraph(f"Warning: {finding.message}", style="yellow")
    run.print()
    run.table(
        [("No", "right"), ("First sector", "right"), ("Size", "right"), "Holds", "Label", "Type"],
        [_cells(row) for row in listing.rows],
    )
    volumes = [row for row in listing.rows if row.index is not None]
    remarks = [(row, row.reason) for row in volumes if row.reason]
    remarks += [(row, finding.message) for row in volumes for finding in row.findings]
    if remarks:
        run.print()
    for row, text in remarks:
        run.paragraph(f"{'Whole medium' if row.index == 0 else f'Partition {row.index}'}: {visible(text)}")
    listable = sum(row.listable is True for row in volumes)
    run.print(f"\n  {count(listable, 'volume')} can be listed: forensiq ls {visible(str(image))} --partition N")


def _cells(row: PartitionRow) -> list[str]:
    holds = row.filesystem or row.container or ""
    if row.encryption:
        holds = f"{row.encryption} (encrypted)"
    if row.also:
        holds += " + " + ", ".join(row.also)
    if row.index is not None and not holds:
        holds = "not recognised"
    kind = row.type if row.name in (None, row.type) else f"{row.type} “{row.name}”"
    return [
        "" if row.index is None else str(row.index),
        f"{row.first_lba:,}",
        size(row.length),
        visible(holds),
        visible(row.label or ""),
        visible(kind),
    ]
