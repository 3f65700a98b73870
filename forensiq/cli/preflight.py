"""``forensiq preflight``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from forensiq.cli.options import PATH, SIZE, forensiq_command
from forensiq.cli.recorded import recorded
from forensiq.cli.run import Run
from forensiq.cli.text import number, printable, size, visible
from forensiq.errors import ExitCode
from forensiq.model.preflight import CheckVerdict, PreflightCheck, PreflightResult
from forensiq.procedures.preflight_request import PreflightRequest, preflight

__all__ = ["command"]

_MARK = {
    CheckVerdict.NO_GO: ("NO-GO", "bold red"),
    CheckVerdict.WARNING: ("know", "yellow"),
    CheckVerdict.UNKNOWN: ("unknown", "yellow"),
    CheckVerdict.GO: ("ok", None),
}


@forensiq_command("preflight", example="sudo forensiq preflight /dev/sdb evidence/ITEM-1")
@click.argument("source")
@click.argument("output", type=PATH, required=False)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["e01", "raw"]),
    default="e01",
    show_default=True,
    help="Format of the image that is planned.",
)
@click.option("--segment-size", type=SIZE, help="Largest size of a file (E01: 1500MiB; raw: one file).")
@click.option("--no-probe", is_flag=True, help="Send no identify or SMART command to the drive.")
@click.option("--allow-low-space", is_flag=True, help="Too little room for the worst case is no reason against.")
@recorded("source")
def command(
    run: Run,
    source: str,
    output: Path | None,
    format_: str,
    segment_size: int | None,
    no_probe: bool,
    allow_low_space: bool,
) -> ExitCode:
    """Go or no-go for acquiring SOURCE to OUTPUT, with reasons; reads nothing but headers.

    Exit code 6 means no-go. The drive is asked about hidden areas and its health with commands that set nothing.
    """
    request = PreflightRequest(
        source=source,
        output=output,
        format=format_,
        segment_size=segment_size,
        probe=not no_probe,
        allow_low_space=allow_low_space,
    )
    result = preflight(request)
    run.record(go=result.go, summary=result.summary)
    if run.json:
        run.result(result)
    else:
        _tell(run, result)
    return ExitCode.OK if result.go else ExitCode.REFUSED


def _tell(run: Run, result: PreflightResult) -> None:
    who = result.source
    name = " ".join(visible(part) for part in (who.vendor, who.model, who.serial) if part)
    sectors = f"{number(who.size // who.sector_size)} sectors of {who.sector_size} bytes"
    run.print(" · ".join(part for part in (visible(who.path), name, size(who.size), sectors) if part))
    run.print()
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), expand=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for verdict in _MARK:
        for check in result.checks:
            if check.verdict is verdict:
                _add(table, check)
    run.print(table)
    run.print()
    run.print(result.summary[:1].upper() + result.summary[1:], style="bold")


def _add(table: Table, check: PreflightCheck) -> None:
    mark, style = _MARK[check.verdict]
    table.add_row(f"  {mark}", Text(printable(check.message)), style=style)
    if check.hint and check.verdict is not CheckVerdict.GO:
        table.add_row("", Text(printable(check.hint)))
