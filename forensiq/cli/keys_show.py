"""``forensiq keys show``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice
from forensiq.cli.text import visible
from forensiq.procedures.key_files import show_keys

__all__ = ["command"]


@forensiq_command("show", example="forensiq keys show ~/lee.pem")
@click.argument("file", type=PATH, required=False)
@click.option("--passphrase-fd", type=int, metavar="N", help="Of a PKCS#12 file: read it from file descriptor N.")
def command(run: Run, file: Path | None, passphrase_fd: int | None) -> None:
    """Show a key's name and fingerprint, or those of a PKCS#12 file; without FILE, all keys that you trust."""
    keys = show_keys(file, key_choice(file, passphrase_fd))
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
        run.field("Key", f"{visible(key.name)} ({trusted})")
        run.field("Fingerprint", key.fingerprint)
        if key.certificate is not None:
            run.field("Certificate", visible(key.certificate))
