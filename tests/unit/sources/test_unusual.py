"""What is no medium of fixed size is refused, with the reason."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from forensiq.errors import SourceError, UsageError
from forensiq.sources import open_source
from forensiq.sources.unusual import refuse_odd_sectors, unusual


@pytest.mark.parametrize(
    ("path", "words"), [("/dev/null", "holds nothing"), ("/dev/zero", "endless"), ("/dev/urandom", "endless")]
)
def test_real_character_devices(path: str, words: str) -> None:
    if not stat.S_ISCHR(Path(path).stat().st_mode):
        pytest.skip(f"{path} is no character device here")
    with pytest.raises(UsageError, match=words):
        open_source(Path(path))


def state(mode: int, major: int = 0, minor: int = 0) -> os.stat_result:
    values = list(os.stat_result(range(10)))
    values[0] = mode
    return os.stat_result([*values, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, os.makedev(major, minor)])


@pytest.mark.parametrize(
    ("made", "words", "way_out"),
    [
        (state(stat.S_IFCHR, 9, 0), "tape drive", "acquire -"),
        (state(stat.S_IFCHR, 21, 0), "SCSI generic", "block device"),
        (state(stat.S_IFCHR, 4, 64), "no size and no sectors", "acquire -"),
        (state(stat.S_IFIFO), "a pipe", "acquire -"),
        (state(stat.S_IFSOCK), "a socket", ""),
        (state(stat.S_IFDIR), "a folder", ""),
    ],
)
def test_each_kind_has_its_reason_and_a_way_out(made: os.stat_result, words: str, way_out: str) -> None:
    error = unusual(Path("/dev/st0"), made)
    assert words in error.message
    assert way_out in (error.hint or "")


@pytest.mark.parametrize("sector", [520, 528, 4160])
def test_sectors_that_hold_more_than_data(sector: int) -> None:
    with pytest.raises(SourceError, match=f"sectors of {sector} bytes"):
        refuse_odd_sectors("/dev/sdx", sector * 1000, sector)


def test_a_drive_without_a_size_says_what_that_may_be() -> None:
    with pytest.raises(SourceError, match="520 or 528"):
        refuse_odd_sectors("/dev/sdx", 0, 512)
    refuse_odd_sectors("/dev/sdx", 4096, 512)
    refuse_odd_sectors("/dev/sdx", 4096, 4096)
