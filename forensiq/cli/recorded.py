"""Commands that look at evidence write into the ledger of a case: ``--case DIR``, and who signs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from forensiq.cli.options import PATH
from forensiq.cli.run import Run
from forensiq.cli.signing_options import key_choice, signing_options
from forensiq.cli.text import visible
from forensiq.errors import ExitCode, UsageError
from forensiq.procedures.case_around import case_around

__all__ = ["recorded"]

_CASE = click.option("--case", "case_folder", type=PATH, metavar="DIR", help="Case folder: record this in its ledger.")
_NOT_ASKED = ("case_folder", "key", "passphrase_fd", "json", "quiet", "progress")

Work = Callable[..., ExitCode | None]


def recorded(evidence: str) -> Callable[[Work], Work]:
    """Add ``--case`` and the options of signing to a command, and write its start and its end into that ledger.

    ``evidence`` is the parameter that names the image or source. Stands next to the function, under all its options.
    Without ``--case`` nothing is written; a note says so where the evidence lies in a case folder.
    """

    def decorate(function: Work) -> Work:
        @wraps(function)
        def work(
            run: Run,
            *,
            case_folder: Path | None,
            key: Path | None,
            passphrase_fd: int | None,
            **arguments: Any,  # noqa: ANN401
        ) -> ExitCode | None:
            place = Path(arguments[evidence])
            if case_folder is None:
                if key is not None or passphrase_fd is not None:
                    raise UsageError("a key signs the ledger of a case", hint="name the case with --case DIR")
                if around := case_around(place):
                    run.note(f"not recorded: {visible(str(around))} is a case (--case records this in its ledger)")
                return function(run, **arguments)
            # Loaded only here: a listing without a case does without the cryptography.
            from forensiq.procedures.evidence_step import evidence_step

            context = click.get_current_context()
            options = _asked(context, evidence)
            signing = key_choice(key, passphrase_fd)
            name = str(context.command.name)
            with evidence_step(case_folder, name, evidence, place, options, key=signing) as run.step:
                code = function(run, **arguments) or ExitCode.OK
                run.record(exit_code=int(code))
            return code

        decorated: Work = _CASE(signing_options(work))
        return decorated

    return decorate


def _asked(context: click.Context, evidence: str) -> dict[str, object]:
    """Return what was given on the command line, by the names that people type, without how it is shown."""
    asked: dict[str, object] = {}
    for parameter in context.command.params:
        name = str(parameter.name)
        typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if typed and name != evidence and name not in _NOT_ASKED:
            shown = max(parameter.opts, key=len).lstrip("-") if isinstance(parameter, click.Option) else name
            asked[shown] = context.params[name]
    return asked
