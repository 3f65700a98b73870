"""Differencing disks as an independent reader sees them: libvhdi gives the same medium from child and parent."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from forensiq.images import open_image
from tests.support.ewf_builder import mixed_media
from tests.support.virtual_disks import build_vhd, build_vhdx

MEDIA = mixed_media(300_544)
OLDER = bytes(each ^ 0x11 for each in MEDIA)


def _libvhdi(child: Path, parent: Path) -> bytes:
    pyvhdi: Any = pytest.importorskip("pyvhdi", reason="libvhdi-python is not installed")
    above, below = pyvhdi.file(), pyvhdi.file()
    above.open(str(parent))
    below.open(str(child))
    try:
        below.set_parent(above)
        data: bytes = below.read_buffer(below.get_media_size())
        return data
    finally:
        below.close()
        above.close()


def _ours(child: Path) -> bytes:
    with open_image(child) as image:
        buffer = bytearray(image.size)
        image.read_into(0, memoryview(buffer))
        return bytes(buffer)


def test_vhd(tmp_path: Path) -> None:
    parent = build_vhd(OLDER, tmp_path / "base.vhd", identifier=b"P" * 16)
    child = build_vhd(MEDIA, tmp_path / "x.vhd", kind=4, only=range(2, 5), parent=b"P" * 16, parent_name="base.vhd")
    ours = _ours(child)
    assert ours[2 * 16_384 : 3 * 16_384] == MEDIA[2 * 16_384 : 3 * 16_384]
    assert ours[5 * 16_384 :] == OLDER[5 * 16_384 :]
    assert _libvhdi(child, parent) == ours


def test_a_vhd_block_that_is_stored_in_part(tmp_path: Path) -> None:
    """By the specification alone: libvhdi (20260901) gives the sectors that are not the disk's own, too."""
    build_vhd(OLDER, tmp_path / "base.vhd", identifier=b"P" * 16)
    child = build_vhd(
        MEDIA, tmp_path / "x.vhd", kind=4, only=range(2, 5), parent=b"P" * 16, parent_name="base.vhd", half=3
    )
    expected = bytearray(OLDER)
    expected[2 * 16_384 : 5 * 16_384] = MEDIA[2 * 16_384 : 5 * 16_384]
    for sector in range(97, 128, 2):
        expected[sector * 512 : sector * 512 + 512] = OLDER[sector * 512 : sector * 512 + 512]
    assert _ours(child) == bytes(expected)


def test_vhdx(tmp_path: Path) -> None:
    parent = build_vhdx(OLDER, tmp_path / "base.vhdx", data_write=b"P" * 16)
    linkage = {"parent_linkage": "{" + str(uuid.UUID(bytes_le=b"P" * 16)) + "}", "relative_path": ".\\base.vhdx"}
    child = build_vhdx(MEDIA, tmp_path / "x.vhdx", own=range(20, 301), locator=linkage)
    ours = _ours(child)
    assert ours == OLDER[: 20 * 512] + MEDIA[20 * 512 : 301 * 512] + OLDER[301 * 512 :]
    assert _libvhdi(child, parent) == ours
