"""Read-only questions to a drive: hidden areas, SMART, TRIM. Nothing that sets anything is ever sent.

Commands, and what they send: ``hdparm -N`` (READ NATIVE MAX ADDRESS or GET NATIVE MAX ADDRESS), ``hdparm
--dco-identify`` (DEVICE CONFIGURATION IDENTIFY), ``smartctl -i -H -A`` (IDENTIFY, SMART RETURN STATUS, SMART READ DATA;
for NVMe the identify and health log pages). ``-s on`` is never given: SMART that is off stays off. A failing drive or a
bridge may hang on any of them, so each has a time limit, is in the record, and all can be left out.
"""

from __future__ import annotations

import re

from forensiq.devices.commands import Ended, Runner, run_command
from forensiq.devices.smart import smart_answer
from forensiq.model.health import Answer, AskedCommand, DriveHealth, Outcome
from forensiq.model.source import SourceIdentity

__all__ = ["drive_health"]

_TIMEOUT_S = 15.0
_MAX_SECTORS = re.compile(r"max sectors\s*=\s*(\d+)/(\d+)(?![(\d])")
_REAL_MAX = re.compile(r"Real max sectors:\s*(\d+)")
_MAY_BE_ATA = frozenset({"sata", "usb", "sas", "scsi", "firewire", "unknown"})
_NO_DRIVE = frozenset({"loop", "device-mapper", "md", "ram", "nbd", "drbd", "bcache"})
_LEFT_IN_PEACE = "not asked: the drive or its bridge did not answer before"
_VIRTUAL = frozenset({"virtio", "xen", "iscsi"})


class _Asking:
    """Sends one question after the other, keeps what was sent, and stops asking a drive that did not answer."""

    def __init__(self, node: str, runner: Runner, timeout_s: float) -> None:
        self._node = node
        self._runner = runner
        self._timeout = timeout_s
        self.asked: list[AskedCommand] = []

    def __call__(self, *words: str) -> Ended | None:
        """Return how the program ended; ``None`` where the drive hung before and is left in peace."""
        if any(each.timed_out for each in self.asked):
            return None
        command = (*words, self._node)
        ended = self._runner(command, self._timeout)
        note = "not installed" if ended.missing else ""
        if ended.timed_out:
            note = f"no answer within {self._timeout:g} s"
        elapsed = round(ended.elapsed_s, 3)
        self.asked.append(AskedCommand(ended.at, command, ended.exit_status, elapsed, ended.timed_out, note))
        return ended


def drive_health(
    identity: SourceIdentity,
    node: str,
    *,
    probe: bool = True,
    runner: Runner = run_command,
    timeout_s: float = _TIMEOUT_S,
) -> DriveHealth:
    """Ask the whole drive at ``node``, whose identity is ``identity``; without ``probe`` nothing is sent to it."""
    bus = identity.bus or "unknown"
    trim = _trim(identity)
    skipped = _skip(bus, probe)
    if skipped is not None:
        smart = _undetermined(f"a {bus} device has no SMART of its own") if bus in _NO_DRIVE else skipped
        return DriveHealth(skipped, skipped, smart, trim)
    ask = _Asking(node, runner, timeout_s)
    if bus in _MAY_BE_ATA:
        hpa, native = _hpa(ask("hdparm", "-N"))
        dco = _dco(ask("hdparm", "--dco-identify"), native)
    else:
        hpa = dco = Answer(Outcome.NONE, f"does not apply: a feature of ATA drives, this one is on {bus}")
    answer = ask("smartctl", "--json", "-i", "-H", "-A")
    smart = smart_answer(answer) if answer is not None else _undetermined(_LEFT_IN_PEACE)
    return DriveHealth(hpa, dco, smart, trim, tuple(ask.asked))


def _skip(bus: str, probe: bool) -> Answer | None:
    if bus in _NO_DRIVE:
        return Answer(Outcome.NONE, f"does not apply: a {bus} device is no drive")
    if bus in _VIRTUAL:
        return _undetermined(f"a {bus} disk shows nothing of the drive behind it")
    return None if probe else _undetermined("not asked (--no-probe)")


def _undetermined(detail: str) -> Answer:
    return Answer(Outcome.UNDETERMINED, detail)


def _failed(ended: Ended) -> Answer | None:
    if ended.missing:
        return _undetermined("hdparm is not installed")
    if ended.timed_out:
        return _undetermined("the drive or its bridge did not answer in time")
    return None


def _hpa(ended: Ended | None) -> tuple[Answer, int | None]:
    """Return the answer and the native number of sectors, where it is known."""
    if ended is None:
        return _undetermined(_LEFT_IN_PEACE), None
    if failure := _failed(ended):
        return failure, None
    text = ended.output + ended.errors
    match = _MAX_SECTORS.search(text)
    if match is None or "invalid" in text or "bad/missing sense" in text:
        return _undetermined("the drive or its bridge does not pass the command"), None
    visible, native = int(match[1]), int(match[2])
    values = {"visible_sectors": visible, "native_sectors": native}
    if not visible or visible > native:
        return _undetermined(f"the answer makes no sense ({visible} of {native} sectors)"), None
    if visible < native:
        hidden = native - visible
        return Answer(Outcome.FOUND, f"{hidden} sectors are hidden behind the {visible} visible ones", values), native
    return Answer(Outcome.NONE, f"all {native} sectors are visible", values), native


def _dco(ended: Ended | None, native: int | None) -> Answer:
    if ended is None:
        return _undetermined(_LEFT_IN_PEACE)
    if failure := _failed(ended):
        return failure
    match = _REAL_MAX.search(ended.output)
    if match is None or "bad/missing sense" in ended.errors:
        return _undetermined("the drive does not know or its bridge does not pass the command")
    real = int(match[1])
    if native is None:
        return _undetermined(f"the drive has {real} sectors, but how many of them are offered is not known")
    values = {"real_sectors": real, "native_sectors": native}
    if real > native:
        return Answer(Outcome.FOUND, f"{real - native} of {real} sectors are hidden by a configuration overlay", values)
    return Answer(Outcome.NONE, f"all {real} sectors are offered", values)


def _trim(identity: SourceIdentity) -> Answer:
    if identity.trim is None:
        return _undetermined("the kernel gives no discard limit for it")
    if not identity.trim:
        return Answer(Outcome.NONE, "the kernel would not send discards to it")
    return Answer(
        Outcome.FOUND,
        "the drive takes discards: it may erase by itself what was deleted, and a second read may differ",
    )
