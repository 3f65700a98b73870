"""``forensiq case new``."""

from __future__ import annotations

from pathlib import Path

import click

from forensiq.cli.case_view import show_event
from forensiq.cli.options import PATH, forensiq_command
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice, signing_options
from forensiq.cli.text import visible
from forensiq.errors import UsageError
from forensiq.procedures.case import new_case

__all__ = ["command"]


@forensiq_command(
    "new", example='forensiq case new cases/2026-014 --number 2026-014 --examiner "A. Lee" --template criminal'
)
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--number", required=True, help="Case number.")
@click.option("--examiner", required=True, metavar="NAME", help="Who examines.")
@click.option("--template", default="default", show_default=True, help="default, criminal, corporate or incident.")
@click.option("--title", help="What the case is about.")
@click.option("--agency", help="Agency, laboratory or company.")
@click.option("--requester", help="Who asked for the examination.")
@click.option(
    "--set", "fields", multiple=True, metavar="FIELD=TEXT", help="Any other field of case.toml: fields.offence=…"
)
@signing_options
def command(
    run: Run,
    folder: Path,
    number: str,
    examiner: str,
    template: str,
    title: str | None,
    agency: str | None,
    requester: str | None,
    fields: tuple[str, ...],
    key: Path | None,
    passphrase_fd: int | None,
) -> None:
    """Open a case folder in DIR, from a template."""
    values = {"title": title, "agency": agency, "requester": requester}
    given = {name: value for name, value in values.items() if value is not None}
    for each in fields:
        name, sign, text = each.partition("=")
        if not sign:
            raise UsageError(f"--set {each!r}: write FIELD=TEXT", hint="--set examiner.role='Examiner'")
        given[name.strip()] = text
    event = new_case(folder, number, examiner, template=template, values=given, key=key_choice(key, passphrase_fd))
    show_event(run, event, f"Case {visible(number)} opened in {visible(str(folder))}")
    if not run.json:
        run.print(f"  Next         forensiq acquire SOURCE --case {visible(str(folder))} --item ID")
