"""What a machine can do, from what its kernel and folders say."""

from __future__ import annotations

from pathlib import Path

import pytest

from forensiq.devices.commands import Ended
from forensiq.devices.machine import automounters, capabilities, landlock_version, seccomp_available, udev_rule
from forensiq.model.machine import Ability
from forensiq.procedures.doctor import UDEV_RULE, examine_machine, shipped
from tests.unit.devices.trees import Tree


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("CapEff:\t000001ffffffffff", {"CAP_DAC_READ_SEARCH", "CAP_SYS_RAWIO", "CAP_SYS_ADMIN"}),
        ("CapEff:\t0000000000200000", {"CAP_SYS_ADMIN"}),
        ("CapEff:\t0000000000000000", set()),
        ("Name:\tx", set()),
    ],
)
def test_capabilities(tmp_path: Path, line: str, expected: set[str]) -> None:
    tree = Tree(tmp_path)
    (tmp_path / "proc/self/status").write_text(f"Name:\tx\n{line}\n")
    assert capabilities(tree.system) == expected


def test_the_state_of_the_udev_rule(tmp_path: Path) -> None:
    first, second, armed = tmp_path / "etc", tmp_path / "lib", tmp_path / "armed"
    first.mkdir()
    second.mkdir()
    folders = (str(first), str(second))
    assert udev_rule("r.rules", "text", folders, armed) == "missing"
    (second / "r.rules").write_text("text")
    assert udev_rule("r.rules", "text", folders, armed) == "not armed"
    armed.touch()
    assert udev_rule("r.rules", "text", folders, armed) == "armed"
    (first / "r.rules").write_text("older text")
    assert udev_rule("r.rules", "text", folders, armed) == "different", "the first folder wins, as in udev"


def test_programs_that_mount_by_themselves(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.process(9)
    assert automounters(tree.system) == ()
    (tmp_path / "proc/9/comm").write_text("udisksd\n")
    assert automounters(tree.system) == ("udisksd",)


def test_what_the_kernel_offers(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    assert not seccomp_available(tree.system)
    actions = tmp_path / "proc/sys/kernel/seccomp/actions_avail"
    actions.parent.mkdir(parents=True)
    actions.write_text("kill_process kill_thread trap errno user_notif trace log allow\n")
    assert seccomp_available(tree.system)
    version = landlock_version()
    assert version is None or version >= 1


def test_the_rule_that_is_shipped_leaves_the_machines_own_disks_alone() -> None:
    _, rule = shipped(UDEV_RULE)
    lines = [line for line in rule.splitlines() if line and not line.startswith("#")]
    assert lines[-1] == 'LABEL="forensiq_end"'
    armed = next(line for line in lines if line.startswith('ACTION=="add"'))
    assert 'TEST=="/run/forensiq/write-block"' in armed
    assert 'ENV{SYNTH_UUID}==""' in armed
    flag = next(index for index, line in enumerate(lines) if "blockdev --setro $devnode" in line)
    guards = [line for line in lines[:flag] if 'GOTO="forensiq_end"' in line]
    assert any('ENV{FORENSIQ_READ_ONLY}!="1"' in line for line in guards)
    assert any('KERNEL=="loop*|' in line for line in guards)


def test_every_limit_has_a_consequence_and_nothing_found_is_called_ok(tmp_path: Path) -> None:
    def nothing_loads(command: tuple[str, ...], timeout_s: float) -> Ended:
        return Ended("2026-01-01T00:00:00.000000Z", 1, "", "ImportError", 0.1)

    report = examine_machine(runner=nothing_loads, system=Tree(tmp_path).system)
    assert not report.ready
    assert not report.drives
    assert report.summary.startswith("not ready: no E01 can be written or read")
    bindings = [check for check in report.checks if check.section == "bindings"]
    assert {check.ability for check in bindings} == {Ability.MISSING, Ability.LIMITED}
    assert all("does not load" in check.found for check in bindings)
    assert all(check.consequence for check in report.checks if check.ability is not Ability.OK)


def test_without_rights_drives_are_not_promised(tmp_path: Path) -> None:
    def loads(command: tuple[str, ...], timeout_s: float) -> Ended:
        return Ended("2026-01-01T00:00:00.000000Z", 0, "", "", 0.1)

    report = examine_machine(runner=loads, system=Tree(tmp_path).system)
    assert (report.ready, report.drives) == (True, False)
    assert report.summary.startswith("ready for files and images; drives need root")
