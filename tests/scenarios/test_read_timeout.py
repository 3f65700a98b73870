"""``--read-timeout``: a drive that hangs anywhere, at its headers too, gives a complete image in a few sittings."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from forensiq.model.extent import Extent
from forensiq.model.records import AcquisitionRecord
from forensiq.procedures.acquire import acquire, exit_code_of
from forensiq.procedures.acquire_request import AcquireRequest

pytestmark = pytest.mark.slow

DATA = random.Random(41).randbytes(4 << 20)


@pytest.mark.parametrize("place", [Extent(0, 512), Extent(5000 * 512, 512)])
def test_a_place_that_always_hangs_costs_two_sittings_and_a_cluster(
    tmp_path: Path, place: Extent, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk.dd"
    disk.write_bytes(DATA)
    monkeypatch.setattr("forensiq.sources.expendable._CHILD", "tests.support.hanging_process")
    monkeypatch.setenv("HANGING", f"{place.offset} {place.length}")
    sittings: list[AcquisitionRecord] = []
    while not sittings or exit_code_of(sittings[-1]) == 8:
        request = AcquireRequest(
            source=str(disk), output=tmp_path / "X", read_timeout=0.7, resume=bool(sittings), probe=False
        )
        sittings.append(acquire(request))
        assert len(sittings) <= 5, sittings[-1].failure
    assert all("not responding" in (each.failure or "") for each in sittings[:-1])
    record = sittings[-1]
    assert exit_code_of(record) == 3
    (lost,) = record.unreadable
    assert lost.errno == 110
    assert Extent(lost.offset, lost.length).covers(place)
    assert lost.length <= 64 << 10
    expected = DATA[: lost.offset] + bytes(lost.length) + DATA[lost.offset + lost.length :]
    assert record.digests.to_json()["sha256"] == hashlib.sha256(expected).hexdigest()
    assert record.verification is not None
    assert record.verification.verdict == "verified"
    assert len(record.interruptions) == len(sittings) - 1
    assert any("a check, not a proof" in each for each in record.notes)
