"""Media data on its way from a source to an image."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Batch", "Chunk", "EncodedChunk"]


class Chunk(Struct, frozen=True):
    """One numbered unit of media data (EWF's word), plain.

    ``data`` is borrowed: it belongs to whoever made the chunk, and may be reused after the call it was passed to.
    """

    number: int
    data: memoryview


class EncodedChunk(Struct, frozen=True):
    """One chunk as it is stored. ``data`` may borrow the memory of the plain chunk where that is stored as it is."""

    number: int
    data: bytes | memoryview
    compressed: bool


class Batch(Struct, frozen=True):
    """A run of media data, several chunks long, that travels between threads as one piece.

    ``number`` counts batches from 0 without gaps; ``offset`` is in bytes of the stored medium and a multiple of the
    chunk size; ``data`` is a whole number of chunks, but for the last batch of a medium. ``data`` is borrowed from a
    buffer pool and stays as it is until every stage has released it. ``zeros`` says that it is known to hold nothing
    else, so that nobody need look.
    """

    number: int
    offset: int
    data: memoryview
    zeros: bool = False
