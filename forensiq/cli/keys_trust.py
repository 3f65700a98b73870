"""``forensiq keys trust``."""

from __future__ import annotations

import click

from forensiq.cli.options import forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.text import visible
from forensiq.procedures.key_files import trust

__all__ = ["command"]


@forensiq_command("trust", example='forensiq keys trust lee.pem.pub --name "A. Lee"')
@click.argument("key", metavar="FILE|FINGERPRINT")
@click.option("--name", help="Whose key it is, in your words (default: the name in the file).")
def command(run: Run, key: str, name: str | None) -> None:
    """Say that a key is somebody's, after you compared its fingerprint with one that you got another way."""
    trusted = trust(key, name)
    if run.json:
        run.result(trusted)
        return
    run.field("Trusted", visible(trusted.name))
    run.field("Fingerprint", trusted.fingerprint)
    run.field("Kept in", visible(trusted.list))
