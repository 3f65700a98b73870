"""What was asked of a drive itself, and what it answered: three values, never two."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct, field

__all__ = ["Answer", "AskedCommand", "DriveHealth", "Outcome"]


class Outcome(Enum):
    """Answers to a question. That nothing could be found out is an answer of its own, and never reads as "none"."""

    FOUND = "found"
    NONE = "none"
    UNDETERMINED = "could_not_determine"


class Answer(Struct, frozen=True):
    """One answer; ``detail`` is a sentence for people, ``values`` the numbers behind it."""

    outcome: Outcome
    detail: str
    values: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


class AskedCommand(Struct, frozen=True):
    """One program that was run because it sends commands to the drive: when, what, and how it ended.

    ``exit_status`` is ``None`` where it was not there or did not end in time; ``note`` says which.
    """

    at: str
    command: tuple[str, ...]
    exit_status: int | None
    elapsed_s: float
    timed_out: bool = False
    note: str = ""


class DriveHealth(Struct, frozen=True):
    """Read-only questions to a drive.

    ``hpa``: sectors hidden in a host protected area. ``dco``: sectors hidden by a device configuration overlay.
    ``smart``: trouble that the drive reports of itself. ``trim``: the drive may erase what a file system gave back, so
    a second read may differ. ``commands`` are all that were sent, in order.
    """

    hpa: Answer
    dco: Answer
    smart: Answer
    trim: Answer
    commands: tuple[AskedCommand, ...] = ()
