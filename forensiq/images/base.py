"""The two contracts of a stored copy: :class:`EvidenceImage` reads one, :class:`ImageWriter` writes one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeVar

from forensiq.model.chunk import Batch
from forensiq.model.digest import DigestSet
from forensiq.model.extent import Extent
from forensiq.model.finding import Damage, Finding
from forensiq.model.image import ClosingFacts, ImageManifest, ImageMetadata, Segment
from forensiq.model.source import SourceIdentity

__all__ = ["EvidenceImage", "ImageWriter", "RescueTarget"]

Encoded = TypeVar("Encoded")


class EvidenceImage(Protocol):
    """A stored copy, opened read-only. It is also a :class:`~forensiq.sources.base.Source`, structurally.

    Everything it says of itself (sizes, counts, text) is hostile until checked: an implementation bounds what it
    allocates by the size of the files, and never returns data that it could not check without saying so.
    """

    @property
    def format(self) -> str:
        """``e01``, ``raw`` …: the name in the table of formats."""
        ...

    @property
    def identity(self) -> SourceIdentity: ...

    @property
    def size(self) -> int:
        """Size of the stored medium in bytes."""
        ...

    @property
    def sector_size(self) -> int: ...

    @property
    def parallel_reads(self) -> int: ...

    @property
    def chunk_size(self) -> int | None: ...

    @property
    def compression(self) -> str | None: ...

    @property
    def metadata(self) -> ImageMetadata: ...

    @property
    def stored_digests(self) -> DigestSet:
        """Digests of the medium that the container itself holds; empty where it holds none."""
        ...

    @property
    def segments(self) -> Sequence[Segment]:
        """The files, in order; paths as they were opened."""
        ...

    @property
    def acquisition_errors(self) -> Sequence[Extent]:
        """What the container says could not be read when it was acquired, in bytes of the medium."""
        ...

    def findings(self) -> Sequence[Finding]:
        """What was found wrong or remarkable in the structure when the image was opened, metadata included."""
        ...

    def check_structure(self) -> Iterator[Finding]:
        """Check everything but the chunks: every section, checksum, table, file; go on after the first finding."""
        ...

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """As :meth:`forensiq.sources.base.Source.read_into`, but a range that cannot be given as it was acquired is an
        :class:`~forensiq.errors.ImageDamageError`. Safe to call from several threads."""
        ...

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """The same as :meth:`read_into`."""
        ...

    def read_checked(self, offset: int, buffer: memoryview) -> tuple[int, Sequence[Damage]]:
        """Fill ``buffer`` as far as possible; return the bytes of the medium filled and what of them is damaged.

        A chunk whose checksum is wrong but whose bytes are there is filled with these bytes; one that gives no bytes
        is filled with zeros; both are listed. Safe to call from several threads; releases the GIL in the heavy parts.
        """
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ImageWriter(Protocol[Encoded]):
    """Stores a medium of known size, batch after batch.

    Call order: :meth:`begin` (or a resuming constructor of the implementation), then :meth:`write` for every batch in
    media order, then exactly one of :meth:`finish`, :meth:`suspend`, :meth:`abort`. :meth:`encode` may be called from
    many threads at any time after :meth:`begin`; everything else from one thread at a time. Until :meth:`finish`
    returns, no file has a name under which it opens as an image.

    Errors of the destination are :class:`~forensiq.errors.DestinationError` (or its ``Full``); an existing file is a
    :class:`~forensiq.errors.DestinationExistsError` from :meth:`begin`, before anything is written.
    """

    @property
    def chunk_size(self) -> int:
        """Bytes of the medium in one chunk; batches are multiples of it."""
        ...

    def begin(self) -> None:
        """Create the first file(s), exclusively."""
        ...

    def encode(self, batch: Batch) -> Encoded:
        """Turn a batch into what is stored: the expensive part. Pure but for scratch buffers; thread-safe; releases
        the GIL. The result may borrow ``batch.data``: the buffer may be reused only after :meth:`write` returned.
        A writer with the same settings accepts what another one encoded (a second destination)."""
        ...

    def write(self, encoded: Encoded) -> None:
        """Store the next batch in media order."""
        ...

    def finish(self, facts: ClosingFacts) -> ImageManifest:
        """Write what closes the image, make all of it durable, give the files their final names (the first one last),
        and return what was written."""
        ...

    def suspend(self) -> None:
        """Stop; make what is there durable and leave it so that it can be resumed."""
        ...

    def abort(self) -> None:
        """Stop and remove the files of this writer. Never touches a file that it did not make."""
        ...


class RescueTarget(Protocol):
    """Takes the bytes of a failing medium in any order. Offsets in bytes of the stored medium; not for several threads.

    Errors are :class:`~forensiq.errors.DestinationError`.
    """

    @property
    def in_place(self) -> bool:
        """Whether what is stored is the image itself, so that nothing of it is written again when its turn comes."""
        ...

    @property
    def in_order_end(self) -> int:
        """Up to which byte the target holds the medium because it was stored in order; 0 where it never is."""
        ...

    def begin_rescue(self, offset: int) -> None:
        """From ``offset`` on everything comes through :meth:`store_at`. Called once, before the first of these."""
        ...

    def room(self) -> int | None:
        """Return how many bytes may be stored as far as is known; ``None`` where the room is there already."""
        ...

    def store_at(self, offset: int, data: memoryview) -> None:
        """Store ``data``; the buffer stays the caller's."""
        ...

    def clear(self, extent: Extent) -> None:
        """Let ``extent`` read as zeros, whatever was there."""
        ...

    def read_stored(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with what was stored, zeros where nothing was."""
        ...

    def sync_stored(self) -> None:
        """Make everything stored so far durable; the target is then at least as long as that."""
        ...

    def stored_size(self) -> int:
        """Return up to which byte of the medium the target reaches now: nothing that was stored lies behind that."""
        ...
