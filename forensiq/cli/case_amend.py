"""``forensiq case amend``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.case_view import show_event
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice, signing_options
from forensiq.procedures.case import amend_case

__all__ = ["command"]


@forensiq_command("amend", example='forensiq case amend cases/2026-014 --reason "warrant number added"')
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--reason", default="edited by hand", show_default=True, help="What was changed, and why.")
@click.option("--actor", metavar="NAME", help="Who changed it (default: the examiner).")
@signing_options
def command(
    run: Run, folder: Path, reason: str, actor: str | None, key: Path | None, passphrase_fd: int | None
) -> None:
    """Check case.toml after editing it by hand, and bind it as it is now."""
    event = amend_case(folder, reason, actor=actor, key=key_choice(key, passphrase_fd))
    show_event(run, event, "case.toml is valid and bound")
