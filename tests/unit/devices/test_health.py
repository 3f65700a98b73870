"""Questions to a drive, answered from recorded output of the tools."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

import pytest

from forensiq.clock import monotonic
from forensiq.devices.commands import Ended, run_command
from forensiq.devices.health import drive_health
from forensiq.model.health import Outcome
from forensiq.model.source import SourceIdentity, SourceKind

_AT = "2026-01-01T00:00:00.000000Z"

HDPARM_NO_HPA = "\n/dev/sdb:\n max sectors   = 976773168/976773168, HPA is disabled\n"
HDPARM_HPA = "\n/dev/sdb:\n max sectors   = 976771055/976773168, HPA is enabled\n"
HDPARM_NONSENSE = (
    "\n/dev/sdb:\n max sectors   = 18446744073321613488/976773168, HPA setting seems invalid"
    " (buggy kernel device driver?)\n"
)
HDPARM_NO_SENSE = "\n/dev/sdb:\nSG_IO: bad/missing sense data, sb[]:  70 00 05 00 00 00 00 0a 00 00 00 00 20 00 00 00\n"
DCO = "\n/dev/sdb:\nDCO Revision: 0x0002\nThe following features can be selectively disabled via DCO:\n"
SMART_GOOD = {
    "smart_support": {"available": True, "enabled": True},
    "smart_status": {"passed": True},
    "user_capacity": {"blocks": 976773168, "bytes": 500107862016},
    "power_on_time": {"hours": 12345},
    "temperature": {"current": 31},
    "ata_smart_attributes": {
        "table": [
            {"id": 5, "name": "Reallocated_Sector_Ct", "raw": {"value": 0, "string": "0"}},
            {"id": 197, "name": "Current_Pending_Sector", "raw": {"value": 0, "string": "0"}},
        ]
    },
}


def _identity(bus: str, *, trim: bool | None = False) -> SourceIdentity:
    return SourceIdentity(SourceKind.BLOCK_DEVICE, "/dev/sdb", 500107862016, 512, bus=bus, trim=trim)


class _Recorded:
    """Answers each program from a table, and keeps what was asked."""

    def __init__(self, answers: Mapping[str, Ended]) -> None:
        self.answers = answers
        self.commands: list[tuple[str, ...]] = []

    def __call__(self, command: tuple[str, ...], timeout_s: float) -> Ended:
        self.commands.append(command)
        key = "dco" if "--dco-identify" in command else command[0]
        return self.answers.get(key, Ended(_AT, None, "", "", 0.0, missing=True))


def _said(output: str, status: int = 0, errors: str = "") -> Ended:
    return Ended(_AT, status, output, errors, 0.01)


def _smart(report: object, status: int = 0) -> Ended:
    return _said(json.dumps(report), status)


@pytest.mark.parametrize(
    ("output", "expected", "values"),
    [
        (HDPARM_NO_HPA, Outcome.NONE, {"visible_sectors": 976773168, "native_sectors": 976773168}),
        (HDPARM_HPA, Outcome.FOUND, {"visible_sectors": 976771055, "native_sectors": 976773168}),
        (HDPARM_NONSENSE, Outcome.UNDETERMINED, {}),
        (HDPARM_NO_SENSE, Outcome.UNDETERMINED, {}),
        (HDPARM_NO_SENSE + HDPARM_NO_HPA, Outcome.UNDETERMINED, {}),
        ("", Outcome.UNDETERMINED, {}),
    ],
)
def test_host_protected_area(output: str, expected: Outcome, values: Mapping[str, int]) -> None:
    health = drive_health(_identity("sata"), "/dev/sdb", runner=_Recorded({"hdparm": _said(output)}))
    assert (health.hpa.outcome, health.hpa.values) == (expected, values)


@pytest.mark.parametrize(
    ("native", "dco", "expected"),
    [
        (HDPARM_NO_HPA, DCO + "\tReal max sectors: 976773168\n", Outcome.NONE),
        (HDPARM_NO_HPA, DCO + "\tReal max sectors: 976873168\n", Outcome.FOUND),
        (HDPARM_NO_SENSE, DCO + "\tReal max sectors: 976773168\n", Outcome.UNDETERMINED),
        (HDPARM_NO_HPA, HDPARM_NO_SENSE, Outcome.UNDETERMINED),
    ],
)
def test_device_configuration_overlay(native: str, dco: str, expected: Outcome) -> None:
    health = drive_health(_identity("usb"), "/dev/sdb", runner=_Recorded({"hdparm": _said(native), "dco": _said(dco)}))
    assert health.dco.outcome is expected


def test_a_missing_tool_is_not_a_clean_bill() -> None:
    health = drive_health(_identity("sata"), "/dev/sdb", runner=_Recorded({}))
    assert [each.outcome for each in (health.hpa, health.dco, health.smart)] == [Outcome.UNDETERMINED] * 3
    assert [each.note for each in health.commands] == ["not installed"] * 3


def test_after_a_command_that_hung_the_drive_is_left_in_peace() -> None:
    hung = Ended(_AT, None, "", "", 15.0, timed_out=True)
    runner = _Recorded({"hdparm": hung})
    health = drive_health(_identity("usb"), "/dev/sdb", runner=runner)
    assert [each.outcome for each in (health.hpa, health.dco, health.smart)] == [Outcome.UNDETERMINED] * 3
    assert runner.commands == [("hdparm", "-N", "/dev/sdb")]
    assert health.commands[0].timed_out
    assert "15 s" in health.commands[0].note


def test_without_probing_nothing_is_sent() -> None:
    runner = _Recorded({"hdparm": _said(HDPARM_NO_HPA)})
    health = drive_health(_identity("sata", trim=True), "/dev/sdb", probe=False, runner=runner)
    assert runner.commands == []
    assert health.hpa.outcome is Outcome.UNDETERMINED
    assert health.trim.outcome is Outcome.FOUND


def test_no_command_that_sets_anything_is_ever_sent() -> None:
    for bus in ("sata", "usb", "nvme", "scsi", "loop", "virtio", "mmc"):
        runner = _Recorded({"hdparm": _said(HDPARM_NO_HPA), "dco": _said(DCO), "smartctl": _smart(SMART_GOOD)})
        drive_health(_identity(bus), "/dev/sdb", runner=runner)
        allowed = {
            ("hdparm", "-N", "/dev/sdb"),
            ("hdparm", "--dco-identify", "/dev/sdb"),
            ("smartctl", "--json", "-i", "-H", "-A", "/dev/sdb"),
        }
        assert set(runner.commands) <= allowed


@pytest.mark.parametrize(
    ("bus", "hpa"),
    [("loop", Outcome.NONE), ("nvme", Outcome.NONE), ("virtio", Outcome.UNDETERMINED), ("mmc", Outcome.NONE)],
)
def test_hidden_areas_where_there_can_be_none(bus: str, hpa: Outcome) -> None:
    assert drive_health(_identity(bus), "/dev/x", runner=_Recorded({})).hpa.outcome is hpa


def test_smart_of_a_healthy_drive() -> None:
    health = drive_health(_identity("sata"), "/dev/sdb", runner=_Recorded({"smartctl": _smart(SMART_GOOD)}))
    assert health.smart.outcome is Outcome.NONE
    assert health.smart.values["capacity_bytes"] == 500107862016
    assert health.smart.values["reallocated_sectors"] == 0


def test_smart_of_a_dying_drive_names_its_troubles() -> None:
    rows = [{"id": 5, "raw": {"value": 24}}, {"id": 197, "raw": {"value": 0x7_0000_0008}}]
    report = SMART_GOOD | {"smart_status": {"passed": False}, "ata_smart_attributes": {"table": rows}}
    health = drive_health(_identity("sata"), "/dev/sdb", runner=_Recorded({"smartctl": _smart(report, 0b1000)}))
    assert health.smart.outcome is Outcome.FOUND
    assert health.smart.detail == "the drive says that it is failing; 24 reallocated sectors; 8 pending sectors"


def test_smart_of_nvme() -> None:
    log = {"critical_warning": 0, "media_errors": 3, "percentage_used": 91}
    report = {"smart_status": {"passed": True}, "nvme_smart_health_information_log": log}
    health = drive_health(_identity("nvme"), "/dev/nvme0n1", runner=_Recorded({"smartctl": _smart(report)}))
    assert (health.smart.outcome, health.smart.detail) == (Outcome.FOUND, "3 media errors")


@pytest.mark.parametrize(
    "answer",
    [
        _smart({"smartctl": {"messages": [{"string": "/dev/sdb: Unknown USB bridge [0x1234:0x5678]"}]}}, 1),
        _smart({"smart_support": {"available": False}}),
        _smart({"smart_support": {"available": True, "enabled": False}}),
        _smart({}),
        _smart([]),
        _smart({"smart_status": "good", "ata_smart_attributes": {"table": [None, {"id": "5"}]}}),
        _said("{"),
        _said("[" * 100_000),
        Ended(_AT, None, "", "", 15.0, timed_out=True),
    ],
)
def test_smart_that_says_nothing_is_undetermined(answer: Ended) -> None:
    health = drive_health(_identity("nvme"), "/dev/nvme0n1", runner=_Recorded({"smartctl": answer}))
    assert health.smart.outcome is Outcome.UNDETERMINED


def test_a_program_is_given_up_after_its_time() -> None:
    start = monotonic()
    ended = run_command((sys.executable, "-c", "import time; time.sleep(60)"), 0.3)
    assert ended.timed_out
    assert ended.exit_status is None
    assert monotonic() - start < 10


def test_how_a_program_ended_is_kept() -> None:
    ended = run_command((sys.executable, "-c", "import sys; print('out'); sys.exit('err')"), 20)
    assert (ended.exit_status, ended.output.strip(), ended.errors.strip()) == (1, "out", "err")
    assert run_command(("no-such-program-at-all",), 1).missing
