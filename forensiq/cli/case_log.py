"""``forensiq case log``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.text import visible
from forensiq.model.jsonable import to_json
from forensiq.procedures.case import read_ledger

__all__ = ["command"]


@forensiq_command("log", example="forensiq case log cases/2026-014")
@click.argument("folder", metavar="DIR", type=PATH)
def command(run: Run, folder: Path) -> None:
    """Show the ledger line by line (JSON Lines with --json), as it stands; `case verify` says whether it is intact."""
    rows = read_ledger(folder)
    if run.json:
        run.results(rows)
        return
    for row in rows:
        if row.entry is None:
            run.print(f"  line {row.line}: not an entry: {row.problem}")
            continue
        entry = row.entry
        run.print(
            f"  {entry.seq:>5}  {entry.utc}  {visible(entry.action)}  {visible(entry.actor)}  {row.fingerprint[:16]}"
        )
        for facts in (entry.parameters, entry.result, entry.digests):
            for name, value in facts.items():
                shown = value if isinstance(value, str) else json.dumps(to_json(value), ensure_ascii=False)
                run.field(f"{visible(name)}:", visible(shown), indent=9, room=len(visible(name)) + 2)
