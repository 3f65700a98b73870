"""Real block devices for tests: loop devices, and devices that fail the way drives do.

:func:`loop_device` puts a loop device over a file. :func:`faulty_device` puts one over a file that nbdkit serves with
faults, through nbdfuse: reads of the device then fail with a real ``EIO`` from the kernel. Everything is taken down
when the context ends, also after a failed test. Names are unique, so tests may run in parallel.

Where a machine cannot do it (not root, no loop devices, no FUSE, a tool missing) the test is skipped and says why. A
tool that is there and does not work fails the test.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from forensiq.clock import monotonic, sleep
from forensiq.model.extent import Extent
from forensiq.model.mapfile import MapfileState, format_mapfile
from forensiq.model.media_map import READ, MediaMap, RangeStatus, ReadStatus

__all__ = ["FaultyDevice", "LoopDevice", "faulty_device", "loop_device", "need_root", "need_tools"]

_PLUGIN = Path(__file__).with_name("rig_plugin.py")
_READ = re.compile(r" Read id=\d+ offset=0x([0-9a-f]+) count=0x([0-9a-f]+) ")
_PATIENCE_S = 15.0


def need_root() -> None:
    """Skip unless root."""
    if os.geteuid() != 0:
        pytest.skip("needs root: loop devices are made and removed")


def need_tools(*names: str) -> None:
    """Skip unless all programs are installed."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


class LoopDevice(Struct, frozen=True):
    """A loop device over ``file``; ``partitions`` are the nodes that the kernel made for it."""

    path: str
    file: Path
    partitions: tuple[str, ...] = ()

    def follow_file(self) -> None:
        """Make the kernel take over the present size of the file: a device that changes its size."""
        _run("losetup", "-c", self.path)

    def set_writable(self) -> None:
        """Clear the read-only flags behind the program's back, as the kernel may after a read error."""
        for node in (*self.partitions, self.path):
            _run("blockdev", "--setrw", node)

    def is_read_only(self) -> bool:
        """Return the kernel's read-only flag."""
        return _run("blockdev", "--getro", self.path).strip() == "1"


@contextmanager
def loop_device(
    file: Path,
    *,
    read_only: bool = False,
    partitions: bool = False,
    sector_size: int = 512,
    direct_io: bool = False,
) -> Iterator[LoopDevice]:
    """Give a loop device over ``file``; with ``partitions`` also the nodes of the partitions in it.

    ``direct_io`` lets ``O_DIRECT`` reads of the device reach the file in the size they were asked for.
    """
    need_root()
    need_tools("losetup", "blockdev", "partx")
    options = ["--sector-size", str(sector_size)] + (["-r"] if read_only else [])
    attached = subprocess.run(
        ["losetup", "--find", "--show", *options, str(file)], capture_output=True, text=True, check=False
    )
    if attached.returncode:
        pytest.skip(f"no loop device can be made here: {attached.stderr.strip()}")
    path = attached.stdout.strip()
    try:
        if not read_only:
            _run("blockdev", "--setrw", path)  # a flag of an earlier use of this loop device may still be set
        if direct_io:
            _run("losetup", "--direct-io=on", path)
        if partitions:
            _run("partx", "--add", path)
        yield LoopDevice(path, file, _partition_nodes(path) if partitions else ())
    finally:
        _detach(path)


class FaultyDevice(Struct, frozen=True):
    """A read-only loop device with faults; it can vanish and come back."""

    path: str
    control: Path

    def vanish(self) -> None:
        """Let every read fail from now on."""
        (self.control / "vanished").touch()

    def come_back(self) -> None:
        """End :meth:`vanish`."""
        (self.control / "vanished").unlink()

    def stay(self) -> None:
        """End ``vanish_after``: from now on the device stays."""
        (self.control / "stays").touch()
        self.come_back()

    def let_go(self) -> None:
        """End the hanging of reads."""
        (self.control / "released").touch()

    def reads(self) -> list[Extent]:
        """Return what was read of the medium so far, in order, as it reached the drive."""
        text = (self.control / "reads.log").read_text()
        return [Extent(int(match[1], 16), int(match[2], 16)) for match in _READ.finditer(text)]


@contextmanager
def faulty_device(
    disk: Path,
    folder: Path,
    *,
    bad: Iterable[Extent] = (),
    transient: Iterable[Extent] = (),
    failures: int = 1,
    slow: Iterable[Extent] = (),
    delay_s: float = 0.2,
    hanging: Iterable[Extent] = (),
    vanish_after: int | None = None,
) -> Iterator[FaultyDevice]:
    """Give a device with the content of ``disk`` and faults; ``folder`` is an empty folder for its machinery.

    Reads that touch ``bad`` fail with ``EIO``, always. Reads that touch a piece of ``transient`` fail ``failures``
    times each, then succeed. Reads that touch ``slow`` take ``delay_s`` longer. Reads of ``hanging`` return only
    after :meth:`FaultyDevice.let_go`. The device vanishes after ``vanish_after`` bytes were read of it. Buffered reads
    fail in pages: only ``O_DIRECT`` sees single sectors.
    """
    need_root()
    need_tools("nbdkit", "nbdfuse", "fusermount3", "losetup")
    if not Path("/dev/fuse").exists():
        pytest.skip("no FUSE here: /dev/fuse is missing")
    control, mount = folder / "control", folder / "mount"
    control.mkdir(parents=True)
    mount.mkdir()
    faults = {"transient": transient, "slow": slow, "hanging": hanging}
    described: dict[str, Any] = {key: [[each.offset, each.end] for each in part] for key, part in faults.items()}
    described["vanish_after"] = vanish_after
    server = _server(disk, control, list(bad), described, failures, delay_s)
    with ExitStack() as stack:
        _serve(stack, server, control, mount)
        device = stack.enter_context(loop_device(mount / "disk", read_only=True, direct_io=True))
        stack.callback((control / "released").touch)
        yield FaultyDevice(device.path, control)


def _server(
    disk: Path, control: Path, bad: list[Extent], faults: dict[str, Any], failures: int, delay_s: float
) -> list[str]:
    size = disk.stat().st_size
    media_map = MediaMap(size, READ)
    for extent in bad:
        media_map.mark(extent, RangeStatus(ReadStatus.UNREADABLE))
    (control / "bad.map").write_text(format_mapfile(media_map, MapfileState(size)))
    command = ["nbdkit", "--single", "--exit-with-parent", "--filter=log", "--filter=error", "--filter=ddrescue"]
    settings = [f"ddrescue-mapfile={control / 'bad.map'}", f"logfile={control / 'reads.log'}"]
    settings += ["error-pread=EIO", "error-pread-rate=100%", f"error-pread-file={control / 'vanished'}"]
    if not any(faults.values()):
        return [*command, "file", str(disk), *settings]
    plugin = subprocess.run(["nbdkit", "--dump-plugin", "python"], capture_output=True, check=False)
    if plugin.returncode:
        pytest.skip("nbdkit has no Python plugin here (nbdkit-plugin-python)")
    (control / "faults.json").write_text(
        json.dumps({"disk": str(disk), "failures": failures, "delay_s": delay_s} | faults)
    )
    return [*command, "python", str(_PLUGIN), f"control={control}", *settings]


def _serve(stack: ExitStack, server: Sequence[str], control: Path, mount: Path) -> None:
    ready = control / "pid"
    command = ["nbdfuse", "-r", "-P", str(ready), str(mount / "disk"), "--command", *server]
    # nbdkit's Python plugin is of the system's Python: nothing of this one may reach it.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    with (control / "stderr").open("wb") as errors:
        process = subprocess.Popen(command, stdout=errors, stderr=errors, stdin=subprocess.DEVNULL, env=environment)
    stack.callback(_end, process, mount)
    deadline = monotonic() + _PATIENCE_S
    while not (ready.exists() and (mount / "disk").exists()):
        if process.poll() is not None or monotonic() > deadline:
            pytest.fail(f"nbdfuse did not start: {(control / 'stderr').read_text()}")
        sleep(0.02)


def _end(process: subprocess.Popen[bytes], mount: Path) -> None:
    deadline = monotonic() + _PATIENCE_S
    while _quiet("fusermount3", "-u", str(mount)) and process.poll() is None and monotonic() < deadline:
        sleep(0.1)
    if os.path.ismount(mount):
        _quiet("fusermount3", "-u", "-z", str(mount))
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _detach(path: str) -> None:
    _quiet("partx", "--delete", path)
    _quiet("blockdev", "--setrw", path)
    _quiet("losetup", "--detach", path)


def _partition_nodes(path: str) -> tuple[str, ...]:
    name = Path(path).name
    found = [each for each in Path("/sys/block", name).iterdir() if (each / "partition").exists()]
    ordered = sorted(found, key=lambda each: int((each / "partition").read_text()))
    return tuple(f"/dev/{each.name}" for each in ordered)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _quiet(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode
