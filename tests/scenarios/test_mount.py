"""A mounted image as other programs see it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from forensiq.clock import sleep
from tests.support.fat import fat_volume

MIB = 1 << 20
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="FUSE cannot be used here"),
]


def run(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "forensiq", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return done


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FAT volume with 20 files, and as much behind it as needs several blocks."""
    path = tmp_path_factory.mktemp("medium") / "medium.dd"
    volume = fat_volume({b"F%07dTXT" % number: b"content %d" % number for number in range(20)})
    path.write_bytes(volume + hashlib.shake_256(b"behind").digest(3 * MIB) + bytes(2 * MIB))
    return path


@pytest.fixture(scope="module")
def mounted(medium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("mounted")
    run("acquire", medium, folder / "X", "--no-verify", "--quiet")
    place = folder / "mnt"
    run("mount", folder / "X.E01", place)
    yield place
    run("unmount", place)
    assert not list(place.iterdir())


def test_random_reads_give_the_bytes_of_the_medium(medium: Path, mounted: Path) -> None:
    data = medium.read_bytes()
    file = os.open(mounted / "media.raw", os.O_RDONLY)
    try:
        chance = random.Random(11)
        for _ in range(400):
            offset, size = chance.randrange(len(data)), chance.choice((1, 511, 4096, 70_000, MIB))
            assert os.pread(file, size, offset) == data[offset : offset + size]
        assert os.pread(file, 10, len(data)) == b""
    finally:
        os.close(file)


def test_many_readers_at_once(medium: Path, mounted: Path) -> None:
    def medium_digest(_: int) -> str:
        return hashlib.sha256((mounted / "media.raw").read_bytes()).hexdigest()

    def files(_: int) -> list[bytes]:
        return [path.read_bytes() for path in sorted((mounted / "medium").glob("F*"))]

    with ThreadPoolExecutor(8) as pool:
        digests = pool.map(medium_digest, range(4))
        trees = pool.map(files, range(4))
        assert set(digests) == {hashlib.sha256(medium.read_bytes()).hexdigest()}
        assert all(tree == [b"content %d" % number for number in range(20)] for tree in trees)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("losetup") is None, reason="needs root and losetup")
def test_a_loop_device_over_the_medium(medium: Path, mounted: Path) -> None:
    made = subprocess.run(
        ["losetup", "-r", "--find", "--show", mounted / "media.raw"], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no loop device can be made here: {made.stderr.strip()}")
    device = made.stdout.strip()
    try:
        with open(device, "rb") as file:
            assert file.read() == medium.read_bytes()
        assert Path("/sys/block", Path(device).name, "ro").read_text().strip() == "1"
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def test_an_image_without_a_file_system_shows_its_medium(tmp_path: Path) -> None:
    image, place = tmp_path / "noise.dd", tmp_path / "mnt"
    image.write_bytes(hashlib.shake_256(b"noise").digest(200_000))
    run("mount", image, place)
    try:
        assert [path.name for path in place.iterdir()] == ["media.raw"]
        assert (place / "media.raw").read_bytes() == image.read_bytes()
    finally:
        run("unmount", place)


def test_a_killed_server_leaves_a_mount_that_can_be_ended_and_no_process(medium: Path, tmp_path: Path) -> None:
    place = tmp_path / "mnt"
    run("mount", medium, place)
    try:
        _kill_server(place)
    finally:
        assert json.loads(run("unmount", place, "--json").stdout)["left_behind"] is True
    assert not list(place.iterdir())
    run("mount", medium, place)
    size = (place / "media.raw").stat().st_size
    run("unmount", place)
    assert size == medium.stat().st_size


def _kill_server(place: Path) -> None:
    assert len(list((place / "medium").iterdir())) >= 20  # the worker runs
    server = next(
        int(each.name)
        for each in Path("/proc").glob("[0-9]*")
        if os.fsencode(place) in (command := _command(each)) and b"--foreground" in command
    )
    os.kill(server, signal.SIGKILL)
    while _command(Path("/proc", str(server))):
        sleep(0.05)


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
