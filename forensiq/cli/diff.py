"""``forensiq diff``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import count, size, visible
from forensiq.errors import ExitCode
from forensiq.procedures.diff import DiffResult, FileChange, diff_images, lines_of
from forensiq.procedures.progress import Progress

__all__ = ["command"]

_MOST_SHOWN = 200
_CHANGES = {"changed": "changed", "only_in_a": "only in A", "only_in_b": "only in B"}


@forensiq_command("diff", example="forensiq diff evidence/MONDAY.E01 evidence/FRIDAY.E01")
@click.argument("image", type=PATH, metavar="A")
@click.argument("other", type=PATH, metavar="B")
@recorded("image")
def command(run: Run, image: Path, other: Path) -> ExitCode:
    """Say what changed between two images of a drive: sectors, files, metadata, free space.

    A file that is "only in A" or "only in B" has the sectors that differ in that image alone. Ends with exit code 0
    where both media are the same, and with 4 where they are not.
    """
    progress = Progress(0)
    with run.stoppable() as stop, run.watch(progress):
        result = diff_images(image, other, progress=progress, stop=stop)
    run.record(identical=result.identical, differing_bytes=result.differing_bytes, summary=result.summary)
    if run.json:
        run.results(lines_of(result))
    else:
        _show(run, result)
    return ExitCode.OK if result.identical else ExitCode.VERIFICATION


def _show(run: Run, result: DiffResult) -> None:
    run.print("IDENTICAL" if result.identical else "DIFFERENT", style="bold green" if result.identical else "bold red")
    run.print(f"{result.summary[0].upper()}{result.summary[1:]}.")
    for name, image in zip("AB", result.images, strict=True):
        run.print(f"  {name}  {visible(image)}")
    for side, kinds in result.bytes_by_kind.items():
        for kind, length in kinds.items():
            run.print(f"    {size(length):>11}  in {side.upper()}: {kind.replace('_', ' ')}")
    _files(run, result.files)
    for loss in result.losses[:20]:
        run.warn(f"{loss.where}: {loss.message}")


def _files(run: Run, files: tuple[FileChange, ...]) -> None:
    if not files:
        return
    run.print(f"\n  Files, folders and metadata: {len(files):,}", style="bold")
    for each in files[:_MOST_SHOWN]:
        hit = each.b or each.a
        assert hit is not None
        name = visible(each.path) + (f":{visible(each.stream)}" if each.stream else "")
        kind = "" if hit.kind == "content" else f" ({hit.kind.replace('_', ' ')})"
        run.print(f"    {_CHANGES[each.change]:>9}  {each.partition}:{name}{kind}")
    if len(files) > _MOST_SHOWN:
        run.print(f"    … and {count(len(files) - _MOST_SHOWN, 'more')}: --json lists all")
