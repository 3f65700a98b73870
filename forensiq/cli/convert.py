"""``forensiq convert``: another format, the same media bytes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from msgspec.structs import replace

from forensiq.cli.acquire_options import (
    case_choice,
    case_fields,
    case_options,
    from_image,
    image_options,
    place,
    request_fields,
)
from forensiq.cli.acquire_run import run_acquisition
from forensiq.cli.options import STEM, forensiq_command
from forensiq.cli.run import Run
from forensiq.errors import ExitCode
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.convert import CONVERT_FORMATS, convert, default_compression

__all__ = ["command"]


@forensiq_command("convert", example="forensiq convert evidence/ITEM-1.E01 work/ITEM-1 --format raw")
@click.argument("image")
@click.argument("output", type=STEM, required=False)
@click.option("--format", "format_", type=click.Choice(CONVERT_FORMATS), required=True, help="The new format.")
@click.option("--resume", is_flag=True, help="Go on after an interruption; formats other than e01 and raw begin anew.")
@from_image
@image_options
@case_fields
@case_options
def command(
    run: Run,
    image: str,
    output: Path | None,
    format_: str,
    resume: bool,
    **given: Any,  # noqa: ANN401
) -> ExitCode:
    """Store the medium of IMAGE in another format; digests are carried over and checked.

    OUTPUT is a path without ending for e01 and raw, else the file (out.vmdk). vmdk grows with what it holds
    (monolithicSparse), vmdk-stream is compressed (streamOptimized); vhd grows, vhd-fixed does not; qcow2 is compressed
    with --compression fast or best. iso is for media with sectors of 2048 bytes. Case fields are those of IMAGE, unless
    others are given. With --case and --item the step is recorded in that case, which gives the place if there is no
    OUTPUT.
    """
    case = case_choice(given)
    if case is not None and output is not None:
        case = replace(case, keeps_output=True)
    request = AcquireRequest(
        source=image,
        output=output if output is not None else place(output, case),
        format=format_,
        case=case,
        **request_fields(given | {"compression": _compression(format_, given["compression"]), "resume": resume}),
    )
    return run_acquisition(run, partial(convert, request))


def _compression(image_format: str, given: str) -> str:
    source = click.get_current_context().get_parameter_source("compression")
    return default_compression(image_format) if source is ParameterSource.DEFAULT else given
