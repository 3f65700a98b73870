"""Chunks are stored compressed exactly where that is smaller, and always lead back to the same bytes."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiq.images.ewf.chunk import ChunkEncoder, Compression, EncodedBatch
from forensiq.model.chunk import Batch
from tests.support.ewf import corpus

NOISE = random.Random(7).randbytes(1 << 20)


def encode(data: bytes, chunk_size: int, compression: Compression, offset: int = 0) -> EncodedBatch:
    return ChunkEncoder(chunk_size, compression).encode(Batch(0, offset, memoryview(data)))


def decode(encoded: EncodedBatch) -> bytes:
    out = []
    for data, checksum, length in zip(encoded.data, encoded.checksums, encoded.lengths, strict=True):
        assert length == len(data) + len(checksum)
        if checksum:
            assert struct.unpack("<I", checksum)[0] == zlib.adler32(data)
            out.append(bytes(data))
        else:
            out.append(zlib.decompress(data))
    return b"".join(out)


@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize("chunk_size", [512, 4096, 32768, 1 << 20])
def test_every_batch_leads_back(compression: Compression, chunk_size: int) -> None:
    data = corpus(3 * 1024 * 1024 + 512)
    encoded = encode(data, chunk_size, compression)
    assert decode(encoded) == data
    assert len(encoded.lengths) == -(-len(data) // chunk_size)
    assert all(length <= chunk_size + 4 for length in encoded.lengths)


@given(st.lists(st.tuples(st.sampled_from("zntp"), st.integers(1, 9000)), max_size=8), st.sampled_from(Compression))
@settings(max_examples=60, deadline=None)
def test_any_mixture_leads_back(runs: list[tuple[str, int]], compression: Compression) -> None:
    kinds = {"z": bytes(9000), "n": NOISE, "t": b"text " * 2000, "p": b"\xff" * 9000}
    data = b"".join(kinds[kind][:length] for kind, length in runs)
    assert decode(encode(data, 4096, compression)) == data


@pytest.mark.parametrize("compression", [Compression.FAST, Compression.BEST])
def test_what_does_not_shrink_is_stored_as_it_is_without_a_copy(compression: Compression) -> None:
    encoded = encode(NOISE, 32768, compression)
    assert set(encoded.lengths) == {32768 + 4}
    assert all(isinstance(data, memoryview) for data in encoded.data)


def test_zeros_are_one_constant() -> None:
    encoded = encode(bytes(10 * 32768), 32768, Compression.FAST)
    assert len({id(data) for data in encoded.data}) == 1
    assert encoded.lengths[0] < 64


def test_compressible_data_behind_noise_is_compressed() -> None:
    text = b"compressible " * 30000
    encoded = encode(NOISE[: 8 * 32768] + text[: 8 * 32768], 32768, Compression.FAST)
    assert [bool(checksum) for checksum in encoded.checksums] == [True] * 8 + [False] * 8


def test_the_cut_into_batches_of_whole_mib_changes_nothing() -> None:
    data = corpus(6 << 20)
    whole = encode(data, 32768, Compression.FAST)
    mib = 1 << 20
    parts = [encode(data[start : start + mib], 32768, Compression.FAST, start) for start in range(0, 6 * mib, mib)]
    assert [bytes(item) for item in whole.data] == [bytes(item) for part in parts for item in part.data]


def test_a_batch_inside_a_chunk_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk boundary"):
        encode(bytes(512), 4096, Compression.FAST, offset=512)


@pytest.mark.parametrize("size", [1, 11, 51, 511, 512])
def test_tiny_last_chunks(size: int) -> None:
    for data in (bytes(size), NOISE[:size]):
        assert decode(encode(data, 32768, Compression.FAST)) == data
