from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from forensiq.errors import ForensiqError
from forensiq.model.extent import Extent
from forensiq.model.finding import Finding, Severity
from forensiq.model.media_map import MediaMap, RangeStatus, ReadStatus
from forensiq.model.records import AcquisitionRecord
from forensiq.procedures import damage_impact
from forensiq.procedures.acquire import acquire, exit_code_of
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.damage_impact import MOST_FILES, impact_of_damage
from forensiq.procedures.verify import verify_image
from forensiq.reports.log_text import render_log
from tests.support.disks import mbr_entry, mbr_sector
from tests.support.fat import fat_volume

START = 63
FILE = (START + 5) * 512
"""Where the content of the first file is: boot sector, two tables, a root directory of two sectors."""


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    path = tmp_path / "drive.dd"
    volume = fat_volume({b"A       TXT": b"alpha" * 300, b"B       TXT": b"beta" * 500})
    path.write_bytes(mbr_sector(mbr_entry(0x01, START, 128)) + bytes((START - 1) * 512) + volume)
    return path


def acquired(drive: Path, form: str = "e01", partition: int | None = None) -> AcquisitionRecord:
    faults = MediaMap(drive.stat().st_size, RangeStatus(ReadStatus.READ))
    faults.mark(Extent(FILE + 512, 512), RangeStatus(ReadStatus.UNREADABLE, errno.EIO))
    request = AcquireRequest(
        source=str(drive), output=drive.parent / "out" / "x", format=form, practice_faults=faults, probe=False,
        partition=partition,
    )  # fmt: skip
    return acquire(request)


@pytest.mark.parametrize(("form", "partition"), [("e01", None), ("raw", None), ("raw", 1)])
def test_an_acquisition_says_which_files_it_could_not_read(drive: Path, form: str, partition: int | None) -> None:
    record = acquired(drive, form, partition)
    assert record.impact is not None
    (file,) = record.impact.files
    assert (file.partition, file.path, file.bytes, file.size) == (0 if partition else 1, "/A.TXT", 512, 1500)
    assert record.impact.bytes_by_kind == {"content": 512}
    assert record.impact.files_hit == 1
    assert exit_code_of(record) == 3
    saved = json.loads((drive.parent / "out" / "x.record.json").read_text())
    assert saved["impact"]["files"][0]["path"] == "/A.TXT"
    log = (drive.parent / "out" / "x.log.txt").read_text()
    assert "1 file affected" in log
    assert "/A.TXT" in log


def test_an_analysis_that_fails_is_a_finding(drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ForensiqError("the process that reads the image died")

    monkeypatch.setattr(damage_impact, "impact_of", fail)
    record = acquired(drive)
    assert record.impact is None
    (finding,) = [each for each in record.findings if each.code == "impact.not_determined"]
    assert finding.severity is Severity.WARNING
    assert "died" in finding.message
    assert (record.status, exit_code_of(record)) == ("complete_with_unreadable_sectors", 3)
    assert "died" in render_log(record)


def test_a_verification_says_which_files_the_damage_falls_in(drive: Path) -> None:
    acquired(drive, "raw")
    image = drive.parent / "out" / "x.dd"
    content = bytearray(image.read_bytes())
    content[FILE + 4 * 512] ^= 1
    image.write_bytes(content)
    record = verify_image(image, files=True)
    assert record.damage
    assert record.impact is not None
    assert {each.path for each in record.impact.files} >= {"/B.TXT"}
    assert verify_image(image).impact is None


def test_the_list_of_files_is_bounded(tmp_path: Path) -> None:
    names = {b"F%03d    TXT" % number: b"x" for number in range(30)}
    (tmp_path / "v.dd").write_bytes(fat_volume(names))
    found = impact_of_damage(tmp_path / "v.dd", [Extent(5 * 512, 30 * 512)], image_format="raw")
    assert not isinstance(found, Finding)
    assert len(found.files) == found.files_hit == 30
    assert found.files_not_listed == 0
    assert MOST_FILES == 100


def test_what_is_no_image_is_a_finding(tmp_path: Path) -> None:
    found = impact_of_damage(tmp_path / "nothing.E01", [Extent(0, 512)])
    assert isinstance(found, Finding)
