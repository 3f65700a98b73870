"""Block digests: the same as hashing each block by itself, wherever zeros begin and end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from forensiq.acquisition import blocks
from forensiq.acquisition.blocks import BlockDigester
from forensiq.model.extent import Extent
from forensiq.streams.buffers import BufferPool
from forensiq.streams.failure import FirstFailure


def batches(data: bytes, size: int) -> Iterator[bytes]:
    for piece in Extent(0, len(data)).pieces(size):
        yield data[piece.offset : piece.end]


@settings(max_examples=60, deadline=None)
@given(
    runs=st.lists(st.tuples(st.booleans(), st.integers(1, 700)), min_size=1, max_size=12),
    block=st.sampled_from([1, 7, 64, 100, 512]),
    batch=st.sampled_from([50, 64, 333, 4096]),
    piece=st.sampled_from([3, 16, 1 << 20]),
)
def test_every_block_is_hashed_by_itself(runs: list[tuple[bool, int]], block: int, batch: int, piece: int) -> None:
    data = b"".join((b"\0" if zero else b"\1") * length for zero, length in runs)
    before = blocks._PIECE
    blocks._PIECE = piece
    try:
        failure = FirstFailure()
        pool = BufferPool(3, 4096, failure)
        digester = BlockDigester(block, failure)
        for part in batches(data, batch):
            buffer = pool.take()
            assert buffer is not None
            buffer.memory[: len(part)] = part
            digester.feed(buffer, buffer.memory[: len(part)])
            buffer.release()
        result = digester.finish()
    finally:
        blocks._PIECE = before
    expected = [hashlib.sha256(part).digest() for part in batches(data, block)]
    assert result.packed == b"".join(expected)
    assert [result[index] for index in range(len(result))] == [each.hex() for each in expected]
    assert result.root == hashlib.sha256(b"".join(expected)).hexdigest()
    assert result.size == len(data)
