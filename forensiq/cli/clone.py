"""``forensiq clone``: a drive or an image to a drive, sector by sector."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from forensiq.cli.acquire_options import (
    DEFAULT_BLOCKS,
    case_choice,
    case_fields,
    case_options,
    from_image,
    reading_options,
    request_fields,
)
from forensiq.cli.acquire_run import run_acquisition
from forensiq.cli.acquire_view import show_plan
from forensiq.cli.options import HASH, OFFSET, PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.text import printable
from forensiq.errors import ExitCode, UsageError
from forensiq.procedures.acquire import plan_only
from forensiq.procedures.acquire_request import AcquireRequest, CloneRequest
from forensiq.procedures.clone import clone, record_stem

__all__ = ["command"]


@forensiq_command("clone", example="sudo forensiq clone evidence/ITEM-1.E01 /dev/sdc --confirm-target S3Z9NB0K123456")
@click.argument("source")
@click.argument("target")
@click.option(
    "--excess",
    type=click.Choice(["keep", "fill"]),
    default="keep",
    show_default=True,
    help="What lies behind the medium on a larger target: left as it is, or filled with zeros.",
)
@click.option("--confirm-target", metavar="ID", help="Serial number of a target that holds data (or its path).")
@click.option("--allow-truncated", is_flag=True, help="Accept a smaller target, or one with another sector size.")
@click.option(
    "--record", type=PATH, metavar="STEM", help="Where record, log and map go.  [default: clone-TARGET-TIME here]"
)
@click.option(
    "--hash",
    "hashes",
    type=HASH,
    multiple=True,
    metavar="ALG",
    help="md5, sha1, sha256, sha512 or blake3; may be repeated.  [default: md5 and sha256]",
)
@click.option(
    "--block-hash-size",
    default=DEFAULT_BLOCKS,
    show_default=True,
    metavar="SIZE|none",
    help="SHA-256 of every block of this size, so that damage can be told from what is intact.",
)
@click.option(
    "--retries",
    type=click.IntRange(0, 1000),
    default=1,
    show_default=True,
    help="How often a sector that cannot be read is tried again.",
)
@from_image
@case_fields
@case_options
@click.option("--offset", type=OFFSET, help="Start of the part to clone (bytes, or sectors as 63s).")
@click.option("--length", type=OFFSET, help="Length of the part to clone.")
@reading_options
@click.option("--no-verify", is_flag=True, help="Do not read the target back and verify it.")
@click.option("--blocker", metavar="TEXT", help="External write blocker: make, model, serial number; for the record.")
@click.option("--no-probe", is_flag=True, help="Send no identify or SMART command to the source.")
@click.option("--allow-writable", is_flag=True, help="Go on where the source's read-only flag cannot be set.")
@click.option("--restore-flag", is_flag=True, help="Put the source's read-only flag back as it was, at the end.")
@click.option("--resume", is_flag=True, help="Go on with a clone that was interrupted; start one else.")
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be done, write nothing.")
def command(run: Run, source: str, target: str, record: Path | None, **given: Any) -> ExitCode:  # noqa: ANN401
    """Copy SOURCE (a drive, a file or an image) to TARGET (a drive or a file), every sector at its own address.

    Everything on TARGET that the source covers is overwritten. It is read back and compared at the end.
    """
    case = case_choice(given)
    if case is not None and record is not None:
        raise UsageError("the case folder gives the place: leave out --record", output=str(record))
    stem = Path() if case is not None else record or record_stem(target, resume=given["resume"])
    request = AcquireRequest(
        source=source,
        output=stem,
        format="clone",
        compression="none",
        case=case,
        clone=CloneRequest(
            target,
            excess=given["excess"],
            allow_truncated=given["allow_truncated"],
            confirm=given["confirm_target"],
            ask=_ask if sys.stdin.isatty() and not run.json else None,
        ),
        **request_fields(given),
    )
    if given["dry_run"]:
        plan = plan_only(request)
        run.result(plan) if run.json else show_plan(run, plan)
        return ExitCode.OK
    return run_acquisition(run, partial(clone, request))


def _ask(question: str) -> str | None:
    answer: str = click.prompt(printable(question), default="", show_default=False, err=True)
    return answer or None
