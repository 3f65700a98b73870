"""Tracks and sessions of a disc, from simulated answers of a drive."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest

from forensiq.devices.optical import DiscTrack, OpticalDisc, disc_of, is_optical
from forensiq.model.source import SourceIdentity, SourceKind
from forensiq.procedures.optical import optical_findings


class Drive:
    """Answers as ``linux/cdrom.h`` lays it out; ``tracks`` are (control, first block)."""

    def __init__(self, tracks: list[tuple[int, int]], lead_out: int, last_session: int | None = None) -> None:
        self.tracks = tracks
        self.lead_out = lead_out
        self.last_session = last_session
        self.asked: list[int] = []

    def __call__(self, descriptor: int, request: int, argument: bytes) -> bytes:
        os.fstat(descriptor)  # it is open
        self.asked.append(request)
        if request == 0x5305:
            return bytes([1, len(self.tracks)])
        if request == 0x5306:
            number = argument[0]
            assert argument[2] == 1, "blocks, not minutes"
            control, block = (4, self.lead_out) if number == 0xAA else self.tracks[number - 1]
            return struct.pack("=BBBxiB3x", number, 1 | control << 4, 1, block, 0)
        assert request == 0x5310
        return struct.pack("=iBBxx", self.last_session or 0, self.last_session is not None, 1)


@pytest.fixture
def node(tmp_path: Path) -> str:
    path = tmp_path / "sr0"
    path.write_bytes(b"")
    return str(path)


def identity(path: str, sectors: int, number: str | None = "11:0") -> SourceIdentity:
    return SourceIdentity(SourceKind.BLOCK_DEVICE, path, sectors * 2048, 2048, device_number=number)


def test_tracks_end_where_the_next_one_begins(node: str) -> None:
    drive = Drive([(4, 0), (0, 1000), (4, 13_000)], 15_000, last_session=13_000)
    assert disc_of(node, drive) == OpticalDisc(
        (DiscTrack(1, True, 0, 1000), DiscTrack(2, False, 1000, 13_000), DiscTrack(3, True, 13_000, 15_000)), 13_000
    )
    assert set(drive.asked) == {0x5305, 0x5306, 0x5310}


def test_the_record_says_what_the_image_cannot_hold(node: str) -> None:
    drive = Drive([(4, 0), (0, 1000)], 15_000, last_session=900)
    found = {each.code: each for each in optical_findings(identity(node, 15_002), lambda path: disc_of(path, drive))}
    assert set(found) == {"optical.contents", "optical.sessions", "optical.sound", "optical.run_out"}
    assert "track 2 sound (sectors 1,000 to 14,999)" in found["optical.contents"].message
    assert "from sector 900 on" in found["optical.sessions"].message


def test_a_drive_that_does_not_answer_is_no_failure(node: str) -> None:
    def silent(descriptor: int, request: int, argument: bytes) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    (finding,) = optical_findings(identity(node, 100), lambda path: disc_of(path, silent))
    assert finding.code == "optical.contents.unknown"
    assert "are not known" in finding.message
    assert "cannot be opened" in str(disc_of(node + "x", silent))


def test_other_drives_are_not_asked(node: str) -> None:
    assert not is_optical("8:0")
    assert not is_optical(None)
    assert optical_findings(identity(node, 100, "8:0"), lambda _: pytest.fail("was asked")) == ()
