"""``forensiq acquire``: from a drive to a verified image with its record."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from forensiq.cli.acquire_options import (
    case_choice,
    case_fields,
    case_options,
    from_image,
    image_options,
    place,
    reading_options,
    request_fields,
)
from forensiq.cli.acquire_run import run_acquisition
from forensiq.cli.acquire_view import show_plan
from forensiq.cli.options import OFFSET, PATH, STEM, forensiq_command
from forensiq.cli.run import Run
from forensiq.errors import ExitCode
from forensiq.procedures.acquire import acquire, plan_only
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.scope_choice import parse_scope

__all__ = ["command"]


@forensiq_command(
    "acquire", example='sudo forensiq acquire /dev/sdb evidence/ITEM-1 --case-number 2026-014 --examiner "A. Lee"'
)
@click.argument("source")
@click.argument("output", type=STEM, required=False)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["e01", "raw"]),
    default="e01",
    show_default=True,
    help="Expert Witness (EnCase 6) or raw.",
)
@from_image
@image_options
@case_fields
@case_options
@click.option("--offset", type=OFFSET, help="Start of the part to acquire (bytes, or sectors as 63s).")
@click.option("--length", type=OFFSET, help="Length of the part to acquire.")
@click.option(
    "--partition", type=click.IntRange(0), metavar="N", help="Acquire only partition N of 'forensiq partitions'."
)
@click.option(
    "--scope", metavar="SCOPE", help="Take only: allocated, partition:N[,N…], or paths:FILE (one path in each line)."
)
@click.option(
    "--since",
    type=PATH,
    metavar="RECORD",
    help="Store only what changed since this acquisition (X.record.json), as a QCOW2 file beside its image.",
)
@click.option("--blocker", metavar="TEXT", help="External write blocker: make, model, serial number; for the record.")
@click.option("--no-probe", is_flag=True, help="Send no identify or SMART command to the drive.")
@click.option("--allow-writable", is_flag=True, help="Go on where the kernel's read-only flag cannot be set.")
@click.option("--restore-flag", is_flag=True, help="Put the kernel's read-only flag back as it was, at the end.")
@reading_options
@click.option("--resume", is_flag=True, help="Go on with an acquisition that was interrupted; start one else.")
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be done, write nothing.")
def command(run: Run, source: str, output: Path | None, format_: str, **given: Any) -> ExitCode:  # noqa: ANN401
    """Copy SOURCE (a drive, a file, an image, or - for standard input) into an image OUTPUT.

    OUTPUT is a path without ending: evidence/ITEM-1 becomes evidence/ITEM-1.E01 and so on, with digests, record, log
    and map beside it.
    """
    case = case_choice(given)
    request = AcquireRequest(
        source=source,
        output=place(output, case),
        format="delta" if given["since"] is not None else format_,
        case=case,
        scope=parse_scope(given["scope"]) if given["scope"] is not None else None,
        **request_fields(given),
    )
    if given["dry_run"]:
        plan = plan_only(request)
        run.result(plan) if run.json else show_plan(run, plan)
        return ExitCode.OK
    if source == "-":
        run.note("Receiving the stream on standard input; the image is made when it has ended.")
    return run_acquisition(run, partial(acquire, request))
