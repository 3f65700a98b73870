"""What a run of the pipeline observed."""

from __future__ import annotations

from msgspec import Struct

from forensiq.acquisition.blocks import BlockDigests
from forensiq.acquisition.statistics import StreamStatistics
from forensiq.acquisition.uniform import UniformMap
from forensiq.errors import DestinationError, DestinationExistsError, ForensiqError
from forensiq.model.digest import DigestSet
from forensiq.model.image import ImageManifest
from forensiq.model.media_map import MediaMap

__all__ = ["PipelineResult", "ReadingFacts", "WriterResult"]


class WriterResult(Struct, frozen=True):
    """What became of one destination: a manifest, or why there is none (``None`` for both: it was suspended).

    ``written`` counts the bytes of the stored medium that the writer accepted, in order from its start.
    """

    manifest: ImageManifest | None
    failure: DestinationError | DestinationExistsError | None
    written: int


class ReadingFacts(Struct, frozen=True):
    """How reading went: reads asked of the source, those that failed, and sectors read only after a retry (bytes).

    ``strategy`` says it in words: ``in order``, ``rescue from byte N on``.
    """

    reads: int
    failed_reads: int
    retried_bytes: int
    strategy: str


class PipelineResult(Struct, frozen=True):
    """Everything that a run observed; offsets in bytes of the stored medium.

    ``complete`` says that the whole medium was read (with or without fill) and that at least one writer finished it.
    Else ``failure`` says why, and the writers were suspended: what is written can be resumed. ``media_map`` covers the
    medium without its padding. ``digests`` are of the stored bytes, fill and padding included; ``source_digests`` of
    the same without padding, where there is any. All digests are ``None`` where the run is not complete.
    """

    complete: bool
    failure: ForensiqError | None
    position: int
    writers: tuple[WriterResult, ...]
    media_map: MediaMap
    digests: DigestSet | None
    source_digests: DigestSet | None
    padding: int
    blocks: BlockDigests | None
    statistics: StreamStatistics
    uniform: UniformMap
    reading: ReadingFacts
    elapsed_s: float
