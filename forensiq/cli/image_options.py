"""Options of every command that looks into an image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from forensiq.cli.options import PATH, SIZE
from forensiq.cli.run import Run
from forensiq.cli.text import count
from forensiq.errors import ExitCode
from forensiq.procedures.listing import Listing

__all__ = ["MOUNT_POINT", "catalogue_option", "image_options", "tell_rest"]

F = TypeVar("F", bound=Callable[..., object])

MOUNT_POINT = click.Path(path_type=Path, readable=False)
"""A folder to mount on; one that a dead process left behind cannot be read."""

_MOST_TOLD = 20


def image_options(function: F) -> F:
    """Add what says how to open the image: format, sector size, further folders for its segments."""
    for option in (
        click.option(
            "--segments-in", type=PATH, multiple=True, metavar="DIR", help="A further folder with segments. Repeatable."
        ),
        click.option("--sector-size", type=SIZE, help="Sector size of the medium, for raw images of 4Kn drives."),
        click.option(
            "--image-format", metavar="F", help="Format of the image, where the content does not tell: raw, e01, vmdk …"
        ),
    ):
        function = option(function)
    return function


catalogue_option = click.option(
    "--catalogue",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Keep what is found in this file, and answer from it while the image is unchanged.",
)


def tell_rest(run: Run, listing: Listing) -> ExitCode:
    """Say on stderr what could not be looked into, and return the exit code that goes with it."""
    if listing.answered is not None:
        run.note(f"from the catalogue, as found at {listing.answered}; the image is unchanged")
        run.record(from_catalogue=listing.answered)
    elif listing.forgotten:
        run.note("the image is not as it was when the catalogue was made: it was looked into anew")
    for state in listing.not_listed:
        place = "whole medium" if not state.volume.index else f"partition {state.volume.index}"
        run.warn(f"{place} is not in this listing: {state.reason}")
    for loss in listing.losses[:_MOST_TOLD]:
        run.warn(f"{loss.where}: {loss.message}")
    if len(listing.losses) > _MOST_TOLD:
        run.warn(f"and {count(len(listing.losses) - _MOST_TOLD, 'more place')} that could not be read")
    return ExitCode.UNREADABLE_SECTORS if listing.losses else ExitCode.OK
