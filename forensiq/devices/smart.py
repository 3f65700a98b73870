"""What ``smartctl --json`` says of a drive.

Source: smartctl(8), "EXIT STATUS" (a bit mask: 1 and 2 mean that nothing was learned) and the keys of its JSON output.
Everything in it comes from the drive and may be anything.
"""

from __future__ import annotations

import json

from forensiq.devices.commands import Ended
from forensiq.model.health import Answer, Outcome

__all__ = ["smart_answer"]

_NOT_LEARNED = 0b11
_TROUBLE = {5: "reallocated sectors", 187: "uncorrectable errors", 197: "pending sectors", 198: "unreadable sectors"}
_HUGE = 1 << 48


def smart_answer(ended: Ended) -> Answer:
    """Return whether the drive reports trouble of itself."""
    if ended.missing:
        return _undetermined("smartctl is not installed")
    if ended.timed_out or ended.exit_status is None:
        return _undetermined("the drive or its bridge did not answer in time")
    try:
        report = json.loads(ended.output)
    except (ValueError, RecursionError):
        return _undetermined("smartctl gave no answer that can be read")
    if ended.exit_status & _NOT_LEARNED:
        return _undetermined(_message(report) or "smartctl could not ask the drive")
    if _at(report, "smart_support", "available") is False:
        return _undetermined("the drive has no SMART")
    if _at(report, "smart_support", "enabled") is False:
        return _undetermined("SMART is switched off in the drive, and is not switched on")
    passed = _at(report, "smart_status", "passed")
    values = _values(report)
    troubles = ["the drive says that it is failing"] if passed is False else []
    troubles += [f"{count} {name}" for name, count in _counts(report).items() if count]
    if troubles:
        return Answer(Outcome.FOUND, "; ".join(troubles), values)
    if passed is not True:
        return Answer(Outcome.UNDETERMINED, "the drive does not say how it is", values)
    return Answer(Outcome.NONE, "the drive reports no trouble", values)


def _undetermined(detail: str) -> Answer:
    return Answer(Outcome.UNDETERMINED, detail)


def _at(report: object, *keys: str) -> object:
    for key in keys:
        report = report.get(key) if isinstance(report, dict) else None
    return report


def _number(report: object, *keys: str) -> int | None:
    value = _at(report, *keys)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _HUGE else None


def _message(report: object) -> str | None:
    messages = _at(report, "smartctl", "messages")
    if not isinstance(messages, list) or not messages:
        return None
    text = _at(messages[0], "string")
    return f"smartctl: {text[:200]}" if isinstance(text, str) else None


def _counts(report: object) -> dict[str, int]:
    found: dict[str, int] = {}
    table = _at(report, "ata_smart_attributes", "table")
    for row in table if isinstance(table, list) else []:
        identifier, raw = _number(row, "id"), _number(row, "raw", "value")
        if identifier in _TROUBLE and raw is not None:
            found[_TROUBLE[identifier]] = raw & 0xFFFFFFFF  # upper bytes hold other counts on some drives
    log = "nvme_smart_health_information_log"
    for key, name in (("critical_warning", "critical warning bits"), ("media_errors", "media errors")):
        value = _number(report, log, key)
        if value is not None:
            found[name] = value
    grown = _number(report, "scsi_grown_defect_list")
    return found if grown is None else {**found, "grown defects": grown}


def _values(report: object) -> dict[str, str | int | float | bool | None]:
    values: dict[str, str | int | float | bool | None] = {
        name.replace(" ", "_"): count for name, count in _counts(report).items()
    }
    places = {
        "power_on_hours": ("power_on_time", "hours"),
        "temperature_c": ("temperature", "current"),
        "capacity_bytes": ("user_capacity", "bytes"),
        "used_percent": ("nvme_smart_health_information_log", "percentage_used"),
    }
    for name, keys in places.items():
        value = _number(report, *keys)
        if value is not None:
            values[name] = value
    passed = _at(report, "smart_status", "passed")
    return values | ({"passed": passed} if isinstance(passed, bool) else {})
