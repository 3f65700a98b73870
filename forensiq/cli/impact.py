"""``forensiq impact``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.image_options import image_options
from forensiq.cli.options import PATH, SIZE, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import count, exact_size, size, visible
from forensiq.errors import ExitCode, UsageError
from forensiq.model.extent import Extent
from forensiq.procedures.impact import DamageSource, FileHit, ImpactRecord, damage_of_image, impact_of
from forensiq.procedures.partitions import image_reference

__all__ = ["command"]

_MOST_SHOWN = 200
_KINDS = {
    "content": "content of files",
    "slack": "slack behind files",
    "directory": "folders",
    "inode": "metadata of files",
    "file_system_metadata": "metadata of the file system",
    "unallocated": "free space",
    "allocated_without_file": "in use, but by no file that was found",
    "unpartitioned": "unpartitioned space",
    "partition_table": "partition tables",
    "not_supported": "a volume whose files cannot be listed",
    "encrypted": "an encrypted volume",
    "behind_file_system": "behind the end of the file system",
    "not_determined": "not determined",
}


@forensiq_command("impact", example="forensiq impact evidence/ITEM-1.E01")
@click.argument("image", type=PATH)
@click.option(
    "--map", "map_file", type=PATH, metavar="FILE", help="A GNU ddrescue map; default: X.map beside the image."
)
@click.option(
    "--verification", type=PATH, metavar="FILE", help="The JSON of 'forensiq verify', for damage found later."
)
@click.option(
    "--range", "ranges", nargs=2, type=SIZE, multiple=True, metavar="OFFSET LENGTH", help="A range. Repeatable."
)
@image_options
@recorded("image")
def command(
    run: Run,
    image: Path,
    map_file: Path | None,
    verification: Path | None,
    ranges: tuple[tuple[int, int], ...],
    image_format: str | None,
    sector_size: int | None,
    segments_in: tuple[Path, ...],
) -> ExitCode:
    """Say which files, metadata or free space the unreadable or damaged sectors fall in.

    Run it again after a rescue to see what came back.
    """
    reference = image_reference(image, image_format=image_format, sector_size=sector_size, segments_in=segments_in)
    if any(length <= 0 for _, length in ranges):
        raise UsageError("a range needs a length")
    sources = damage_of_image(reference, map_file=map_file, verification=verification)
    if ranges:
        given = tuple(Extent(offset, length) for offset, length in ranges)
        sources = (*sources, DamageSource("command line", given))
    record = impact_of(reference, sources)
    run.record(damaged_bytes=record.damaged_bytes, files_hit=record.files_hit, summary=record.summary)
    if run.json:
        run.result(record)
    else:
        _show(run, record)
    return ExitCode.UNREADABLE_SECTORS if record.losses else ExitCode.OK


def _show(run: Run, record: ImpactRecord) -> None:
    if record.partial_by_scope is not None:
        run.warn(visible(record.partial_by_scope))
    if not record.damaged_bytes:
        known = ", ".join(source.origin for source in record.sources) or "no map, no list of errors in the image"
        run.paragraph(f"No unreadable or damaged range is known ({known}).")
        return
    origins = ", ".join(source.origin for source in record.sources)
    run.paragraph(
        f"{exact_size(record.damaged_bytes)} in {count(record.damaged_ranges, 'range')}, known from: {origins}"
    )
    for kind, length in record.bytes_by_kind.items():
        run.print(f"    {size(length):>11}  {_KINDS.get(kind, kind)}")
    contents = [hit for hit in record.files if hit.allocated and hit.kind in ("content", "directory", "inode")]
    _list(run, "Files and folders that are affected", contents)
    _list(run, "Deleted files whose former blocks are affected", [hit for hit in record.files if not hit.allocated])
    for loss in record.losses:
        run.warn(f"{loss.where}: {loss.message}")


def _list(run: Run, title: str, hits: list[FileHit]) -> None:
    if not hits:
        return
    run.print(f"\n  {title}: {len(hits):,}", style="bold")
    for hit in sorted(hits, key=lambda each: -(each.share or 0))[:_MOST_SHOWN]:
        name = visible(hit.path) + (f":{visible(hit.stream)}" if hit.stream else "")
        share = "its inode" if hit.kind == "inode" else "folder" if hit.kind == "directory" else _share(hit)
        run.print(f"    {share:>10}  {hit.partition}:{name}")
    if len(hits) > _MOST_SHOWN:
        run.print(f"    … and {len(hits) - _MOST_SHOWN:,} more: --json lists all")


def _share(hit: FileHit) -> str:
    if hit.share is None:
        return "slack"
    percent = 100 * hit.share
    return "all of it" if percent >= 100 else f"{percent:.1f} %" if percent >= 0.1 else "< 0.1 %"
