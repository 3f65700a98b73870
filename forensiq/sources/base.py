"""The contract of a source: what evidence is read from. It has no write method, and never gets one."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from forensiq.model.source import SourceIdentity

__all__ = ["Source"]


class Source(Protocol):
    """A medium of fixed size that can be read at any place.

    ``size`` is in bytes, ``sector_size`` the logical sector size in bytes. ``parallel_reads`` is how many threads may
    usefully read at once (1 for drives; more for images, which are decompressed by whoever reads).
    """

    @property
    def identity(self) -> SourceIdentity: ...

    @property
    def size(self) -> int: ...

    @property
    def sector_size(self) -> int: ...

    @property
    def parallel_reads(self) -> int: ...

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill ``buffer`` from byte ``offset`` on; return how many bytes were read.

        The result is less than ``len(buffer)`` only at the end of the medium. The buffer stays the caller's; what it
        holds after an error is undefined. Safe to call from several threads. Releases the GIL while it waits.

        Raises :class:`~forensiq.errors.SourceReadError` where the range could not be read (nothing is said about which
        part of it could), :class:`~forensiq.errors.SourceLostError` where the source is gone.
        """
        ...

    def read_direct(self, offset: int, buffer: memoryview) -> int:
        """As :meth:`read_into`, but past the page cache where the source has one.

        Used around errors: a buffered read makes good neighbours of a bad sector unreadable. ``offset`` and the length
        of ``buffer`` are multiples of ``sector_size`` but for the end of the medium.
        """
        ...

    def close(self) -> None:
        """Release everything; may be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
