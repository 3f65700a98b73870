"""A medium of our own, as E01, boots under QEMU in software emulation, and stays what it was."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from forensiq.clock import monotonic, sleep
from forensiq.streams.nbd import NbdClient
from tests.interop.peers import need, run
from tests.scenarios.program import forensiq
from tests.support.boot_sector import MESSAGE, bootable

MIB = 1 << 20


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boot")
    (folder / "disk.dd").write_bytes(bootable(2 * MIB))
    forensiq("acquire", "disk.dd", "ITEM-1", "--json", folder=folder).expect(0)
    return folder / "ITEM-1.E01"


def state(path: Path) -> tuple[str, int, int, int]:
    facts = path.stat()
    return hashlib.sha256(path.read_bytes()).hexdigest(), facts.st_mtime_ns, facts.st_ino, facts.st_size


def test_an_e01_boots_and_is_unchanged(image: Path, tmp_path: Path) -> None:
    need("qemu-system-x86_64")
    before = state(image)
    folder = tmp_path / "vm"
    words = ("--start", "--timeout", "120", "--display", "none", "--accelerator", "tcg", "--memory", "64MiB")
    record = forensiq("boot", image, folder, *words, "--keep-overlay", "--json").expect(0).json
    assert MESSAGE in (folder / "serial.log").read_bytes()
    assert state(image) == before
    assert record["unchanged"] is True
    assert record["evidence_before"] == record["evidence_after"]
    assert record["evidence_before"][0]["sha256"] == before[0]
    assert record["plan"]["firmware"] == "bios"
    assert record["plan"]["network"] is False
    assert record["run"]["ended_by"] == "itself"
    assert record["run"]["writes_refused"] == 0
    assert record["run"]["reads"] > 0
    # The guest wrote its boot sector over LBA 1: the overlay took the cluster, with LBA 0 in it, and then that.
    assert (folder / "overlay.qcow2").read_bytes().count(MESSAGE) == 2
    assert not (folder / "export.sock").exists()
    assert json.loads((folder / "boot.record.json").read_text()) == record


def test_what_the_guest_wrote_is_thrown_away(image: Path, tmp_path: Path) -> None:
    need("qemu-system-x86_64")
    folder = tmp_path / "vm"
    words = ("--start", "--timeout", "1", "--display", "none", "--accelerator", "tcg", "--memory", "64MiB")
    forensiq("boot", image, folder, *words, "--json").expect(0)
    assert {path.name for path in folder.iterdir()} == {
        "boot.record.json", "domain.xml", "qemu.log", "qemu.sh", "serial.log",
    }  # fmt: skip


def test_a_machine_that_qemu_refuses_is_said_and_is_no_fault_of_ours(image: Path, tmp_path: Path) -> None:
    need("qemu-system-x86_64")
    folder = tmp_path / "vm"
    words = ("--start", "--timeout", "60", "--display", "none", "--accelerator", "tcg", "--memory", "900TiB")
    before = state(image)
    record = forensiq("boot", image, folder, *words, "--json").expect(2).json
    assert record["unchanged"] is True
    assert state(image) == before
    assert [each["code"] for each in record["findings"]] == ["boot.qemu"]
    assert record["run"]["exit_status"] != 0
    assert record["findings"][0]["found"].strip() in (folder / "qemu.log").read_text()


def test_a_prepared_folder_is_taken_up_by_serve(image: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vm"
    forensiq("boot", image, folder, "--json").expect(0)
    place = folder / "export.sock"
    process = subprocess.Popen(
        [sys.executable, "-m", "forensiq", "boot", str(image), str(folder), "--serve", "--json"],
        stdout=subprocess.PIPE,
        env=os.environ,
    )
    try:
        until = monotonic() + 60
        while not place.exists() and process.poll() is None and monotonic() < until:
            sleep(0.05)
        assert place.stat().st_mode & 0o777 == 0o600
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(place))
        client = NbdClient(connection, "evidence")
        data = bytearray(client.size)
        client.read_into(0, memoryview(data))
        client.close()
        if (need_nbdinfo := Path("/usr/bin/nbdinfo")).exists():
            told = run(need_nbdinfo, "--json", f"nbd+unix:///evidence?socket={place}")
            (export,) = json.loads(told)["exports"]
            assert export["is_read_only"] is True
            assert export["export-size"] == 2 * MIB
    finally:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert bytes(data) == bootable(2 * MIB)
    record = json.loads(out)
    assert record["unchanged"] is True
    assert record["run"]["ended_by"] == "the user"
    assert not place.exists()
    assert not (folder / "overlay.qcow2").exists()
    forensiq("boot", image, folder, "--serve", "--json").expect(6)


def test_the_domain_is_valid(image: Path, tmp_path: Path) -> None:
    need("virt-xml-validate")
    for bus in ("ide", "sata", "scsi", "virtio", "nvme"):
        folder = tmp_path / bus
        forensiq("boot", image, folder, "--bus", bus, "--no-digest", "--json").expect(0)
        run("virt-xml-validate", folder / "domain.xml", "domain")


def test_qemu_reads_the_overlay_over_the_export(image: Path, tmp_path: Path) -> None:
    need("qemu-img")
    forensiq("boot", image, tmp_path / "vm", "--json").expect(0)
    facts = json.loads(run("qemu-img", "info", "-U", "--output=json", tmp_path / "vm" / "overlay.qcow2"))
    assert facts["virtual-size"] == 2 * MIB
    assert facts["backing-filename"].startswith("nbd+unix:///evidence?socket=/")
    assert facts["backing-filename-format"] == "raw"
    alone = {"driver": "file", "filename": str(tmp_path / "vm" / "overlay.qcow2")}
    run("qemu-img", "check", "json:" + json.dumps({"driver": "qcow2", "file": alone, "backing": None}))
