"""What a machine can do for this program."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from forensiq.model.records import ClockFacts, ToolFacts

__all__ = ["Ability", "MachineCheck", "MachineReport"]


class Ability(Enum):
    """Whether something works here. ``LIMITED``: forensiq works without, and does less."""

    OK = "ok"
    LIMITED = "limited"
    MISSING = "missing"


class MachineCheck(Struct, frozen=True):
    """One ability: ``found`` says what is there; ``consequence`` what does not work without it; ``hint`` what to do."""

    section: str
    name: str
    ability: Ability
    found: str
    consequence: str | None = None
    hint: str | None = None


class MachineReport(Struct, frozen=True):
    """All checks. ``ready``: images can be made and verified here. ``drives``: by this user from drives, too."""

    ready: bool
    drives: bool
    summary: str
    tool: ToolFacts
    clock: ClockFacts
    checks: tuple[MachineCheck, ...]
    schema: str = "forensiq/doctor/1"
