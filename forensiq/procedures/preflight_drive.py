"""Preflight of the drive: its uses, its protection, its size, and what it says of itself."""

from __future__ import annotations

import os
from collections.abc import Iterator

from forensiq.devices.system import System
from forensiq.model.device import DeviceUsage
from forensiq.model.health import Answer, DriveHealth, Outcome
from forensiq.model.preflight import CheckVerdict, PreflightCheck
from forensiq.model.source import SourceIdentity

__all__ = ["check_health", "check_protection", "check_size", "check_usage"]

_GO, _UNKNOWN, _WARNING, _NO_GO = (
    CheckVerdict.GO,
    CheckVerdict.UNKNOWN,
    CheckVerdict.WARNING,
    CheckVerdict.NO_GO,
)


def check_usage(usage: DeviceUsage) -> Iterator[PreflightCheck]:
    """Say who uses the drive, what it is a member of, and what could not be looked at."""
    for use in usage.uses:
        hint = "unmount it, switch its swap off, or stop what is built on it"
        facts = {"device": use.device, "kind": use.kind.value}
        yield PreflightCheck("source.in_use", _NO_GO, str(use), hint, facts)
    if not usage.uses:
        yield PreflightCheck("source.in_use", _GO, "not mounted, no swap, nothing built on it, nobody writes to it")
    for device, what in usage.members.items():
        message = f"{device} is a member of {what}: one drive may be only a part of the data"
        yield PreflightCheck("source.member", _WARNING, message, "acquire every member, before anything assembles it")
    for each in usage.not_checked:
        yield PreflightCheck("source.not_checked", _UNKNOWN, f"not checked: {each}")


def check_protection(path: str, *, held: bool, system: System) -> PreflightCheck:
    """Say whether the kernel holds the drive read-only, or could."""
    code = "source.write_block"
    name = system.require_name(path)
    if system.read(system.block(name) / "ro") == "1":
        return PreflightCheck(code, _GO, "the kernel's read-only flag is set", facts={"read_only": True})
    facts = {"read_only": False}
    if held:
        return PreflightCheck(code, _WARNING, "the kernel's read-only flag is not set", facts=facts)
    if os.geteuid() != 0:
        message = "the kernel's read-only flag is not set, and only root can set it"
        return PreflightCheck(code, _NO_GO, message, "run as root", facts)
    return PreflightCheck(code, _GO, "the kernel's read-only flag is not set yet; acquire sets it", facts=facts)


def check_size(identity: SourceIdentity, health: DriveHealth | None) -> Iterator[PreflightCheck]:
    """Compare the size that the kernel gives with the capacity that the drive says it has."""
    facts: dict[str, str | int | float | bool | None] = {"size": identity.size, "sector_size": identity.sector_size}
    if identity.size == 0:
        hint = "a card reader without a card, or a drive that does not start"
        yield PreflightCheck("source.size", _NO_GO, "the source has 0 bytes: there is nothing to acquire", hint, facts)
        return
    capacity = health.smart.values.get("capacity_bytes") if health else None
    if isinstance(capacity, int) and capacity != identity.size:
        message = f"the kernel gives {identity.size:,} bytes, the drive says that it has {capacity:,}"
        yield PreflightCheck("source.size", _WARNING, message, facts=facts | {"capacity": capacity})


def check_health(health: DriveHealth) -> Iterator[PreflightCheck]:
    """Turn the drive's answers into checks."""
    for code, name, answer in (("source.hpa", "HPA", health.hpa), ("source.dco", "DCO", health.dco)):
        yield _hidden(code, name, answer)
    smart = health.smart
    verdict = {Outcome.FOUND: _WARNING, Outcome.NONE: _GO, Outcome.UNDETERMINED: _UNKNOWN}[smart.outcome]
    told = "could not be determined: " if smart.outcome is Outcome.UNDETERMINED else ""
    hint = "read it once, gently and soon: a failing drive may not start again" if verdict is _WARNING else None
    yield PreflightCheck("source.smart", verdict, f"SMART: {told}{smart.detail}", hint, smart.values)
    trim = health.trim
    verdict = {Outcome.FOUND: _WARNING, Outcome.NONE: _GO, Outcome.UNDETERMINED: _UNKNOWN}[trim.outcome]
    yield PreflightCheck("source.trim", verdict, f"TRIM: {trim.detail}")


def _hidden(code: str, name: str, answer: Answer) -> PreflightCheck:
    if answer.outcome is Outcome.FOUND:
        hint = "hidden sectors are not acquired; forensiq never changes a drive to show them"
        return PreflightCheck(code, _WARNING, f"{name} found: {answer.detail}", hint, answer.values)
    if answer.outcome is Outcome.NONE:
        return PreflightCheck(code, _GO, f"no {name}: {answer.detail}", facts=answer.values)
    return PreflightCheck(code, _UNKNOWN, f"{name} could not be determined: {answer.detail}", facts=answer.values)
