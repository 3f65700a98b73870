"""Disk images that forensiq wrote, read by QEMU and libyal: same bytes, same size, clean structure."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensiq.images.container_file import ContainerConfig
from forensiq.images.containers import CONTAINERS, container_path
from forensiq.model.chunk import Batch
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.model.image import ClosingFacts, ImageMetadata
from tests.interop.peers import need, run
from tests.scenarios.program import forensiq
from tests.support.aff4_reading import read_aff4, turtle_of

MIB = 1 << 20
VARIANTS = [
    (name, compression)
    for name, kind in CONTAINERS.items()
    if kind.reader not in (None, "raw")
    for compression in kind.compressions
]
CHECKED = ("vmdk", "vhdx", "qcow2", "vdi")


def medium(size: int, seed: int = 1) -> bytes:
    """Return zeros, text and noise in runs of many lengths."""
    chance = random.Random(seed)
    data = bytearray(size)
    position = 0
    while position < size:
        length = min(chance.choice([512, 4096, 65536, MIB, 3 * MIB]), size - position)
        kind = chance.randrange(3)
        if kind == 1:
            data[position : position + length] = chance.randbytes(length)
        elif kind == 2:
            data[position : position + length] = (b"a text %d " % position * length)[:length]
        position += length
    return bytes(data)


def write(
    folder: Path,
    name: str,
    compression: str,
    data: bytes,
    sector_size: int = 512,
    digests: Mapping[HashAlgorithm, str] = MappingProxyType({}),
    metadata: ImageMetadata | None = None,
) -> Path:
    kind = CONTAINERS[name]
    path = container_path(name, folder / f"{name}-{compression}")
    path.unlink(missing_ok=True)
    config = ContainerConfig(
        path=path,
        media_size=len(data),
        sector_size=sector_size,
        compression=compression,
        segment_hash=False,
        identifier=bytes(range(16)),
        metadata=metadata or ImageMetadata(),
    )
    writer = kind.writer(config)
    writer.begin()
    step = max(kind.chunk_size, 4 * MIB)
    for number, offset in enumerate(range(0, len(data), step)):
        writer.write(writer.encode(Batch(number, offset, memoryview(data)[offset : offset + step])))
    writer.finish(ClosingFacts(DigestSet.of(digests)))
    assert path.stat().st_size <= kind.worst(len(data))
    return path


def expect_same(folder: Path, path: Path, name: str, data: bytes) -> None:
    """Compare with QEMU: content, size and structure."""
    need("qemu-img")
    reader = CONTAINERS[name].reader
    assert reader is not None
    raw = folder / "medium.raw"
    raw.write_bytes(data)
    run("qemu-img", "compare", "-f", "raw", "-F", reader, raw, path)
    facts = json.loads(run("qemu-img", "info", "--output=json", "-f", reader, path))
    assert facts["virtual-size"] == len(data)
    if reader in CHECKED:
        run("qemu-img", "check", "-f", reader, path)


@pytest.mark.parametrize(("name", "compression"), VARIANTS)
@pytest.mark.parametrize("size", [512, 32 * MIB + 512])
def test_qemu_reads_the_same_medium(tmp_path: Path, name: str, compression: str, size: int) -> None:
    data = medium(size)
    expect_same(tmp_path, write(tmp_path, name, compression, data), name, data)


@pytest.mark.parametrize(("name", "compression"), VARIANTS)
def test_an_empty_medium_takes_no_room(tmp_path: Path, name: str, compression: str) -> None:
    data = bytes(10 * MIB)
    path = write(tmp_path, name, compression, data)
    expect_same(tmp_path, path, name, data)
    assert path.stat().st_blocks * 512 < 2 * MIB


@pytest.mark.parametrize(("name", "compression"), VARIANTS)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sectors=st.integers(1, 5000), seed=st.integers(0, 99))
def test_any_small_medium(tmp_path: Path, name: str, compression: str, sectors: int, seed: int) -> None:
    data = medium(sectors * 512, seed)
    expect_same(tmp_path, write(tmp_path, name, compression, data), name, data)


@pytest.mark.slow
def test_a_second_l2_table_and_more_refcount_blocks(tmp_path: Path) -> None:
    # 512 MiB is what one L2 table maps.
    data = bytes(511 * MIB) + medium(2 * MIB) + b"end".ljust(512, b"\0")
    expect_same(tmp_path, write(tmp_path, "qcow2", "fast", data), "qcow2", data)


def test_vhdx_states_sectors_of_4096_bytes(tmp_path: Path) -> None:
    data = medium(5 * MIB)
    path = write(tmp_path, "vhdx", "none", data, sector_size=4096)
    # QEMU reads VHDX with sectors of 512 bytes only.
    assert _libyal("vhdx", path) == hashlib.sha256(data).hexdigest()
    metadata = path.read_bytes()[2 * MIB : 3 * MIB]
    assert struct.pack("<I", 4096) * 2 in metadata[65536 : 65536 + 64]


def _read_all(handle: Any) -> str:
    digest = hashlib.sha256()
    while data := handle.read_buffer(MIB):
        digest.update(data)
    return digest.hexdigest()


def _libyal(name: str, path: Path) -> str:
    module_name = {"vmdk": "pyvmdk", "vhd": "pyvhdi", "vhdx": "pyvhdi", "qcow2": "pyqcow", "dmg": "pymodi"}
    base = name.split("-")[0]
    if base not in module_name:
        pytest.skip(f"libyal does not read {base}")
    try:
        module = importlib.import_module(module_name[base])
    except ImportError:
        pytest.skip(f"{module_name[base]} is not installed")
    handle = module.handle() if base in ("vmdk", "dmg") else module.file()
    handle.open(str(path))
    if base == "vmdk":
        handle.open_extent_data_files()
    return _read_all(handle)


@pytest.mark.parametrize(("name", "compression"), VARIANTS)
def test_libyal_reads_the_same_medium(tmp_path: Path, name: str, compression: str) -> None:
    if (name, compression) in (("qcow2", "fast"), ("qcow2", "best")):
        pytest.skip("libqcow 20260703 misreads compressed clusters, QEMU's own too (decision 0150)")
    data = medium(5 * MIB + 512)
    path = write(tmp_path, name, compression, data)
    assert _libyal(name, path) == hashlib.sha256(data).hexdigest()


def test_aff4_states_its_digests_and_case_fields(tmp_path: Path) -> None:
    data = medium(3 * MIB + 512)
    digests = {HashAlgorithm.MD5: hashlib.md5(data).hexdigest(), HashAlgorithm.SHA256: hashlib.sha256(data).hexdigest()}
    metadata = ImageMetadata(case_number='2026 "7"', examiner="Zoë\n\x1b[2J")
    path = write(tmp_path, "aff4", "best", data, digests=digests, metadata=metadata)
    assert read_aff4(path) == data
    text = turtle_of(path)
    for name, value in (("MD5", digests[HashAlgorithm.MD5]), ("SHA256", digests[HashAlgorithm.SHA256])):
        assert f'"{value}"^^aff4:{name}' in text
    assert 'aff4:caseNumber "2026 \\"7\\""' in text
    assert 'aff4:examiner "Zoë\\n\\u001B[2J"' in text


def test_pyaff4_reads_and_validates(tmp_path: Path) -> None:
    python = os.environ.get("FORENSIQ_PYAFF4")
    if python is None:
        pytest.skip("FORENSIQ_PYAFF4 does not name a Python that has pyaff4")
    for size in (512, 5 * MIB + 512, 70 * MIB):
        data = medium(size)
        path = write(tmp_path, "aff4", "fast", data)
        said = run(python, Path(__file__).with_name("read_with_pyaff4.py"), path)
        assert said.splitlines()[0] == hashlib.sha256(data).hexdigest()
        path.unlink()


def test_deflate_of_qcow2_keeps_to_a_window_of_4_kib(tmp_path: Path) -> None:
    # Repetitions farther apart than the window: a reader with a window of 4 KiB refuses a longer distance.
    data = random.Random(3).randbytes(12_000) * 50
    data = data[: len(data) // 512 * 512]
    expect_same(tmp_path, write(tmp_path, "qcow2", "fast", data), "qcow2", data)


@pytest.mark.parametrize("sectors", [1, 300 * 8, 3 * MIB // 512])
def test_afflib_reads_the_same_medium(tmp_path: Path, sectors: int) -> None:
    """``affconvert`` writes whole pages of 1 MiB, of QEMU's own disks as well: only ``affcat`` keeps the size."""
    need("affcat", "affconvert", "qemu-img")
    data = random.Random(8).randbytes(sectors * 512)
    ours = write(tmp_path, "vmdk", "none", data, sector_size=512 if len(data) % 4096 else 4096)
    (tmp_path / "raw").write_bytes(data)
    run("qemu-img", "convert", "-f", "raw", "-O", "vmdk", tmp_path / "raw", tmp_path / "theirs.vmdk")
    for path in (ours, tmp_path / "theirs.vmdk"):
        assert subprocess.run(["affcat", path], capture_output=True, check=True, timeout=60).stdout == data
        run("affconvert", "-q", "-r", "-e", "raw", path)
        pages = path.with_suffix(".raw").read_bytes()
        assert pages[: len(data)] == data
        assert len(pages) == -(-len(data) // MIB) * MIB


@pytest.mark.root
def test_a_disk_image_by_qemu_becomes_an_e01_that_xmount_shows(tmp_path: Path) -> None:
    need("qemu-img", "xmount", "fusermount")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("FUSE cannot be used here")
    data = medium(3 * MIB + 512)
    (tmp_path / "raw").write_bytes(data)
    run("qemu-img", "convert", "-f", "raw", "-O", "vmdk", tmp_path / "raw", tmp_path / "theirs.vmdk")
    forensiq("convert", tmp_path / "theirs.vmdk", tmp_path / "ours", "--format", "e01", "--json").expect(0)
    mount = tmp_path / "mount"
    mount.mkdir()
    run("xmount", "--in", "aewf", tmp_path / "ours.E01", "--out", "raw", mount)
    try:
        assert (mount / "ours.dd").read_bytes() == data
    finally:
        run("fusermount", "-u", mount)


@pytest.mark.parametrize("name", ["vmdk", "vmdk-stream", "vhd", "vhd-fixed"])
def test_the_largest_medium_fits_into_32_bits_of_sectors(name: str) -> None:
    kind = CONTAINERS[name]
    assert kind.worst(kind.largest) <= 512 << 32
