"""Small E01 images for tests: corpora, one whole write, and peers that read the result."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Iterable
from pathlib import Path

from forensiq.images.ewf.config import EwfConfig
from forensiq.images.ewf.writer import EwfWriter
from forensiq.model.chunk import Batch
from forensiq.model.digest import DigestSet, HashAlgorithm
from forensiq.model.extent import Extent
from forensiq.model.image import ClosingFacts, ImageManifest, ImageMetadata

ALGORITHMS = (HashAlgorithm.MD5, HashAlgorithm.SHA1, HashAlgorithm.SHA256)
IDENTIFIER = uuid.UUID("00112233-4455-4677-8899-aabbccddeeff")
METADATA = ImageMetadata(
    case_number="2026-014",
    evidence_number="ITEM-1",
    examiner="Zoë Ωmega 測試",
    description="a drive",
    notes="two\tlines\nof notes",
    model="860 EVO",
    serial="S3Z9NB0K123456",
    acquired="2026-11-22T20:58:54Z",
    system_time="2026-11-22T20:58:55Z",
    software="forensiq",
    operating_system="Linux",
)


def corpus(size: int, seed: int = 1) -> bytes:
    """Return ``size`` bytes in runs of zeros, text and noise of uneven lengths."""
    rng = random.Random(seed)
    out = bytearray()
    while len(out) < size:
        length = rng.choice((512, 5000, 32768, 70000, 200_000))
        kind = rng.randrange(3)
        if kind == 0:
            out += bytes(length)
        elif kind == 1:
            out += (b"evidence %d " % rng.randrange(1000)) * (length // 12 + 1)
        else:
            out += rng.randbytes(length)
    return bytes(out[:size])


def digests(data: bytes, algorithms: Iterable[HashAlgorithm] = ALGORITHMS) -> DigestSet:
    return DigestSet.of({item: hashlib.new(item.value, data).hexdigest() for item in algorithms})


def batches(data: bytes, chunk_size: int, start: int = 0, chunks: int = 32) -> Iterable[Batch]:
    """Yield ``data`` from ``start`` on in batches of ``chunks`` chunks."""
    view = memoryview(data)
    step = chunk_size * chunks
    for number, offset in enumerate(range(start, len(data), step)):
        yield Batch(number, offset, view[offset : offset + step])


def feed(writer: EwfWriter, data: bytes, start: int = 0, chunks: int = 32) -> None:
    for batch in batches(data, writer.chunk_size, start, chunks):
        writer.write(writer.encode(batch))


def write_image(
    stem: Path, data: bytes, *, unreadable: tuple[Extent, ...] = (), batch_chunks: int = 32, **settings: object
) -> ImageManifest:
    """Write ``data`` as an E01 with all digests; ``settings`` are those of :class:`EwfConfig`."""
    settings = {"metadata": METADATA, "set_identifier": IDENTIFIER, **settings}
    writer = EwfWriter(EwfConfig(stem=stem, media_size=len(data), **settings))  # type: ignore[arg-type]
    writer.begin()
    feed(writer, data, chunks=batch_chunks)
    return writer.finish(ClosingFacts(digests(data), unreadable))


def files_of(stem: Path, manifest: ImageManifest) -> list[Path]:
    return [stem.parent / segment.path for segment in manifest.segments]
