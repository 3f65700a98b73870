"""``forensiq doctor``."""

from __future__ import annotations

from forensiq.cli.options import forensiq_command
from forensiq.cli.run import Run
from forensiq.model.machine import Ability, MachineCheck
from forensiq.procedures.doctor import examine_machine

__all__ = ["command"]

_MARK = {Ability.OK: "ok", Ability.LIMITED: "limited", Ability.MISSING: "MISSING"}


@forensiq_command("doctor", example="forensiq doctor")
def command(run: Run) -> None:
    """What this machine can do: bindings, programs, rights, write blocking, FUSE.

    Changes nothing. What is missing is said with its consequence and with what to do.
    """
    report = examine_machine()
    if run.json:
        run.result(report)
        return
    run.print(f"forensiq {report.tool.version} on {report.tool.operating_system}")
    section = None
    for check in report.checks:
        if check.section != section:
            section = check.section
            run.print()
            run.print(section.capitalize(), style="bold")
        _tell(run, check)
    run.print()
    run.print(f"Clock: {report.clock.method}, local time is UTC{report.clock.local_utc_offset}")
    run.print(f"Code:  SHA-256 {report.tool.code_sha256}")
    run.print()
    run.print(report.summary[:1].upper() + report.summary[1:], style="bold")


def _tell(run: Run, check: MachineCheck) -> None:
    run.field(_MARK[check.ability], f"{check.name}: {check.found}", room=9)
    if check.ability is not Ability.OK:
        if check.consequence:
            run.field("without it:", check.consequence, indent=11, room=12)
        if check.hint:
            run.field("to do:", check.hint, indent=11, room=12)
