"""The write guard on real loop devices: what it refuses, what it sets, what it sees, and that it changes nothing."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensiq.devices.usage import usage_of
from forensiq.devices.write_block import WriteGuard, refuse_if_used
from forensiq.errors import SourceInUseError, UsageError, WriteBlockError
from forensiq.model.device import UseKind
from tests.rig import LoopDevice, loop_device, need_tools

pytestmark = pytest.mark.root

_MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk of 16 MiB with two partitions, the first one with a file system."""
    need_tools("sfdisk", "mkfs.ext4")
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(16 * _MIB)
    table = "label: gpt\nstart=2048,size=16384\nstart=20480,size=8192\n"
    subprocess.run(["sfdisk", "-q", str(path)], input=table, text=True, check=True, capture_output=True)
    subprocess.run(["mkfs.ext4", "-q", "-E", f"offset={_MIB}", str(path), "8192k"], check=True, capture_output=True)
    return path


@pytest.fixture
def device(disk: Path) -> Iterator[LoopDevice]:
    with loop_device(disk, partitions=True) as device:
        yield device


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _node_is_read_only(node: str) -> bool:
    return Path("/sys/class/block", Path(node).name, "ro").read_text().strip() == "1"


def test_flags_are_set_on_the_partitions_and_the_whole_and_read_back(device: LoopDevice) -> None:
    nodes = (device.path, *device.partitions)
    assert not any(_node_is_read_only(node) for node in nodes)
    with WriteGuard(device.partitions[1]) as guard:
        assert all(_node_is_read_only(node) for node in nodes)
        state = guard.state()
    assert state.method == "kernel_read_only_flag"
    assert (state.kernel_read_only_before, state.kernel_read_only_during, state.kernel_read_only_after) == (
        False,
        True,
        True,
    )
    assert set(state.devices) == set(nodes)
    assert all(_node_is_read_only(node) for node in nodes), "nothing is put back unless asked"


def test_nobody_can_write_or_mount_meanwhile_and_the_bytes_stay(device: LoopDevice, tmp_path: Path) -> None:
    before = _digest(device.file)
    mount = tmp_path / "mnt"
    mount.mkdir()
    with WriteGuard(device.path) as guard:
        for command in (
            ["dd", "if=/dev/zero", f"of={device.path}", "bs=512", "count=1"],
            ["dd", "if=/dev/zero", f"of={device.partitions[0]}", "bs=512", "count=1"],
            ["mount", device.partitions[0], str(mount)],
            ["mount", "-o", "ro", device.partitions[0], str(mount)],
            ["wipefs", "--all", "--force", device.path],
            ["blkdiscard", "--force", device.path],
        ):
            assert subprocess.run(command, capture_output=True, check=False).returncode != 0, command
        state = guard.end()
    assert state.writes_counted is False
    assert state.statement.startswith("no kernel writes or discards were counted between ")
    assert _digest(device.file) == before


def test_writes_that_happen_are_counted(device: LoopDevice) -> None:
    with WriteGuard(device.path) as guard:
        device.set_writable()
        subprocess.run(
            ["dd", "if=/dev/urandom", f"of={device.path}", "bs=4096", "count=2", "seek=3000", "oflag=direct"],
            check=True,
            capture_output=True,
        )
        state = guard.end()
    assert state.writes_counted is True
    assert "the kernel counted 2 writes (16 sectors) and 0 discards" in state.statement
    assert "no kernel writes" not in state.statement


def test_a_flag_that_is_lost_is_set_again_and_recorded(device: LoopDevice) -> None:
    with WriteGuard(device.path) as guard:
        guard.check("nothing happened")
        device.set_writable()
        guard.check("after a read error at byte 4096")
        assert device.is_read_only()
        state = guard.end()
    assert state.kernel_read_only_during is False
    assert len(state.flips) == 3
    assert all(re.match(r"20\d\d-.*Z: /dev/loop", flip) and "read error at byte 4096" in flip for flip in state.flips)
    assert state.checks == 3
    assert state.kernel_read_only_after is True


def test_flags_are_put_back_only_if_asked(device: LoopDevice) -> None:
    with WriteGuard(device.path, restore=True) as guard:
        state = guard.end()
    assert state.restored
    assert state.kernel_read_only_after is True
    assert not any(_node_is_read_only(node) for node in (device.path, *device.partitions))


def test_a_flag_that_was_set_before_stays_when_flags_are_put_back(disk: Path) -> None:
    with loop_device(disk, read_only=True) as device:
        with WriteGuard(device.path, restore=True) as guard:
            assert guard.end().kernel_read_only_before is True
        assert device.is_read_only()


def test_a_periodic_check_is_made_when_it_is_due(device: LoopDevice) -> None:
    with WriteGuard(device.path, interval_s=3600) as patient:
        patient.check_if_due()
        assert patient.state().checks == 0
    with WriteGuard(device.path, interval_s=0) as eager:
        eager.check_if_due()
        assert eager.state().checks == 1


def test_a_flag_that_cannot_be_set_is_refused_unless_told(device: LoopDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(descriptor: int, value: bool) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("forensiq.devices.write_block.set_read_only_flag", denied)
    with pytest.raises(WriteBlockError):
        WriteGuard(device.path)
    with WriteGuard(device.path, allow_writable=True, external_blocker="Tableau T35u 0123") as guard:
        guard.check("again")
        state = guard.end()
    assert state.method == "none"
    assert state.external_blocker == "Tableau T35u 0123"
    assert state.devices == ()
    assert any("could not be set read-only: Operation not permitted" in limit for limit in state.limits)


def test_a_flag_that_does_not_stay_is_refused(device: LoopDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensiq.devices.write_block.set_read_only_flag", lambda descriptor, value: None)
    with pytest.raises(WriteBlockError, match="did not keep it"):
        WriteGuard(device.path)
    subprocess.run(["blockdev", "--setro", device.path], check=True)  # and it let go of the device


def test_a_mounted_partition_refuses_the_drive_and_its_neighbour(device: LoopDevice, tmp_path: Path) -> None:
    mount = tmp_path / "mnt"
    mount.mkdir()
    subprocess.run(["mount", device.partitions[0], str(mount)], check=True)
    try:
        for node in (device.path, *device.partitions):
            with pytest.raises(SourceInUseError, match=f"{device.partitions[0]} is mounted on {mount}"):
                WriteGuard(node)
        assert not device.is_read_only(), "a drive in use is left as it is"
    finally:
        subprocess.run(["umount", str(mount)], check=True)
    refuse_if_used(device.path)


def test_active_swap_is_refused(device: LoopDevice) -> None:
    need_tools("mkswap", "swapon")
    node = device.partitions[1]
    subprocess.run(["mkswap", node], check=True, capture_output=True)
    if (done := subprocess.run(["swapon", node], capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"swap cannot be switched on here: {done.stderr.strip()}")
    try:
        with pytest.raises(SourceInUseError, match="active swap"):
            WriteGuard(device.path)
    finally:
        subprocess.run(["swapoff", node], check=True)


def test_a_device_mapper_holder_is_refused(device: LoopDevice) -> None:
    need_tools("dmsetup")
    name = f"forensiq-test-{os.getpid()}"
    table = f"0 8192 linear {device.partitions[1]} 0"
    made = subprocess.run(["dmsetup", "create", name, "--table", table], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"device-mapper cannot be used here: {made.stderr.splitlines()[0]}")
    try:
        with pytest.raises(SourceInUseError, match="is part of /dev/dm-"):
            WriteGuard(device.path)
    finally:
        subprocess.run(["dmsetup", "remove", "--retry", name], check=True)


def test_a_loop_device_over_the_node_is_refused(device: LoopDevice) -> None:
    with loop_device(Path(device.path), read_only=True) as above, pytest.raises(SourceInUseError, match=above.path):
        WriteGuard(device.path)


def test_a_program_that_has_it_open_for_writing_is_refused_by_name(device: LoopDevice) -> None:
    code = f"import os, sys; os.open({device.partitions[0]!r}, os.O_RDWR); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        with pytest.raises(SourceInUseError, match=rf"open for writing by .* \({writer.pid}\)"):
            WriteGuard(device.path)
        writer.communicate("")


def test_only_one_guard_holds_a_drive(device: LoopDevice) -> None:
    with WriteGuard(device.path), pytest.raises(SourceInUseError):
        WriteGuard(device.path)


def test_what_the_kernel_does_not_name_is_seen_by_its_refusal(device: LoopDevice) -> None:
    descriptor = os.open(device.partitions[0], os.O_RDONLY | os.O_EXCL)
    try:
        assert [use.kind for use in usage_of(device.path).uses] == [UseKind.CLAIMED]
    finally:
        os.close(descriptor)
    assert not usage_of(device.path).in_use


def test_a_file_is_no_drive(disk: Path) -> None:
    with pytest.raises(UsageError, match="not a block device"):
        WriteGuard(str(disk))


def test_a_device_that_cannot_be_counted_is_not_said_to_be_unwritten(device: LoopDevice) -> None:
    switch = Path("/sys/block", Path(device.path).name, "queue/iostats")
    switch.write_text("0")
    try:
        with WriteGuard(device.path) as guard:
            state = guard.end()
    finally:
        switch.write_text("1")
    assert state.writes_before is None
    assert state.writes_counted is None
    assert "writes were not observed" in state.statement


_WATCHED = """
import os, sys
opened = []
def hook(event, arguments):
    if event == "open" and str(arguments[0]).startswith("/dev/loop"):
        opened.append((str(arguments[0]), arguments[2]))
sys.addaudithook(hook)
from forensiq.devices.inventory import list_devices
from forensiq.devices.write_block import WriteGuard
from forensiq.sources.block_device import BlockDeviceSource
list_devices()
with WriteGuard(sys.argv[1], restore=True) as guard, BlockDeviceSource(sys.argv[1]) as source:
    buffer = memoryview(bytearray(1 << 20))
    source.read_into(0, buffer)
    source.read_direct(3, buffer)
    guard.check("watched")
assert len(opened) > 5, opened
for path, flags in opened:
    assert flags & os.O_ACCMODE == os.O_RDONLY, (path, flags)
    assert not flags & (os.O_CREAT | os.O_TRUNC | os.O_APPEND), (path, flags)
"""


def test_no_device_is_ever_opened_for_writing(device: LoopDevice) -> None:
    done = subprocess.run([sys.executable, "-c", _WATCHED, device.path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_kernel_sees_no_writable_open_either(device: LoopDevice, tmp_path: Path) -> None:
    need_tools("strace")
    log = tmp_path / "calls"
    code = "\n".join(_WATCHED.replace("sys.addaudithook(hook)", "").split("assert len")[0].splitlines())
    command = ["strace", "-f", "-e", "trace=openat,open,pwrite64,pwritev,ioctl", "-o", str(log)]
    done = subprocess.run(
        [*command, sys.executable, "-c", code, device.path], capture_output=True, text=True, check=False
    )
    if "ptrace" in done.stderr.lower():
        pytest.skip(f"strace is not allowed here: {done.stderr.strip()[:100]}")
    assert done.returncode == 0, done.stderr
    opens = [line for line in log.read_text().splitlines() if "open" in line and f'"{device.path}' in line]
    assert len(opens) > 5
    assert all("O_RDONLY" in line for line in opens)
    requests = set(re.findall(r"\b(BLK\w+|SG_IO|HDIO\w+|NVME\w+)\b", log.read_text()))
    assert requests <= {"BLKGETSIZE64", "BLKSSZGET", "BLKPBSZGET", "BLKROGET", "BLKROSET"}
