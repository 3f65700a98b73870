"""The wiring: order, digests, several writers, the first failure, the stop request."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import pytest
from msgspec import structs

from forensiq.acquisition.pipeline import ResumePoint, run_pipeline
from forensiq.acquisition.plan import AcquisitionPlan, plan_acquisition
from forensiq.acquisition.result import PipelineResult
from forensiq.errors import DestinationFullError, Interrupted, SourceLostError, SourceReadError, WriteBlockError
from forensiq.model.chunk import Batch
from forensiq.model.digest import HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.model.media_map import READ, MediaMap, RangeStatus, ReadStatus
from forensiq.sources.faulty import Faults, FaultySource
from forensiq.streams.progress import Progress
from tests.support.media import MemorySource, MemoryWriter, media

BATCH = 64 << 10


def plan_for(source: Any, **changes: Any) -> AcquisitionPlan:
    fixed = {key: changes.pop(key) for key in ("batch_size", "buffers", "watch_s") if key in changes}
    options: dict[str, Any] = {"chunk_size": 4096, "pad_last_sector": False, "block_hash_size": 128 << 10, **changes}
    return structs.replace(plan_acquisition(source, **options), **{"batch_size": BATCH, **fixed})


def run(plan: AcquisitionPlan, source: Any, *writers: MemoryWriter, **options: Any) -> PipelineResult:
    return run_pipeline(plan, source, writers, progress=options.pop("progress", Progress(0)), **options)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size", [1, 511, 512, BATCH - 1, BATCH, BATCH + 1, 3_000_001])
@pytest.mark.parametrize("readers", [1, 3])
def test_everything_arrives_in_order_and_is_digested(size: int, readers: int) -> None:
    data = media(size)
    source = MemorySource(data, parallel_reads=readers)
    writer = MemoryWriter()
    progress = Progress(0)
    result = run(structs.replace(plan_for(source, workers=3), readers=readers), source, writer, progress=progress)
    assert result.complete
    assert result.failure is None
    assert bytes(writer.stored) == data
    assert result.digests is not None
    assert result.digests[HashAlgorithm.MD5] == hashlib.md5(data).hexdigest()
    assert result.digests[HashAlgorithm.SHA256] == sha256(data)
    assert result.source_digests is None
    assert list(result.media_map) == [(Extent(0, size), READ)]
    assert writer.facts is not None
    assert writer.facts.digests == result.digests
    assert writer.facts.unreadable == ()
    assert set(progress.snapshot().stages.values()) == {size}


def test_a_part_of_the_source_is_the_medium() -> None:
    data = media(1_000_000)
    source = MemorySource(data)
    writer = MemoryWriter()
    result = run(plan_for(source, offset=512 * 7, length=512 * 1000), source, writer)
    assert bytes(writer.stored) == data[512 * 7 : 512 * 1007]
    assert result.media_map.size == 512 * 1000


@pytest.mark.parametrize("size", [100, BATCH, BATCH + 100, BATCH * 3 - 1])
def test_padding_is_stored_and_digested_and_the_source_keeps_its_own_digests(size: int) -> None:
    data = media(size)
    source = MemorySource(data)
    writer = MemoryWriter()
    result = run(plan_for(source, pad_last_sector=True), source, writer)
    padded = data + bytes(-size % 512)
    assert bytes(writer.stored) == padded
    assert result.digests is not None
    assert result.digests[HashAlgorithm.SHA256] == sha256(padded)
    assert result.padding == len(padded) - size
    assert result.media_map.size == size
    if result.padding:
        assert result.source_digests is not None
        assert result.source_digests[HashAlgorithm.SHA256] == sha256(data)
    else:
        assert result.source_digests is None


def test_block_digests_have_a_root_and_name_unreadable_sectors() -> None:
    data = media(300_000)
    source = MemorySource(data)
    result = run(plan_for(source), source, MemoryWriter())
    blocks = result.blocks
    assert blocks is not None
    pieces = [data[i : i + (128 << 10)] for i in range(0, len(data), 128 << 10)]
    assert [blocks[i] for i in range(len(blocks))] == [sha256(piece) for piece in pieces]
    assert blocks.root == sha256(b"".join(hashlib.sha256(piece).digest() for piece in pieces))
    lines = list(blocks.csv_lines(512, 1000, (Extent(512 * 255, 1024), Extent(512 * 300, 512))))
    assert lines[0] == "start_lba,end_lba,sha256,unreadable\n"
    assert lines[1] == f"1000,1255,{sha256(pieces[0])},1255+1\n"
    assert lines[2] == f"1256,1511,{sha256(pieces[1])},1256+1 1300+1\n"
    assert lines[3] == f"1512,{1000 + (300_000 - 1) // 512},{sha256(pieces[2])},\n"


def test_zero_and_constant_runs_are_counted_across_batches() -> None:
    data = b"\0" * (200 << 10) + media(64 << 10)[: 56 << 10] + b"\xff" * (64 << 10) + bytes(range(256)) * 256
    source = MemorySource(data)
    statistics = run(plan_for(source, workers=3), source, MemoryWriter()).statistics
    assert statistics.bytes_seen == len(data)
    assert statistics.zero_bytes >= 192 << 10
    assert statistics.longest_zero_run is not None
    assert statistics.longest_zero_run.offset == 0
    assert statistics.longest_zero_run.length >= 192 << 10
    assert statistics.constant_bytes >= 32 << 10


def test_two_writers_get_the_same_and_one_that_fails_stops_alone() -> None:
    data = media(2_000_000)
    source = MemorySource(data)
    good, bad = MemoryWriter(), MemoryWriter(full_at=500_000)
    result = run(plan_for(source), source, bad, good)
    assert result.complete
    assert bytes(good.stored) == data
    assert bad.state == "suspended"
    failed, finished = result.writers
    assert isinstance(failed.failure, DestinationFullError)
    assert failed.manifest is None
    assert failed.written == len(bad.stored) <= 500_000
    assert finished.manifest is not None


def test_when_every_writer_failed_the_run_ends_early() -> None:
    source = FaultySource(MemorySource(media(20_000_000)))
    result = run(plan_for(source), source, MemoryWriter(full_at=300_000), MemoryWriter(full_at=100_000))
    assert not result.complete
    assert isinstance(result.failure, DestinationFullError)
    assert result.digests is None
    assert len(source.events) < 20_000_000 / BATCH / 2


def test_a_writer_that_cannot_be_closed_is_suspended() -> None:
    source = MemorySource(media(100_000))
    writer = MemoryWriter(fail_finish=True)
    result = run(plan_for(source), source, writer)
    assert not result.complete
    assert result.failure is result.writers[0].failure
    assert writer.state == "suspended"


def test_a_lost_source_keeps_what_was_read() -> None:
    data = media(2_000_000)
    source = FaultySource(MemorySource(data), faults=Faults(vanish_at_byte=1_000_000))
    writer = MemoryWriter()
    result = run(plan_for(source), source, writer)
    assert isinstance(result.failure, SourceLostError)
    assert writer.state == "suspended"
    assert bytes(writer.stored) == data[: len(writer.stored)]
    assert result.media_map.total(ReadStatus.READ) == 1_000_000 // BATCH * BATCH
    assert result.media_map.at(1_999_999).status is ReadStatus.NOT_TRIED


def test_a_stop_request_ends_in_good_order_and_can_be_resumed() -> None:
    data = media(4_000_000)
    stop = threading.Event()

    class Stopping(MemorySource):
        def read_into(self, offset: int, buffer: memoryview) -> int:
            if offset >= 1_500_000:
                stop.set()
            return super().read_into(offset, buffer)

    source = Stopping(data)
    writer = MemoryWriter()
    first = run(plan_for(source), source, writer, stop=stop)
    assert isinstance(first.failure, Interrupted)
    assert writer.state == "suspended"
    assert 1_500_000 <= len(writer.stored) == first.position < 2_000_000

    writer.state = "open"
    point = ResumePoint(MemorySource(bytes(writer.stored)), len(writer.stored), (len(writer.stored),), first.media_map)
    rest = FaultySource(MemorySource(data))
    second = run(plan_for(rest), rest, writer, resume=point)
    assert second.complete
    assert bytes(writer.stored) == data
    assert second.digests is not None
    assert second.digests[HashAlgorithm.SHA256] == sha256(data)
    assert min(event.offset for event in rest.events) == first.position


def test_writers_resume_at_different_places() -> None:
    data = media(1_000_000)
    ahead, behind = MemoryWriter(), MemoryWriter()
    ahead.stored += data[: 4096 * 100]
    behind.stored += data[: 4096 * 33]
    known = MediaMap(len(data), READ)
    point = ResumePoint(MemorySource(data[: 4096 * 100]), 4096 * 100, (4096 * 100, 4096 * 33), known)
    source = FaultySource(MemorySource(data))
    assert run(plan_for(source), source, ahead, behind, resume=point).complete
    assert bytes(ahead.stored) == bytes(behind.stored) == data
    assert min(event.offset for event in source.events) == 4096 * 100


def test_a_fault_in_the_program_is_raised_and_the_writer_suspended() -> None:
    class Broken(MemoryWriter):
        def encode(self, batch: Batch) -> bytes:
            if batch.number == 3:
                raise ZeroDivisionError("planted")
            return super().encode(batch)

    writer = Broken()
    source = MemorySource(media(3_000_000))
    with pytest.raises(ZeroDivisionError, match="planted"):
        run(plan_for(source), source, writer)
    assert writer.state == "suspended"


def test_the_watch_is_called_and_may_end_the_run() -> None:
    calls: list[int] = []

    def watch() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise WriteBlockError("the flag is gone")

    slow = FaultySource(MemorySource(media(1_000_000)), faults=Faults(slow={Extent(0, 1_000_000): 0.1}))
    writer = MemoryWriter()
    result = run(plan_for(slow, watch_s=0.2), slow, writer, watch=watch)
    assert isinstance(result.failure, WriteBlockError)
    assert writer.state == "suspended"


def test_every_read_error_is_told_and_may_end_the_run() -> None:
    bad = MediaMap(1_000_000, READ)
    bad.mark(Extent(512 * 700, 512), RangeStatus(ReadStatus.UNREADABLE, 5))
    told: list[SourceReadError] = []
    source = FaultySource(MemorySource(media(1_000_000)), bad)
    result = run(plan_for(source), source, MemoryWriter(), on_read_error=told.append)
    assert result.complete
    assert len(told) == result.reading.failed_reads == sum(event.failed for event in source.events)

    def refuse(error: SourceReadError) -> None:
        raise WriteBlockError("the flag is gone") from error

    again = FaultySource(MemorySource(media(1_000_000)), bad)
    ended = run(plan_for(again), again, MemoryWriter(), on_read_error=refuse)
    assert isinstance(ended.failure, WriteBlockError)
