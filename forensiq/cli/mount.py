"""``forensiq mount``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from forensiq.cli.image_options import MOUNT_POINT, image_options
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import visible
from forensiq.errors import ForensiqError
from forensiq.procedures.mounting import mount_image, prepare, read_far_ahead, wait_until_mounted
from forensiq.procedures.partitions import image_reference

__all__ = ["command"]


@forensiq_command("mount", example="forensiq mount evidence/ITEM-1.E01 /mnt/item-1")
@click.argument("image", type=PATH)
@click.argument("directory", type=MOUNT_POINT, metavar="DIR")
@click.option("--deleted", is_flag=True, help="Deleted files too, in a folder beside each volume.")
@click.option("--allow-other", is_flag=True, help="Other users may look too (FUSE must allow it).")
@click.option("--foreground", is_flag=True, help="Stay until it is unmounted.")
@image_options
@recorded("image")
def command(
    run: Run,
    image: Path,
    directory: Path,
    deleted: bool,
    allow_other: bool,
    foreground: bool,
    image_format: str | None,
    sector_size: int | None,
    segments_in: tuple[Path, ...],
) -> None:
    """Show an image as files, read-only: DIR/media.raw is the medium, DIR/partition-N the tree of a volume."""
    if foreground:
        reference = image_reference(image, image_format=image_format, sector_size=sector_size, segments_in=segments_in)
        mount_image(reference, directory, deleted=deleted, allow_other=allow_other)
        return
    prepare(directory)
    arguments = [
        sys.executable,
        "-m",
        "forensiq",
        "mount",
        "--foreground",
        "--quiet",
        str(image.absolute()),
        str(directory.absolute()),
    ]
    arguments += ["--deleted"] * deleted + ["--allow-other"] * allow_other
    arguments += ["--image-format", image_format] if image_format else []
    arguments += ["--sector-size", str(sector_size)] if sector_size else []
    for folder in segments_in:
        arguments += ["--segments-in", str(folder.absolute())]
    process = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    if not wait_until_mounted(directory, process):
        process.kill()
        _, said = process.communicate()
        text = said.decode("utf-8", "replace").strip().removeprefix("forensiq: ")
        raise ForensiqError(text or f"{directory} could not be mounted")
    read_far_ahead(directory)
    if run.json:
        run.result({"schema": "forensiq/mount/1", "directory": str(directory), "media": str(directory / "media.raw")})
        return
    run.print(f"  {visible(str(image))} is shown read-only in {visible(str(directory))}")
    run.print(f"  End it with: forensiq unmount {visible(str(directory))}")
