"""``forensiq keys show``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.text import visible
from forensiq.procedures.keys import show_keys

__all__ = ["command"]


@forensiq_command("show", example="forensiq keys show ~/lee.pem")
@click.argument("file", type=PATH, required=False)
def command(run: Run, file: Path | None) -> None:
    """Show a key's name and fingerprint; without FILE, all keys that you trust (JSON Lines)."""
    keys = show_keys(file)
    if run.json:
        if file is not None:
            run.result(keys[0])
        else:
            run.results(keys)
        return
    if file is None and not keys:
        run.note("You trust no keys yet: forensiq keys trust FILE.pub --name NAME")
    for key in keys:
        trusted = f"trusted as {visible(key.trusted_as)}" if key.trusted_as else "not in your list of trusted keys"
        run.print(f"  {key.fingerprint}  {visible(key.name)}  ({trusted})")
