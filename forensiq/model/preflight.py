"""Go or no-go before an acquisition: what was looked at, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct, field

from forensiq.model.device import DeviceUsage
from forensiq.model.health import DriveHealth
from forensiq.model.records import DestinationFacts
from forensiq.model.source import SourceIdentity

__all__ = ["CheckVerdict", "PreflightCheck", "PreflightResult"]


class CheckVerdict(Enum):
    """What one check means for the acquisition; only the last one stands in its way."""

    GO = "go"
    UNKNOWN = "unknown"
    WARNING = "warning"
    NO_GO = "no_go"


class PreflightCheck(Struct, frozen=True):
    """One check: a stable ``code``, a sentence for people, the facts behind it, and what to do about it."""

    code: str
    verdict: CheckVerdict
    message: str
    hint: str | None = None
    facts: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


class PreflightResult(Struct, frozen=True):
    """All checks of one source and, where named, one destination.

    ``usage`` and ``health`` are ``None`` for a source that is no block device.
    """

    source: SourceIdentity
    verdict: str
    summary: str
    checks: tuple[PreflightCheck, ...]
    usage: DeviceUsage | None = None
    health: DriveHealth | None = None
    destination: DestinationFacts | None = None
    schema: str = "forensiq/preflight/1"

    @property
    def go(self) -> bool:
        """Whether nothing stands in the way."""
        return self.verdict == "go"

    def reasons(self, verdict: CheckVerdict) -> tuple[str, ...]:
        """Return the messages of the checks with that verdict."""
        return tuple(check.message for check in self.checks if check.verdict is verdict)

    def facts(self) -> Mapping[str, str]:
        """Return the checks for a record: code → verdict and message."""
        return {check.code: f"{check.verdict.value}: {check.message}" for check in self.checks}
