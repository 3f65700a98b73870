"""``forensiq unmount``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.image_options import MOUNT_POINT
from forensiq.cli.options import forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.text import visible
from forensiq.procedures.mounting import unmount_image

__all__ = ["command"]


@forensiq_command("unmount", example="forensiq unmount /mnt/item-1")
@click.argument("directory", type=MOUNT_POINT, metavar="DIR")
def command(run: Run, directory: Path) -> None:
    """End a mount, also one that a dead process left behind."""
    stale = unmount_image(directory)
    if run.json:
        run.result({"schema": "forensiq/unmount/1", "directory": str(directory), "left_behind": stale})
    else:
        how = ", left behind by a process that died," if stale else ""
        run.print(f"  {visible(str(directory))}{how} is unmounted")
