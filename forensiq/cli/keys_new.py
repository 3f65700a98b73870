"""``forensiq keys new``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice
from forensiq.procedures.key_files import new_key

__all__ = ["command"]


@forensiq_command("new", example='forensiq keys new ~/lee.pem --name "A. Lee, Digital Forensics Unit"')
@click.argument("file", type=PATH)
@click.option("--name", required=True, help="Who the key is for; stands in what it signs.")
@click.option("--passphrase-fd", type=int, metavar="N", help="Read the passphrase from file descriptor N.")
def command(run: Run, file: Path, name: str, passphrase_fd: int | None) -> None:
    """Make an Ed25519 key in FILE, encrypted with a passphrase; FILE.pub to give away; FILE.p12 for PDF signatures.

    The passphrase is asked for, or comes from --passphrase-fd or FORENSIQ_PASSPHRASE.
    """
    made = new_key(file, name, key_choice(file, passphrase_fd, confirm=True))
    if run.json:
        run.result(made)
        return
    run.field("Key", f"{made.path}   keep it secret; without its passphrase it is of no use")
    run.field("Public half", f"{made.path}.pub   give it to those who check what you sign")
    run.field("For PDFs", f"{made.certificate}   self-signed: shows integrity, not identity")
    run.field("Fingerprint", made.fingerprint)
    run.print(f"  Next         export FORENSIQ_KEY={made.path}")
