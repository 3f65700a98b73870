"""Preflight: everything that can be known before an acquisition, without reading evidence beyond headers.

Steps of :func:`run_preflight`:

1. Who uses the drive, whether it belongs to a RAID or a pool, whether it can be held read-only.
2. What its headers say: encryption, RAID and LVM signatures, data that looks random where a header should be.
3. What the drive says of itself: hidden areas, SMART, TRIM.
4. Where the image is to go: not on the source, room for the worst case, files not too large for the file system.

Nothing is written and nothing is set. An acquisition runs the same steps on what it has already opened.
"""

from __future__ import annotations

from pathlib import Path

from forensiq.analysis.window import Medium
from forensiq.devices.commands import Runner, run_command
from forensiq.devices.health import drive_health
from forensiq.devices.inventory import whole_device_of
from forensiq.devices.system import System
from forensiq.devices.usage import usage_of
from forensiq.model.preflight import CheckVerdict, PreflightCheck, PreflightResult
from forensiq.model.source import SourceIdentity, SourceKind
from forensiq.procedures.environment import destination_facts
from forensiq.procedures.preflight_destination import DestinationNeeds, check_destination
from forensiq.procedures.preflight_drive import check_health, check_protection, check_size, check_usage
from forensiq.procedures.preflight_headers import check_headers

__all__ = ["DestinationNeeds", "run_preflight"]


def run_preflight(
    identity: SourceIdentity,
    medium: Medium | None,
    *,
    output: Path | None = None,
    needs: DestinationNeeds | None = None,
    probe: bool = True,
    held: bool = False,
    problems: tuple[PreflightCheck, ...] = (),
    runner: Runner = run_command,
    system: System | None = None,
) -> PreflightResult:
    """Return go or no-go for acquiring the source with ``identity`` to the path stem ``output``.

    ``medium`` is the open source; ``None`` where it could not be opened. ``needs`` is what the image takes at most.
    Without ``probe`` no command is sent to the drive. ``held`` says that the caller holds the drive (a
    :class:`~forensiq.devices.write_block.WriteGuard`), which is then no use of it by others. ``problems`` are what the
    caller has found before.
    """
    system = system or System()
    checks = list(problems)
    usage = health = None
    if identity.kind is SourceKind.BLOCK_DEVICE:
        usage = usage_of(identity.path, system, ask=not held)
        health = drive_health(identity, whole_device_of(identity.path, system), probe=probe, runner=runner)
        checks += check_usage(usage)  # 1
        checks.append(check_protection(identity.path, held=held, system=system))
    if medium is not None:
        checks += check_headers(medium)  # 2
    if health is not None:
        checks += check_health(health)  # 3
    checks += check_size(identity, health)
    destination = None
    if output is not None:
        destination = destination_facts(output, needs.total if needs else None)
        checks += check_destination(identity, output, destination, needs, system)  # 4
    against = [check.message for check in checks if check.verdict is CheckVerdict.NO_GO]
    return PreflightResult(
        source=identity,
        verdict="no_go" if against else "go",
        summary=_summary(against, checks),
        checks=tuple(checks),
        usage=usage,
        health=health,
        destination=destination,
    )


def _summary(against: list[str], checks: list[PreflightCheck]) -> str:
    if against:
        more = f" (and {len(against) - 1} more)" if len(against) > 1 else ""
        return f"no-go: {against[0]}{more}"
    warnings = sum(check.verdict is CheckVerdict.WARNING for check in checks)
    unknown = sum(check.verdict is CheckVerdict.UNKNOWN for check in checks)
    parts = [f"{warnings} to know" if warnings else "", f"{unknown} could not be determined" if unknown else ""]
    rest = ", ".join(part for part in parts if part)
    return f"go: nothing stands in the way{f'; {rest}' if rest else ''}"
