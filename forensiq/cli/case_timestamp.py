"""``forensiq case timestamp``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.case_view import finish_first
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice, signing_options
from forensiq.cli.text import visible
from forensiq.procedures.case_seal import timestamp_seal

__all__ = ["command"]


@forensiq_command("timestamp", example="forensiq case timestamp cases/2026-014 --request-out seal.tsq")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--seal", "number", metavar="N", help="Which seal (default: the newest).")
@click.option("--url", help="Address of the time stamp authority (RFC 3161 over HTTP).")
@click.option("--request-out", type=PATH, metavar="FILE.tsq", help="Without network: write the request.")
@click.option("--response", type=PATH, metavar="FILE.tsr", help="Without network: take the answer.")
@click.option("--ca", "roots", type=PATH, metavar="FILE.pem", help="Root certificates of the authority.")
@signing_options
def command(
    run: Run,
    folder: Path,
    number: str | None,
    url: str | None,
    request_out: Path | None,
    response: Path | None,
    roots: Path | None,
    key: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Add a time stamp to a seal, from an authority on the network or in two steps without."""
    choice = key_choice(key, passphrase_fd)
    finish_first(run, folder, choice)
    done = timestamp_seal(
        folder,
        number=number,
        url=url,
        request_out=request_out,
        response=response,
        roots=roots,
        key=choice,
    )
    if run.json:
        run.result(done)
    elif done.timestamp is None:
        run.field("Request", f"{visible(str(done.request))}: bring it to an authority")
        run.print(f"  Next         forensiq case timestamp {visible(str(folder))} --response FILE.tsr")
    else:
        known = "checked against the roots you gave" if done.timestamp.trusted else "not checked: give --ca"
        run.field("Time stamp", f"{done.timestamp.at}, seal {done.seal}")
        run.field("Authority", f"{visible(done.timestamp.authority)} ({known})")
