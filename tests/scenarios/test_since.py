"""``--since``: only what changed is stored, other programs open the chain as one image, and each link is verified."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from msgspec import Struct

from forensiq.procedures.acquire import acquire
from forensiq.procedures.acquire_request import AcquireRequest
from tests.scenarios.program import forensiq

pytestmark = pytest.mark.slow

SIZE = (5 << 20) + 512
"""Not a multiple of a cluster, nor of a block."""
BLOCKS = ("--block-hash-size", "256KiB")
needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


class Chain(Struct):
    """A drive that was acquired in full, then changed and acquired again, twice."""

    folder: Path
    states: list[bytes]

    def expected(self, number: int) -> str:
        return hashlib.sha256(self.states[number]).hexdigest()


def changed(data: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    result = bytearray(data)
    result[300_000:300_007] = b"changed"
    at = chance.randrange(1 << 20, 2 << 20)
    result[at : at + 70_000] = chance.randbytes(70_000)
    result[3 << 20 : (3 << 20) + (128 << 10)] = bytes(128 << 10)  # wiped
    result[-3:] = bytes([seed]) * 3
    return bytes(result)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    folder = tmp_path_factory.mktemp("chain")
    first = random.Random(6).randbytes(SIZE)
    states = [first, changed(first, 1)]
    states.append(changed(states[1], 2))
    source = folder / "source"
    source.mkdir()
    drive = source / "drive.dd"
    drive.write_bytes(states[0])
    forensiq("acquire", drive, "E-1", "--format", "raw", *BLOCKS, "--quiet", folder=folder).expect(0)
    for number in (1, 2):
        drive.write_bytes(states[number])
        before = f"E-{number}.record.json"
        forensiq("acquire", drive, f"E-{number + 1}", "--since", before, "--quiet", folder=folder).expect(0)
    return Chain(folder, states)


def test_each_link_is_the_whole_medium_and_holds_only_what_changed(chain: Chain) -> None:
    for number in (1, 2):
        record = json.loads((chain.folder / f"E-{number + 1}.record.json").read_text())
        assert record["digests"]["sha256"] == chain.expected(number)
        assert record["image"]["format"] == "qcow2"
        assert record["verification"]["verdict"] == "verified"
        assert record["since"]["image"] == ("E-1.dd" if number == 1 else "E-2.qcow2")
        assert "checked, not proven" in record["since"]["statement"]
        stored = next(each for each in record["findings"] if each["code"] == "since.stored")
        assert "blocks of 262,144 bytes differ" in stored["message"]
        # Four places of at most three clusters, and a handful of clusters for tables.
        assert (chain.folder / f"E-{number + 1}.qcow2").stat().st_size < 14 << 16


@needs_qemu
def test_qemu_opens_the_chain_as_one_image(chain: Chain, tmp_path: Path) -> None:
    for number in (1, 2):
        image = chain.folder / f"E-{number + 1}.qcow2"
        check = subprocess.run(["qemu-img", "check", image], capture_output=True, text=True, check=False)
        assert check.returncode == 0, check.stdout + check.stderr
        assert "No errors were found" in check.stdout
        subprocess.run(["qemu-img", "convert", "-O", "raw", image, tmp_path / "flat"], check=True)
        assert (tmp_path / "flat").read_bytes() == chain.states[number]


def test_verify_checks_link_by_link(chain: Chain, tmp_path: Path) -> None:
    verified = forensiq("verify", "E-3.qcow2", "--json", folder=chain.folder).expect(0).json
    assert verified["digests"]["sha256"]["computed"] == chain.expected(2)
    links = [each["where"] for each in verified["structure"] if each["code"] == "chain.link"]
    assert links == ["E-1.dd", "E-2.qcow2"]
    copy = tmp_path / "copy"
    shutil.copytree(chain.folder, copy)
    with (copy / "E-1.dd").open("r+b") as file:
        file.seek(2 << 20)
        file.write(b"tampered")
    verified = forensiq("verify", "E-3.qcow2", "--json", folder=copy).expect(4).json
    assert any(
        each["code"] == "chain.link" and each["severity"] == "error" and each["where"] == "E-1.dd"
        for each in verified["structure"]
    )
    record = copy / "E-2.record.json"
    record.write_text(record.read_text().replace('"elapsed_s"', '"elapsed_S"'))
    verified = forensiq("verify", "E-3.qcow2", "--json", folder=copy).json
    assert "chain.record" in {each["code"] for each in verified["structure"]}
    (copy / "E-1.dd").unlink()
    assert forensiq("verify", "E-3.qcow2", folder=copy).code == 9


def test_what_is_no_base_is_refused_with_a_way_out(chain: Chain, tmp_path: Path) -> None:
    drive = tmp_path / "drive.dd"
    drive.write_bytes(chain.states[0])
    forensiq("acquire", drive, "X", "--quiet", *BLOCKS, folder=tmp_path).expect(0)
    done = forensiq("acquire", drive, "Y", "--since", "X.record.json", folder=tmp_path).expect(2)
    assert "forensiq convert" in done.err
    # That way out works, and the drive is known again.
    forensiq("convert", "X.E01", "B", "--format", "raw", *BLOCKS, "--quiet", folder=tmp_path).expect(0)
    drive.write_bytes(chain.states[1])
    forensiq("acquire", drive, "Y", "--since", "B.record.json", "--quiet", folder=tmp_path).expect(0)
    assert forensiq("verify", "Y.qcow2", "--json", folder=tmp_path).expect(0).json["size"] == SIZE
    # Another size, another content, another folder.
    drive.write_bytes(chain.states[1] + bytes(512))
    assert "size" in forensiq("acquire", drive, "Z", "--since", "B.record.json", folder=tmp_path).expect(2).err
    drive.write_bytes(random.Random(99).randbytes(SIZE))
    assert "hardly the same drive" in forensiq("acquire", drive, "Z", "--since", "B.record.json", folder=tmp_path).err
    drive.write_bytes(chain.states[1])
    assert forensiq("acquire", drive, "other/Z", "--since", "B.record.json", folder=tmp_path).code == 2
    assert not list(tmp_path.glob("Z*"))


def test_an_interrupted_one_starts_anew(chain: Chain, tmp_path: Path) -> None:
    for name in ("E-1.dd", "E-1.record.json", "E-1.blocks.csv", "E-1.map"):
        shutil.copy(chain.folder / name, tmp_path)
    drive = tmp_path / "drive.bin"
    drive.write_bytes(chain.states[1])
    stop = threading.Event()
    request = AcquireRequest(
        source=str(drive), output=tmp_path / "Y", format="delta", since=tmp_path / "E-1.record.json"
    )
    first = acquire(request, stop=stop, on_start=lambda _: stop.set())
    assert first.status == "interrupted"
    done = forensiq("acquire", drive, "Y", "--since", "E-1.record.json", "--resume", "--json", folder=tmp_path)
    assert done.expect(0).json["digests"]["sha256"] == chain.expected(1)
