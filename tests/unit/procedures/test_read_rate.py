from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from forensiq.procedures import acquire as procedure
from forensiq.procedures.acquire_job import AcquisitionJob
from forensiq.procedures.acquire_request import AcquireRequest
from forensiq.procedures.evidence import Evidence
from forensiq.procedures.read_rate import MOST_SAMPLES, ReadRate
from forensiq.reports.pictures import read_rate
from forensiq.streams.progress import ProgressSnapshot


def at(seconds: float, read: int, *, phase: str = "copying", position: int = 0) -> ProgressSnapshot:
    stage = "rescue" if phase.startswith("rescue") else "read"
    return ProgressSnapshot(phase, 1 << 40, 0, position, {stage: read}, 0, 0, None, seconds)


def rates(rate: ReadRate) -> list[tuple[int, float, int | None]]:
    return [(each.offset, each.bytes_per_second, each.start) for each in rate.samples]


def test_each_sample_has_the_rate_since_the_one_before() -> None:
    rate = ReadRate()
    for seconds, read in ((2, 2000), (3, 2000), (4, 2100), (4, 9000)):
        rate.sample(at(seconds, read))
    assert rates(rate) == [(2000, 1000.0, None), (2100, 50.0, None)]


def test_what_an_earlier_sitting_stored_is_not_read_again() -> None:
    rate = ReadRate(5000)
    for seconds, read in ((1, 4000), (2, 5000), (4, 7000)):
        rate.sample(at(seconds, read))
    assert rates(rate) == [(7000, 1000.0, 5000)]


def test_a_rescue_counts_what_it_read_and_its_store_is_not_read_again() -> None:
    rate = ReadRate()
    rate.sample(at(1, 1000))
    rate.sample(at(1, 500, phase="rescue: copying", position=1500))
    rate.sample(at(3, 700, phase="rescue: copying", position=9000))
    rate.sample(at(9, 900, phase="rescue: trimming", position=2000))
    rate.sample(at(50, 9000))
    assert rates(rate) == [(1000, 1000.0, None), (9000, 100.0, None)]


@given(st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(0, 60)), max_size=200), st.integers(1, 9))
def test_neighbours_are_merged_and_no_byte_is_lost(steps: list[tuple[int, int]], most: int) -> None:
    rate, full = ReadRate(most=most), ReadRate(most=1000)
    position = seconds = 0
    for length, more in steps:
        position, seconds = position + length, seconds + more
        rate.sample(at(seconds, position))
        full.sample(at(seconds, position))
    assert len(rate.samples) <= most
    assert [each.offset for each in rate.samples[-1:]] == [each.offset for each in full.samples[-1:]]
    assert {each.offset for each in rate.samples} <= {each.offset for each in full.samples}
    if full.samples:
        low, high = (pick(each.bytes_per_second for each in full.samples) for pick in (min, max))
        assert all(low - 0.1 <= each.bytes_per_second <= high + 0.1 for each in rate.samples)


def test_a_picture_is_drawn_from_as_many_as_fit() -> None:
    rate = ReadRate()
    for number in range(1, 701):
        rate.sample(at(5 * number, number << 20))
    picture = read_rate(rate.samples, 700 << 20)
    assert picture is not None
    assert MOST_SAMPLES // 2 < len(rate.samples) <= MOST_SAMPLES
    assert all(each.bytes_per_second == pytest.approx((1 << 20) / 5, abs=0.1) for each in rate.samples)


def test_an_acquisition_records_its_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def often(
        request: AcquireRequest,
        stack: ExitStack,
        holding: ExitStack | None = None,
        received: Callable[[], Evidence] | None = None,
    ) -> tuple[Evidence, AcquisitionJob]:
        evidence, job = prepare(request, stack, holding, received)
        return evidence, structs.replace(job, plan=structs.replace(job.plan, watch_s=0.0))

    prepare = procedure.prepare
    monkeypatch.setattr(procedure, "prepare", often)
    (tmp_path / "drive.dd").write_bytes(random.Random(5).randbytes(48 << 20))
    request = AcquireRequest(
        source=str(tmp_path / "drive.dd"), output=tmp_path / "x", compression="best", verify=False, probe=False
    )
    record = procedure.acquire(request)
    assert record.rates
    assert all(0 < each.offset <= 48 << 20 and each.bytes_per_second > 0 for each in record.rates)
    assert read_rate(record.rates, record.range.length) is not None
